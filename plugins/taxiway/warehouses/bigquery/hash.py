"""Gives the rows of a staged month their types and their ids."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from taxiway.download.month_file import unpacked_month
from taxiway.errors import MissingInputError
from taxiway.warehouses.bigquery import rejects
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.stage import file_columns
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.warehouse import Started, Warehouse, first_usable_job


def start_hashing(warehouse: Warehouse, tables: CloudTables, load: Load) -> Any:
    """Start the job that turns the staging table into typed rows with ``unique_row_id``.

    :return: the job
    :raises MissingInputError: the staging table is not there
    """
    require_table(warehouse, tables, tables.staging_table, left_by="stage_month")
    hashing = statement(
        "hash_rows",
        {"filename": tables.filename, "month": tables.month.first_day},
        rows_table=tables.rows_table,
        staging_table=tables.staging_table,
        columns=tables.source.columns,
    )

    def start(job_id: str) -> Started:
        return warehouse.start_query(hashing, job_id)

    return first_usable_job(
        warehouse, start, hashing_job_name(load), lambda _: warehouse.find_table(tables.rows_table) is not None
    )


def hashing_job_name(load: Load) -> str:
    """Return what the ids of the jobs begin with that hash what a job has staged."""
    staged_by = hashlib.sha256(load.staged_by.encode()).hexdigest()[:8]
    return f"taxiway_{load.fetched_load_id}_hash_rows_{staged_by}"


def finish_hashing(warehouse: Warehouse, tables: CloudTables, load: Load, job: Any) -> Load:
    """Count the rows that have an id; where some have none, find out which, and keep their lines.

    :return: the load, with its rows
    :raises MissingInputError: the rows are not there
    :raises RejectLimitError: more rows that can't be read than the source allows
    :raises BalanceError: the lines that can't be read aren't those that have no id
    """
    warehouse.require_success(job)
    hashed = require_table(warehouse, tables, tables.rows_table, left_by="hash_rows")
    before = load.rows_rejected or 0
    missing = (load.rows_read or 0) - before - hashed
    if missing == 0:
        return replace(load, rows_staged=hashed)
    reasons = rejects.find_unreadable(warehouse, tables)
    found = rejects.with_line_numbers(
        unpacked_month(tables.source, tables.month, load.download),
        file_columns(tables, load),
        tables.source.columns,
        reasons,
        load.unnamed,
    )
    rejects.keep(warehouse, tables, load.load_id, found.kept)
    # First: what isn't there because the table was emptied is no rejected row.
    rejects.require_all_found(tables, found.count, missing, kinds=len(reasons))
    rejects.check_limit(tables, before + missing, load.rows_read or 0, found.kept)
    return replace(load, rows_staged=hashed, rows_rejected=before + missing)


def require_table(warehouse: Warehouse, tables: CloudTables, table: str, left_by: str) -> int:
    """Make sure that a table of the run is there.

    :param table: its name with project and dataset
    :param left_by: the step that leaves it
    :return: how many rows it has
    :raises MissingInputError: it isn't there
    """
    found = warehouse.find_table(table)
    if found is None:
        raise MissingInputError(
            f"{tables.where}: the table {table} is gone, expected what {left_by} left there (BigQuery deletes it after "
            f"a day): clear the task stage_month with its downstream tasks, and the month is staged again"
        )
    return int(found.num_rows or 0)
