"""Statements of ``include/sql/bigquery``: rendered, their values bound, as the configuration of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

from taxiway.warehouses.sql import render

PARAMETER_TYPES = {
    "after": "DATE",
    "attempt": "INT64",
    "before": "DATE",
    "bytes": "INT64",
    "destination": "STRING",
    "earlier_load_id": "STRING",
    "earlier_load_ids": "ARRAY<STRING>",
    "error": "STRING",
    "etag": "STRING",
    "fetched_load_id": "STRING",
    "filename": "STRING",
    "first_moment": "DATETIME",
    "last_modified": "STRING",
    "layout": "STRING",
    "line_numbers": "ARRAY<INT64>",
    "load_ids": "ARRAY<STRING>",
    "load_id": "STRING",
    "month": "DATE",
    "most": "INT64",
    "next_first_moment": "DATETIME",
    "other_filename": "STRING",
    "part": "STRING",
    "publication": "INT64",
    "raw_lines": "ARRAY<STRING>",
    "reasons": "ARRAY<STRING>",
    "row_id_version": "INT64",
    "rows_deleted": "INT64",
    "rows_inserted": "INT64",
    "rows_read": "INT64",
    "rows_rejected": "INT64",
    "rows_staged": "INT64",
    "rows_unchanged": "INT64",
    "run_id": "STRING",
    "sha256": "STRING",
    "source": "STRING",
    "sources": "ARRAY<STRING>",
    "started_at": "TIMESTAMP",
    "state": "STRING",
    "step": "STRING",
    "try_number": "INT64",
    "unpacked_bytes": "INT64",
    "url": "STRING",
    "warnings": "ARRAY<STRING>",
    "yaml_sha256": "STRING",
}
"""The type of every value that a statement binds, by its name."""


@dataclass(frozen=True)
class Statement:
    """A statement that is ready to run.

    :param name: its file below ``include/sql/bigquery``, without its ending
    :param sql: its text
    :param values: what it binds, by name; each has its type in :data:`PARAMETER_TYPES`
    """

    name: str
    sql: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def configuration(self, maximum_bytes_billed: int, labels: Mapping[str, str]) -> dict[str, Any]:
        """Return the configuration of the job that runs it (REST resource JobConfiguration).

        :param maximum_bytes_billed: in bytes
        :param labels: of the job
        """
        return {
            "labels": dict(labels),
            "query": {
                "query": self.sql,
                "useLegacySql": False,
                "useQueryCache": False,
                "maximumBytesBilled": str(maximum_bytes_billed),
                "parameterMode": "NAMED",
                "queryParameters": [_parameter(name, value) for name, value in self.values.items()],
            },
        }


def statement(name: str, values: Mapping[str, Any] | None = None, **names: Any) -> Statement:
    """Render a statement.

    :param name: its file below ``include/sql/bigquery``, without its ending
    :param values: what it binds
    :param names: what Jinja writes into it
    """
    return Statement(name, render(f"bigquery/{name}.sql", **names), dict(values or {}))


def _parameter(name: str, value: Any) -> dict[str, Any]:
    kind = PARAMETER_TYPES[name]
    if kind.startswith("ARRAY<"):
        return {
            "name": name,
            "parameterType": {"type": "ARRAY", "arrayType": {"type": kind[6:-1]}},
            "parameterValue": {"arrayValues": [{"value": _text(item)} for item in value]},
        }
    return {"name": name, "parameterType": {"type": kind}, "parameterValue": {"value": _text(value)}}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.strftime("%Y-%m-%d %H:%M:%S.%f")
        return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")
    return value.isoformat() if isinstance(value, date) else str(value)
