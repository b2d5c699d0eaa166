"""Errors as BigQuery reports them: an HTTP code, a reason and a message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

CODES = {
    "invalid": 400,
    "invalidQuery": 400,
    "bytesBilledLimitExceeded": 400,
    "resourceInUse": 400,
    "accessDenied": 403,
    "quotaExceeded": 403,
    "rateLimitExceeded": 403,
    "billingNotEnabled": 403,
    "notFound": 404,
    "duplicate": 409,
    "conditionNotMet": 412,
    "requestTooLarge": 413,
    "stopped": 499,
    "internalError": 500,
    "notImplemented": 501,
    "backendError": 503,
}


class BigQueryError(Exception):
    """What the service answers in place of a result.

    :param reason: BigQuery's word for it, a key of ``CODES``
    :param message: the text that the client shows
    :param location: what the error is about: ``query``, a field, a file
    """

    def __init__(self, reason: str, message: str, location: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.location = location

    @property
    def code(self) -> int:
        return CODES[self.reason]

    def entry(self) -> dict[str, Any]:
        """The error as it stands in a job's status."""
        entry: dict[str, Any] = {"reason": self.reason, "message": self.message}
        if self.location is not None:
            entry["location"] = self.location
        return entry

    def body(self) -> dict[str, Any]:
        """The error as the body of an HTTP answer."""
        entry = {"domain": "global", **self.entry()}
        return {"error": {"code": self.code, "message": self.message, "errors": [entry], "status": self.reason}}


class RefusedError(BigQueryError):
    """Something that BigQuery may well do, and the stand-in does not: never silently ignored."""

    def __init__(self, what: str) -> None:
        super().__init__("notImplemented", f"The BigQuery stand-in refuses {what}: it isn't implemented here")


def check_fields(given: dict[str, Any], known: set[str], where: str) -> None:
    """Refuse fields of a request that nothing here reads.

    :param given: a JSON object of a request; values of None count as absent
    :param known: the fields that are read, or that make no difference here
    :param where: which object it is, for the message
    :raises RefusedError: if there is another one
    """
    unknown = sorted(name for name, value in given.items() if name not in known and value is not None)
    if unknown:
        raise RefusedError(f"the field {where}.{unknown[0]}")


@contextmanager
def told_as_bigquery_does() -> Iterator[None]:
    """Give DuckDB's errors BigQuery's form: of the statement's data, or of what was translated wrongly."""
    try:
        yield
    except duckdb.NotImplementedException as error:
        raise RefusedError(f"what DuckDB has not: {error}") from None
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
        raise RefusedError(f"a statement that it translated wrongly: {error}") from None
    except duckdb.Error as error:
        message = str(error)
        if "The stand-in refuses" in message:
            raise RefusedError(message.split("The stand-in refuses ", 1)[1]) from None
        if "NOT NULL constraint" in message:
            column = message.rsplit(".", 1)[-1].strip()
            raise BigQueryError("invalidQuery", f"Required field {column} cannot be null", "query") from None
        raise BigQueryError("invalidQuery", message, "query") from None
