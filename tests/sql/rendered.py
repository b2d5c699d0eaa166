"""Every SQL file of the project, rendered as a load of green 2019-01 renders it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from taxiway.paths import SOURCES_FOLDER, SQL_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import load_source
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render

MONTH = Month(2019, 1)
_GREEN = load_source(SOURCES_FOLDER / "green.yaml")
GREEN = replace(_GREEN, columns=_GREEN.layout_of(MONTH).columns)
TABLES = LoadTables(GREEN, MONTH, "manual__1")

RUN: dict[str, Any] = {
    "staging_table": TABLES.staging_table,
    "rows_table": TABLES.rows_table,
    "rows_name": TABLES.rows_name,
    "differences_table": TABLES.differences_table,
    "index_name": TABLES.index_name,
    "partition_name": TABLES.partition_name,
    "partition": f"public.{TABLES.partition_name}",
    "partition_index": TABLES.partition_index,
    "main_table": GREEN.main_table,
    "columns": GREEN.columns,
    "file_columns": GREEN.columns,
    "id_columns": GREEN.columns,
    "numbered": False,
    "has_ids": False,
    "plain": False,
    "by_column": False,
    "is_earlier": False,
}

OWN: dict[str, dict[str, Any]] = {
    "list_rejected_rows": {"by_reason": True},
    "create_main_table": {"title": GREEN.title},
    "evaluate": {"expression": "SUM(fare_amount)"},
    "number_duplicate_rows": {"named": True},
    "drop_unreadable_rows": {"named": False},
    "find_differences": {"compare_values": True},
    "check_month": {
        "checks": [check for check in GREEN.checks if check.column is not None],
        "broken": ["passenger_count < 0"],
    },
    "find_changed_rows": {"others": GREEN.columns[-1:]},
    "find_broken_row": {"is_broken": "broken.passenger_count < 0"},
    "grant_reader": {"tables": ["taxiway.loads", "taxiway.months", f"public.{GREEN.main_table}"]},
    "summarize_month": {
        "parts": {
            "pickup_time": "lpep_pickup_datetime",
            "pickup_zone": "pulocationid",
            "payment_type": "payment_type",
            "revenue": "total_amount",
            "distance": "trip_distance",
            "tips": None,
        },
        "with_zones": True,
    },
    "sum_up_summary": {"groups": ["zone", "borough"]},
    "record_step": {"columns": ["rows_read", "rows_rejected", "error"]},
}
"""What one file needs beside what all share."""


def file_names() -> list[str]:
    """Names of the files of ``include/sql/postgres`` that are statements; those with an underscore are macros."""
    files = (SQL_FOLDER / "postgres").glob("*.sql")
    return sorted(str(path.relative_to(SQL_FOLDER)) for path in files if not path.name.startswith("_"))


def rendered(name: str) -> str:
    """Render one file, named as :func:`file_names` names it."""
    stem = name.rpartition("/")[2].removesuffix(".sql")
    return render(name, **{**RUN, **OWN.get(stem, {})})
