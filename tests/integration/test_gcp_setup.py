"""The bucket and the dataset: made as they should be, left where they exist, refused where they are someone else's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stand_ins.bigquery import StandIn
from taxiway.errors import MainTableError, SettingError, TransientWarehouseError
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery.ledger import create_ledger
from taxiway.warehouses.bigquery.main_table import ensure_main_table
from taxiway.warehouses.bigquery.provisioning import Provisioner
from tests.cloud_loading import SETTINGS, Cloud


@dataclass
class Buckets:
    """Answers for one bucket, as Cloud Storage does, and what was asked."""

    found: tuple[int, dict[str, Any]]
    made: tuple[int, dict[str, Any]] = (200, {})
    found_then: tuple[int, dict[str, Any]] | None = None
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)


@contextmanager
def cloud_storage(buckets: Buckets, patch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            buckets.asked.append(("GET", self.path, {}))
            self._answer(*buckets.found)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            buckets.asked.append(("POST", self.path, body))
            buckets.found = buckets.found_then or buckets.found
            self._answer(buckets.made[0], buckets.made[1] or body)

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_address[1]}")
    try:
        yield Cloud.connect()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def error(code: int, message: str) -> tuple[int, dict[str, Any]]:
    return code, {"error": {"code": code, "message": message, "errors": [{"reason": "x", "message": message}]}}


NOT_FOUND = error(404, "The specified bucket does not exist.")


def test_a_bucket_is_made_in_its_region_closed_and_with_a_lifecycle(monkeypatch: pytest.MonkeyPatch) -> None:
    buckets = Buckets(NOT_FOUND)
    with cloud_storage(buckets, monkeypatch) as cloud:
        assert Provisioner(SETTINGS, "create_bucket").ensure_bucket(cloud.storage) is True

    ((_, path, body),) = [asked for asked in buckets.asked if asked[0] == "POST"]
    assert f"project={SETTINGS.project}" in path
    assert (body["name"], body["location"], body["storageClass"]) == (SETTINGS.bucket, SETTINGS.location, "STANDARD")
    assert body["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"] is True
    assert body["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    assert {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 1}} in body["lifecycle"]["rule"]
    assert {"action": {"type": "Delete"}, "condition": {"age": 1, "matchesPrefix": ["taxiway_staging/"]}} in body[
        "lifecycle"
    ]["rule"]
    # Nothing that is kept in the bucket is ever deleted by a rule.
    assert len(body["lifecycle"]["rule"]) == 2


def test_a_bucket_that_is_there_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    buckets = Buckets((200, {"name": SETTINGS.bucket, "location": "EUROPE-WEST1"}))
    with cloud_storage(buckets, monkeypatch) as cloud:
        assert Provisioner(SETTINGS, "create_bucket").ensure_bucket(cloud.storage) is False

    assert [method for method, _, _ in buckets.asked] == ["GET"]


@pytest.mark.parametrize(
    "buckets",
    [
        Buckets(error(403, "taxi@x.iam.gserviceaccount.com does not have storage.buckets.get access")),
        Buckets(
            NOT_FOUND,
            error(409, "The requested bucket name is not available."),
            error(403, "taxi@x.iam.gserviceaccount.com does not have storage.buckets.get access"),
        ),
    ],
    ids=["403", "409"],
)
def test_a_name_that_belongs_to_someone_else_is_told(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    with cloud_storage(buckets, monkeypatch) as cloud, pytest.raises(SettingError) as found:
        Provisioner(SETTINGS, "create_bucket").ensure_bucket(cloud.storage)

    said = str(found.value)
    assert f"the bucket's name {SETTINGS.bucket} belongs to someone else" in said
    assert "set the Variable GCP_BUCKET_NAME" in said


def test_a_bucket_that_is_made_meanwhile_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two set-ups at once, or one whose first answer was lost."""
    ours = (200, {"name": SETTINGS.bucket, "location": "EUROPE-WEST1"})
    buckets = Buckets(NOT_FOUND, error(409, "Your previous request to create the named bucket succeeded."), ours)
    with cloud_storage(buckets, monkeypatch) as cloud:
        assert Provisioner(SETTINGS, "create_bucket").ensure_bucket(cloud.storage) is False
    assert [method for method, _, _ in buckets.asked] == ["GET", "POST", "GET"]

    gone = Buckets(NOT_FOUND, error(409, "The requested bucket name is not available."))
    with cloud_storage(gone, monkeypatch) as cloud, pytest.raises(TransientWarehouseError, match="is tried again"):
        Provisioner(SETTINGS, "create_bucket").ensure_bucket(cloud.storage)


def test_a_bucket_without_the_lifecycle_rule_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own = {"action": {"type": "Delete"}, "condition": {"age": 3650}}
    rule = {"action": {"type": "Delete"}, "condition": {"age": 1, "matchesPrefix": ["taxiway_staging/"]}}
    for rules, warned in (([own], True), ([own, rule], False)):
        caplog.clear()
        found = {"name": SETTINGS.bucket, "location": "EUROPE-WEST1", "lifecycle": {"rule": rules}}
        with cloud_storage(Buckets((200, found)), monkeypatch) as cloud:
            Provisioner(SETTINGS, "create_bucket").ensure_bucket(cloud.storage)
        assert ("gcloud storage buckets update" in caplog.text) is warned
        if warned:
            shown = caplog.text.split("echo '")[1].split("'")[0]
            assert json.loads(shown) == {"rule": [own, rule]}, "the bucket's own rules are kept"


def test_a_bucket_somewhere_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    buckets = Buckets((200, {"name": SETTINGS.bucket, "location": "US"}))
    with (
        cloud_storage(buckets, monkeypatch) as cloud,
        pytest.raises(SettingError, match="is in US, expected europe-west1, the Variable GCP_LOCATION"),
    ):
        Provisioner(SETTINGS, "create_bucket").ensure_bucket(cloud.storage)


def test_a_storage_that_does_not_answer_may_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    buckets = Buckets((429, error(429, "slow down")[1]))
    monkeypatch.setattr("google.cloud.storage.retry.DEFAULT_RETRY._timeout", 0.1)
    with cloud_storage(buckets, monkeypatch) as cloud, pytest.raises(TransientWarehouseError, match="is tried again"):
        Provisioner(SETTINGS, "create_bucket").ensure_bucket(cloud.storage)


def test_a_dataset_is_made_once_where_it_belongs(bigquery: StandIn) -> None:
    cloud = Cloud.connect()
    provisioner = Provisioner(SETTINGS, "create_dataset")

    assert provisioner.ensure_dataset(cloud.bigquery) is True
    assert provisioner.ensure_dataset(cloud.bigquery) is False

    dataset = cloud.bigquery.get_dataset(SETTINGS.dataset_name)
    assert dataset.location == SETTINGS.location
    assert "Taxiway" in dataset.description


@pytest.mark.parametrize("limit", ["default_table_expiration", "default_partition_expiration"])
def test_a_dataset_that_deletes_its_tables_is_refused(limit: str, bigquery: StandIn, green: Source) -> None:
    """As a sandbox does after 60 days; also where the table was made by then, or the set-up passed over."""
    from google.cloud.bigquery import Dataset

    cloud = Cloud.connect()
    dataset = Dataset(SETTINGS.dataset_name)
    dataset.location = SETTINGS.location
    setattr(dataset, f"{limit}_ms", 60 * 86_400_000)
    cloud.bigquery.create_dataset(dataset)

    with pytest.raises(SettingError, match=rf"has a {limit} of 60 days.*bq update --{limit}=0 taxi-project:taxi,"):
        Provisioner(SETTINGS, "create_dataset").ensure_dataset(cloud.bigquery)

    create_ledger(cloud.jobs())
    for made in (", created just now, ", " "):
        with pytest.raises(MainTableError, match=f"green_tripdata{made}(is deleted at|loses its months 60 days)"):
            ensure_main_table(cloud.jobs(), cloud.tables(green, "2019-01"))


def test_a_sandbox_is_told(bigquery: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives every new dataset such limits by itself."""
    monkeypatch.setattr(bigquery.catalog, "is_sandbox", True)

    with pytest.raises(SettingError, match="A project without a billing account"):
        Provisioner(SETTINGS, "create_dataset").ensure_dataset(Cloud.connect().bigquery)


def test_a_dataset_somewhere_else_is_told(bigquery: StandIn) -> None:
    from google.cloud.bigquery import Dataset

    cloud = Cloud.connect()
    elsewhere = Dataset(SETTINGS.dataset_name)
    elsewhere.location = "US"
    cloud.bigquery.create_dataset(elsewhere)

    with pytest.raises(SettingError, match=r"the dataset taxi-project\.taxi is in US, expected europe-west1"):
        Provisioner(SETTINGS, "create_dataset").ensure_dataset(cloud.bigquery)
