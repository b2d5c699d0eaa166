"""What Google Cloud's errors come to: tried again or not, and never with what a library says of a key."""

from __future__ import annotations

import re
import traceback
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import Conflict, Forbidden, NotFound, Unauthorized
from google.cloud import bigquery
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.oauth2 import service_account

from stand_ins.bigquery import StandIn, service_account_key
from taxiway.errors import TransientWarehouseError, WarehouseError
from taxiway.warehouses.bigquery.errors import as_taxiway_error, failure
from taxiway.warehouses.bigquery.jobs import Jobs
from tests.cloud_loading import SETTINGS

CONFLICTS = [
    "Could not serialize access to table p:d.t due to concurrent update",
    "Transaction is aborted due to concurrent update against table p:d.t",
]


@pytest.mark.parametrize(
    ("reason", "message", "passing"),
    [
        *(("invalidQuery", message, True) for message in CONFLICTS),
        ("invalidQuery", "Syntax error: Unexpected end of script", False),
        ("duplicate", "Already Exists: Table p:d.t", True),
        ("notFound", "Not found: Table p:d.loads was not found in location EU", True),
        ("notFound", "Not found: Table p:d.green_tripdata was not found in location EU", False),
        ("notFound", "Not found: Dataset p:d was not found in location EU", False),
        ("accessDenied", "Access Denied: Table p:d.loads: User does not have permission", False),
    ],
)
def test_the_message_counts_where_the_reason_says_too_little(reason: str, message: str, passing: bool) -> None:
    found = failure("here", reason, message, SETTINGS, code=400)

    assert isinstance(found, TransientWarehouseError if passing else WarehouseError)
    assert message in str(found)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DataCorruption(SimpleNamespace(status_code=200), "checksum mismatch"), TransientWarehouseError),
        (InvalidResponse(SimpleNamespace(status_code=503), "Request failed"), TransientWarehouseError),
        (InvalidResponse(SimpleNamespace(status_code=403), "Request failed"), WarehouseError),
        (Conflict("taken", errors=[{"reason": "duplicate", "message": "Already Exists"}]), TransientWarehouseError),
        (Forbidden("no", errors=[{"reason": "accessDenied", "message": "no"}]), WarehouseError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_of_the_clients_are_explained(error: Exception, kind: type[Exception]) -> None:
    assert type(as_taxiway_error(error, "here", SETTINGS)) is kind


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            Forbidden("no", errors=[{"reason": "accessDenied", "message": "Project gone: no bigquery.jobs.create"}]),
            "needs BigQuery Job User .* and GCP_PROJECT_ID has to name a project that exists",
        ),
        (
            Forbidden("off", errors=[{"reason": "accessNotConfigured", "message": "BigQuery API is disabled"}]),
            "an API is off in the project: gcloud services enable bigquery",
        ),
        (
            Unauthorized("no", errors=[{"reason": "authError", "message": "Invalid Credentials"}]),
            "credentials of the connection taxi_gcp are not valid: give it another key",
        ),
        (InvalidResponse(SimpleNamespace(status_code=401), "Anonymous caller"), "credentials .* are not valid"),
        (InvalidResponse(SimpleNamespace(status_code=404), "The bucket does not exist"), "run the DAG gcp_setup once"),
        (
            NotFound("gone", errors=[{"reason": "notFound", "message": "Not found: Dataset p:d"}]),
            "run the DAG gcp_setup once, and check whether GCP_PROJECT_ID, GCP_DATASET, GCP_BUCKET_NAME",
        ),
    ],
)
def test_what_another_try_cannot_mend_fails_at_once_and_leads_on(error: Exception, advice: str) -> None:
    found = as_taxiway_error(error, "green 2019-01: upload_month", SETTINGS)

    assert type(found) is WarehouseError
    assert re.search(f"^green 2019-01: upload_month, project .*: .*{advice}", str(found))


def test_what_a_library_says_of_a_key_is_in_no_traceback(
    bigquery_server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is refused while a table is asked for; what the token's server says of it isn't repeated."""
    key: dict[str, Any] = {
        **service_account_key(bigquery_server.url, SETTINGS.project),
        "token_uri": f"{bigquery_server.url}/a-secret-of-the-key",
    }
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_server.url)
    credentials = service_account.Credentials.from_service_account_info(key, scopes=["x"])
    client = bigquery.Client(project=SETTINGS.project, credentials=credentials)

    with pytest.raises(WarehouseError, match="the credentials of the connection taxi_gcp don't work") as found:
        Jobs(client, SETTINGS, "here", {}).find_table("p.d.t")

    assert "a-secret-of-the-key" not in "".join(traceback.format_exception(found.value))
    assert "a-secret-of-the-key" in repr(found.value.__context__), "it is what the library says"


@pytest.fixture
def bigquery_server(bigquery: StandIn) -> StandIn:
    return bigquery
