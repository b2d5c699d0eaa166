"""Every SQL file of BigQuery, rendered as a load of green 2019-01 renders it, with the tables that it finds there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from taxiway.paths import SOURCES_FOLDER, SQL_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.bigquery.main_table import cluster_column, main_columns
from taxiway.warehouses.bigquery.settings import GcpSettings
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.sql import render

MONTH = Month(2019, 1)
_GREEN = load_source(SOURCES_FOLDER / "green.yaml")
GREEN = replace(_GREEN, columns=_GREEN.layout_of(MONTH).columns)
SETTINGS = GcpSettings("taxi-project", "europe-west1", "taxi-project-bucket", "taxi", 10**9)
TABLES = CloudTables(GREEN, MONTH, "manual__1", settings=SETTINGS)

OWN: dict[str, dict[str, Any]] = {
    "list_rejected_rows": {"by_reason": True},
    "count_files": {"months": ["2019-01-01", "2019-02-01"]},
    "check_month": {"checks": [check for check in GREEN.checks if check.column is not None]},
    "evaluate": {"expression": "SUM(fare_amount)"},
    "find_earlier_rows": {"months": ["2019-01-01", "2019-02-01"]},
    "merge_month": {"month": "2019-01-01"},
    "rename_file": {"month": "2019-01-01"},
}
"""What one file needs beside what all share."""


def run(tables: CloudTables = TABLES) -> dict[str, Any]:
    """What Jinja writes into the statements of a load."""
    return {
        "dataset": tables.dataset,
        "staging_table": tables.staging_table,
        "rows_table": tables.rows_table,
        "main_table": tables.main_table,
        "columns": tables.source.columns,
        "file_columns": tables.source.columns,
        "id_columns": tables.source.columns,
        "others": [],
        "is_earlier": False,
        "cluster_by": cluster_column(tables.source),
        "title": tables.source.title,
    }


def file_names() -> list[str]:
    """Names of the files of ``include/sql/bigquery`` that are statements; those with an underscore are macros."""
    files = (SQL_FOLDER / "bigquery").glob("*.sql")
    return sorted(str(path.relative_to(SQL_FOLDER)) for path in files if not path.name.startswith("_"))


def rendered(name: str, tables: CloudTables = TABLES) -> str:
    """Render one file, named as :func:`file_names` names it."""
    stem = name.rpartition("/")[2].removesuffix(".sql")
    return render(name, **{**run(tables), **OWN.get(stem, {})})


def statements(name: str) -> list[str]:
    """Render one file, and cut it into its statements."""
    return [text.strip() for text in re.split(r";\s*(?:\n|$)", rendered(name)) if text.strip()]


def staged_columns(source: Source) -> dict[str, str]:
    """Columns of a staging table, with their types."""
    return {column.name: "STRING" for column in source.columns}


EVENTS = {
    "load_id": "STRING",
    "load_number": "INT64",
    "source": "STRING",
    "month": "DATE",
    "destination": "STRING",
    "run_id": "STRING",
    "attempt": "INT64",
    "try_number": "INT64",
    "fetched_load_id": "STRING",
    "step": "STRING",
    "state": "STRING",
    "filename": "STRING",
    "url": "STRING",
    "etag": "STRING",
    "last_modified": "STRING",
    "bytes": "INT64",
    "sha256": "STRING",
    "unpacked_bytes": "INT64",
    "layout": "STRING",
    "row_id_version": "INT64",
    "yaml_sha256": "STRING",
    "rows_read": "INT64",
    "rows_rejected": "INT64",
    "rows_staged": "INT64",
    "rows_inserted": "INT64",
    "rows_deleted": "INT64",
    "rows_unchanged": "INT64",
    "publication": "INT64",
    "warnings": "ARRAY<STRING>",
    "started_at": "TIMESTAMP",
    "finished_at": "TIMESTAMP",
    "error": "STRING",
    "recorded_at": "TIMESTAMP",
}
"""Columns of ``load_events``; the view ``loads`` has all but the last."""

MONTHS = {
    "source": "STRING",
    "destination": "STRING",
    "month": "DATE",
    "last_state": "STRING",
    "last_error": "STRING",
    "last_started_at": "TIMESTAMP",
    "filename": "STRING",
    "url": "STRING",
    "sha256": "STRING",
    "row_count": "INT64",
    "rows_rejected": "INT64",
    "warnings": "ARRAY<STRING>",
    "published_at": "TIMESTAMP",
    "unpacked_bytes": "INT64",
    "layout": "STRING",
    "row_id_version": "INT64",
    "yaml_sha256": "STRING",
}
"""Columns of the view ``months``."""

REJECTS = {
    "load_id": "STRING",
    "source": "STRING",
    "month": "DATE",
    "line_number": "INT64",
    "raw_line": "STRING",
    "reason": "STRING",
}
"""Columns of ``rejected_rows``."""


def schemas(tables: CloudTables = TABLES) -> Mapping[str, Mapping[str, str]]:
    """The tables of the dataset, with the types of their columns."""
    main = dict(main_columns(tables.source))
    return {
        f"{tables.dataset}.load_events": EVENTS,
        f"{tables.dataset}.loads": {name: kind for name, kind in EVENTS.items() if name != "recorded_at"},
        f"{tables.dataset}.months": MONTHS,
        f"{tables.dataset}.rejected_rows": REJECTS,
        tables.main_table: main,
        tables.rows_table: main,
        tables.staging_table: staged_columns(tables.source),
    }
