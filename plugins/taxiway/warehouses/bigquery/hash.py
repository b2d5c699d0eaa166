"""Gives the rows of a staged month their types and their ids."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from taxiway.download.download import Download
from taxiway.download.month_file import month_rows
from taxiway.errors import MissingInputError
from taxiway.files.rejects import Reject
from taxiway.loads.attempts import Attempt
from taxiway.warehouses.bigquery import rejects
from taxiway.warehouses.bigquery.jobs import Jobs, Started, first_usable_job
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables

if TYPE_CHECKING:
    from google.cloud import bigquery


def start_hashing(jobs: Jobs, tables: CloudTables, attempt: Attempt, staged_by: str) -> Any:
    """Start the job that turns the staging table into typed rows with ``unique_row_id``.

    :param attempt: the step's
    :param staged_by: id of the job that staged the rows
    :return: the job
    :raises MissingInputError: the staging table is not there
    """
    tables = tables.in_layout(attempt.layout)
    require_table(jobs, tables, tables.staging_table, left_by="stage_month")
    hashing = statement(
        "hash_rows",
        {"filename": tables.filename, "month": tables.month.first_day},
        rows_table=tables.rows_table,
        staging_table=tables.staging_table,
        columns=tables.source.columns,
        id_columns=tables.layout.columns,
    )

    def start(job_id: str) -> Started:
        return jobs.start_query(hashing, job_id)

    return first_usable_job(
        jobs, start, hashing_job_name(attempt, staged_by), lambda _: jobs.find_table(tables.rows_table) is not None
    )


def hashing_job_name(attempt: Attempt, staged_by: str) -> str:
    """Return the beginning of the ids of the jobs that hash the rows of a staging job."""
    key = hashlib.sha256(staged_by.encode()).hexdigest()[:8]
    return f"taxiway_{attempt.fetched_load_id}_hash_rows_{key}"


def finish_hashing(
    jobs: Jobs, tables: CloudTables, attempt: Attempt, file: Download, job: Any
) -> tuple[int, int, Sequence[Reject]]:
    """Count the rows that have an id; if some have none, find them, and keep their lines.

    :param attempt: the step's
    :param file: the downloaded file
    :return: rows that have an id, rows of the file that are rejected, and the first of those that are rejected here
    :raises MissingInputError: the rows are not there
    :raises BalanceError: the lines that can't be read aren't those that have no id
    """
    jobs.require_success(job)
    hashed = int(require_table(jobs, tables, tables.rows_table, left_by="hash_rows").num_rows or 0)
    before = attempt.rows_rejected or 0
    missing = (attempt.rows_read or 0) - before - hashed
    if missing == 0:
        return hashed, before, []
    tables = tables.in_layout(attempt.layout)
    reasons = rejects.find_unreadable(jobs, tables)
    header, shape, blocks = month_rows(tables.source, tables.month, file)
    found = rejects.with_line_numbers(
        itertools.chain([header + b"\n"], blocks), shape.columns, tables.layout.columns, reasons, shape.unnamed
    )
    rejects.keep(jobs, tables, attempt.load_id, found.kept)
    # First: rows that are missing because the table was emptied aren't rejected rows.
    rejects.require_all_found(tables, found.count, missing, kinds=len(reasons))
    return hashed, before + missing, found.kept


def require_table(jobs: Jobs, tables: CloudTables, table: str, left_by: str) -> bigquery.Table:
    """Make sure that a table of the run is there.

    :param table: its name with project and dataset
    :param left_by: the step that leaves it
    :return: its description
    :raises MissingInputError: it isn't there
    """
    found = jobs.find_table(table)
    if found is None:
        raise MissingInputError(
            f"{tables.where}: the table {table} is gone, expected what {left_by} left there (BigQuery deletes it after "
            f"a day): clear the task stage_month with its downstream tasks, and the month is staged again"
        )
    return found
