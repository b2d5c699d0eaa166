"""Publishes a month: one statement brings its partition to the state of the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from taxiway.errors import BalanceError, MissingInputError, TransientWarehouseError, WarehouseError
from taxiway.loads.load import Counts
from taxiway.loads.publication import superseded
from taxiway.loads.steps import PUBLISH
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.file_order import require_latest
from taxiway.warehouses.bigquery.hash import require_table
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.publications import (
    is_followed,
    name_and_number,
    open_numbers,
    publication_labels,
    publication_name,
)
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.warehouse import MOST_NUMBERS, Warehouse


def merging(tables: CloudTables) -> Any:
    """Return the statement that publishes the month."""
    return statement(
        "merge_month",
        main_table=tables.main_table,
        rows_table=tables.rows_table,
        columns=tables.source.columns,
        month=tables.month.first_day.isoformat(),
    )


@dataclass(frozen=True)
class Publication:
    """The job of a publication of the month.

    :param job: the job
    :param own: whether it publishes this load; else another run's, which is under way
    """

    job: Any
    own: bool


def start_publishing(warehouse: Warehouse, tables: CloudTables, load: Load) -> Publication:
    """Start the job that publishes the month, or find the one of another run that has to end first.

    :return: the load's own job; or another run's that isn't done: wait for it, and ask again
    :raises MissingInputError: the rows are not there
    :raises SupersededError: a run that began later has published the month from another file
    :raises TransientWarehouseError: a publication is another account's, and nothing says yet what became of it
    """
    require_table(warehouse, tables, tables.rows_table, left_by="hash_rows")
    main_table = warehouse.find_table(tables.main_table)
    if main_table is None:
        raise MissingInputError(
            f"{tables.where}: the table {tables.main_table} is gone, expected what create_main_table left there: clear "
            f"that task with its downstream tasks"
        )
    entries = ledger.find_loads(warehouse, tables)
    file_rank = require_latest(tables, load, entries)
    name = publication_name(tables, main_table)
    labels = publication_labels(load, file_rank)
    for number in open_numbers(entries):
        started = warehouse.start_query(merging(tables), f"{name}_{number}", labels)
        job = started.job
        if job is None:
            raise _of_another_account(tables, f"{name}_{number}")
        if not started.found:
            return Publication(job, own=True)
        theirs = dict(job.labels or {})
        failed = job.state == "DONE" and job.error_result
        if theirs.get("taxiway_rows") == labels["taxiway_rows"] and not failed:
            return Publication(job, own=True)
        if job.state != "DONE":
            return Publication(job, own=False)
        if failed:
            continue
        their_rank = (int(theirs.get("taxiway_load", 0)), theirs.get("taxiway_fetched_by", ""))
        if their_rank > file_rank and theirs.get("taxiway_file") != labels["taxiway_file"]:
            raise superseded(tables, load.download.sha256, f"(SHA-256 {theirs.get('taxiway_file')}…)")
    raise TransientWarehouseError(
        f"{tables.where}: found {MOST_NUMBERS} publications of the month, expected a free number"
    )


def with_failed_publication(load: Load, job: Any) -> Load:
    """Note the number of a publication that failed, for the ledger: an account that may not look at the job reads it.

    :param job: of the publication
    """
    if job.state != "DONE" or not job.error_result:
        return load
    return replace(load, publication=name_and_number(job)[1])


def finish_publishing(warehouse: Warehouse, tables: CloudTables, load: Load, job: Any) -> Counts:
    """Enter in the ledger what the job changed, then compare the published month with what was staged.

    Once the job has succeeded, the month is published: what goes wrong behind it is tried again, whatever it is.

    :raises TransientWarehouseError: the job failed; or the month is published, and that could not be recorded or
        counted
    :raises WarehouseError: the job failed, and would again
    :raises BalanceError: the month doesn't hold the rows of the file
    """
    warehouse.require_success(job)
    stats = job.dml_stats
    updated = int(stats.updated_row_count) if stats else 0
    inserted = updated + (int(stats.inserted_row_count) if stats else 0)
    deleted = updated + (int(stats.deleted_row_count) if stats else 0)
    staged = load.rows_staged or 0
    counts = Counts(inserted, deleted, staged - inserted)
    name, number = name_and_number(job)
    with _tried_again(warehouse, "The month is published, but not yet entered in the ledger") as behind:
        ledger.record(
            behind,
            tables,
            load,
            PUBLISH,
            "published",
            publication=number,
            rows_inserted=counts.inserted,
            rows_deleted=counts.deleted,
            rows_unchanged=counts.unchanged,
        )
    _require_rows(warehouse, tables, staged, name, number)
    return counts


def published_before(warehouse: Warehouse, tables: CloudTables, load: Load) -> Counts | None:
    """Return what publishing the load has changed, where the run has entered that; None where it hasn't.

    An answer may be lost behind the entry: then the task is tried again.

    :raises TransientWarehouseError: the month could not be counted
    :raises BalanceError: the month doesn't hold the rows of the file
    """
    entry = ledger.published_by(ledger.find_loads(warehouse, tables), tables, load)
    main_table = warehouse.find_table(tables.main_table)
    if entry is None or main_table is None:
        return None
    name = publication_name(tables, main_table)
    _require_rows(warehouse, tables, entry.rows_staged or 0, name, entry.publication or 0)
    return Counts(entry.rows_inserted or 0, entry.rows_deleted or 0, entry.rows_unchanged or 0)


def rows_held(warehouse: Warehouse, tables: CloudTables) -> int:
    """Count the month's rows in the main table."""
    counted = warehouse.run(statement("count_month", {"month": tables.month.first_day}, main_table=tables.main_table))
    return int(counted[0]["row_count"])


def _require_rows(warehouse: Warehouse, tables: CloudTables, staged: int, name: str, number: int) -> None:
    """Make sure that the month holds the rows that were published, unless another publication has followed."""
    with _tried_again(warehouse, "The month is published, and entered in the ledger") as behind:
        held = rows_held(behind, tables)
        if held == staged or is_followed(behind, name, number, ledger.find_loads(behind, tables)):
            return
    raise BalanceError(
        f"{tables.where}: {tables.main_table} holds {held} rows of the month, expected the {staged} of the file, which "
        f"was published: something beside Taxiway has written there. Delete the rows where source_month is "
        f"'{tables.month.first_day}', and run the month again with force"
    )


@contextmanager
def _tried_again(warehouse: Warehouse, outcome: str) -> Iterator[Warehouse]:
    """Let every error of what is done behind a publication be one that is tried again, and say what is published."""
    try:
        yield replace(warehouse, outcome=outcome)
    except WarehouseError as error:
        raise TransientWarehouseError(str(error)) from error


def _of_another_account(tables: CloudTables, job_id: str) -> TransientWarehouseError:
    return TransientWarehouseError(
        f"{tables.where}: the job {job_id}, a publication of the month, is another account's, which is at it still, or "
        f"was stopped or lost before it could enter in the ledger how it ended. This account may not look at it: "
        f"expected the permission bigquery.jobs.get on the project {tables.settings.project}. Nothing was published: "
        f"the task is tried again. Where it keeps failing, run the month again under that account, or give this one "
        f"a role with that permission: docs/bigquery.md"
    )
