"""Says in Taxiway's words what Google Cloud refused, and whether a retry may help."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from taxiway.errors import TaxiwayError, TransientWarehouseError, WarehouseError
from taxiway.messages import one_line

if TYPE_CHECKING:
    from taxiway.warehouses.bigquery.settings import GcpSettings

TRANSIENT_REASONS = frozenset(
    {
        "backendError",
        "duplicate",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "quotaExceeded",
        "rateLimitExceeded",
        "stopped",
        "tableUnavailable",
        "timeout",
    }
)
"""Reasons of the BigQuery API that a retry may fix (cloud.google.com/bigquery/docs/error-messages)."""

FINAL_REASONS = frozenset(
    {
        "accessDenied",
        "billingNotEnabled",
        "billingTierLimitExceeded",
        "bytesBilledLimitExceeded",
        "invalid",
        "invalidQuery",
        "notFound",
        "notImplemented",
        "resourcesExceeded",
        "responseTooLarge",
    }
)
"""Reasons that it can't fix."""

TRANSIENT_CODES = frozenset({408, 412, 429, 500, 502, 503, 504})
"""HTTP statuses that a retry may fix."""

# BigQuery calls it invalidQuery if two statements change a table at the same time: what it says tells them apart.
_CONFLICT = re.compile(r"could not serialize access|due to concurrent|aborted due to", re.IGNORECASE)

# Another run may be at work on the ledger right now.
_NO_LEDGER = re.compile(r"Not found: Table [^ ]+[.:](load_events|rejected_rows|loads|months)\b")

_ROLES = (
    "the account of the connection taxi_gcp needs BigQuery Job User on the project, BigQuery Data Editor on the "
    "dataset, Storage Object User and Storage Legacy Bucket Reader on the bucket: docs/bigquery.md"
)

_CREDENTIALS = (
    "the credentials of the connection taxi_gcp are not valid: give it another key, or run 'gcloud auth "
    "application-default login': docs/bigquery.md"
)

_ADVICE = {
    "accessDenied": f"{_ROLES}; and GCP_PROJECT_ID has to name a project that exists",
    "accessNotConfigured": (
        "an API is off in the project: gcloud services enable bigquery.googleapis.com storage.googleapis.com"
    ),
    "authError": _CREDENTIALS,
    "required": _CREDENTIALS,
    "forbidden": _ROLES,
    "billingNotEnabled": "give the project a billing account, or stay within the sandbox's limits",
    "bytesBilledLimitExceeded": (
        "nothing was billed: raise the Variable GCP_MAXIMUM_BYTES_BILLED if the query may cost that much"
    ),
    "notFound": (
        "run the DAG gcp_setup once, and check whether GCP_PROJECT_ID, GCP_DATASET, GCP_BUCKET_NAME and GCP_LOCATION "
        "name what you mean; a dataset is found in its own location only"
    ),
    "quotaExceeded": (
        "a quota of the project is used up; the task is tried again. If that goes on failing, look at the "
        "quotas in the Google Cloud console"
    ),
    "rateLimitExceeded": "too many requests at once; the task is tried again",
}

_REASON_OF_CODE = {401: "authError", 403: "forbidden", 404: "notFound"}

F = TypeVar("F", bound=Callable[..., Any])


def explains(act: F) -> F:
    """Decorate a method of what has ``where`` and ``settings``: Google's errors come out as Taxiway's.

    If it also has ``outcome``, the errors say that, too: what had been published when they came.
    """

    @wraps(act)
    def explaining(self: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return act(self, *arguments, **options)
        except TaxiwayError:
            raise
        except Exception as error:
            found = as_taxiway_error(error, self.where, self.settings, getattr(self, "outcome", ""))
            if found is None:
                raise
            if isinstance(error, _credentials_error()):
                # What the library says of a key may quote it, and a log prints what an error comes from.
                raise found from None
            raise found from error

    return explaining  # type: ignore[return-value]


def _credentials_error() -> type[Exception]:
    from google.auth.exceptions import GoogleAuthError

    return GoogleAuthError


def as_taxiway_error(error: BaseException, where: str, settings: GcpSettings, outcome: str = "") -> TaxiwayError | None:
    """Say what an exception of Google's clients means; None for any other.

    :param error: the exception
    :param where: what was being done, for the message
    :param settings: the settings in force
    :param outcome: what had been published, for the message; nothing is said of it without
    """
    import google.auth.exceptions
    import requests
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.cloud.storage.exceptions import (  # type: ignore[import-untyped]
        DataCorruption,
        InvalidResponse,
    )

    if isinstance(error, RetryError) and error.cause is not None:
        error = error.cause
    if isinstance(error, GoogleAPICallError):
        errors = getattr(error, "errors", None) or [{}]
        first = errors[0] if isinstance(errors[0], Mapping) else {}
        reason = str(first.get("reason") or _REASON_OF_CODE.get(int(error.code or 0), ""))
        message = str(first.get("message") or error.message)
        return failure(where, reason, message, settings, code=int(error.code or 0), outcome=outcome)
    result = f" {outcome}." if outcome else ""
    lost = google.auth.exceptions.TransportError | requests.RequestException | ConnectionError | TimeoutError
    if isinstance(error, lost) or getattr(error, "retryable", False):
        return TransientWarehouseError(
            f"{where}: no answer from Google Cloud ({type(error).__name__}), expected one.{result} The task is tried "
            f"again"
        )
    if isinstance(error, DataCorruption):
        return TransientWarehouseError(
            f"{where}: bytes were changed on their way to or from Cloud Storage: expected the checksum of what was "
            f"sent.{result} The task is tried again"
        )
    if isinstance(error, InvalidResponse):
        status = int(getattr(error.response, "status_code", 0) or 0)
        said = str(error.args[-1]) if error.args else ""
        return failure(where, _REASON_OF_CODE.get(status, ""), said, settings, code=status, outcome=outcome)
    if isinstance(error, RetryError):
        return TransientWarehouseError(f"{where}: Google Cloud did not answer in time.{result} The task is tried again")
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        # What the library found may quote the key file: only its kind is told.
        return WarehouseError(
            f"{where}: the credentials of the connection taxi_gcp don't work ({type(error).__name__}): expected a key "
            f"file (key_path), a key (keyfile_dict, best from a secrets backend) or application default credentials "
            f"('gcloud auth application-default login'): docs/bigquery.md"
        )
    return None


def failure(
    where: str, reason: str, message: str, settings: GcpSettings, *, code: int = 0, outcome: str = ""
) -> TaxiwayError:
    """Make the error for a reason of the API.

    :param where: what was being done
    :param reason: the API's short reason, for example ``quotaExceeded``
    :param message: the API's message
    :param settings: the settings in force
    :param code: the HTTP status, if there is one
    :param outcome: what had been published, for the message; nothing is said of it without
    """
    said = one_line(message, 1000)
    # The client gives a job's failure an HTTP status of its own: if the API names its reason, that one counts.
    transient = reason in TRANSIENT_REASONS or (code in TRANSIENT_CODES and reason not in FINAL_REASONS)
    advice = _ADVICE.get(reason)
    if _CONFLICT.search(said):
        transient, advice = True, "another statement was changing the table; the task is tried again"
    elif _NO_LEDGER.search(said):
        transient = True
        advice = (
            "the ledger isn't there, or not all of it; the task is tried again. If that goes on failing, run the "
            "DAG gcp_setup, which creates what is absent"
        )
    if advice is None:
        correct = "correct that, and clear the task with its downstream tasks"
        advice = "the task is tried again" if transient else correct
    kind = TransientWarehouseError if transient else WarehouseError
    result = f". {outcome}" if outcome else ""
    return kind(
        f"{where}, project {settings.project}, {settings.location}: Google Cloud says: {said} "
        f"({reason or code or 'no reason'}){result}: {advice}"
    )
