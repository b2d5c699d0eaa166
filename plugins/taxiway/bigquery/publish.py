"""Publishes a month: one statement brings its partition to the state of the file.

BigQuery doesn't let two statements that only add rows wait for each other, so two runs of an empty month could both add
theirs. What makes them wait is the id of the job, which can be used once: the n-th publication of a month is
the job of number n, and who finds that number taken waits for its job to end before trying the next.
The ledger has the number of every publication that ended, failed ones too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from taxiway.bigquery import ledger
from taxiway.bigquery.hash import require_table
from taxiway.bigquery.load import Load
from taxiway.bigquery.precedence import overtaken, require_latest
from taxiway.bigquery.statements import statement
from taxiway.bigquery.tables import CloudTables
from taxiway.bigquery.warehouse import MOST_NUMBERS, Warehouse
from taxiway.core.errors import BalanceError, StagingMissingError, WarehouseBusyError

STEP = "merge_month"


@dataclass(frozen=True)
class Counts:
    """What publishing changed.

    :param inserted: rows that the month did not hold before
    :param deleted: rows that the month held before and the file no longer has
    :param unchanged: rows that stayed
    """

    inserted: int
    deleted: int
    unchanged: int


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
    :raises StagingMissingError: the rows are not there
    :raises OvertakenError: a run that began later has published the month from another file
    :raises WarehouseBusyError: a publication is another account's, and nothing says yet what became of it
    """
    require_table(warehouse, tables, tables.rows_table, left_by="hash_rows")
    main_table = warehouse.find_table(tables.main_table)
    if main_table is None or main_table.created is None:
        raise StagingMissingError(
            f"{tables.where}: the table {tables.main_table} is gone, expected what create_main_table left there: clear "
            f"that task with its downstream tasks"
        )
    entries = ledger.find_loads(warehouse, tables)
    file_number = require_latest(tables, load, entries)
    created = int(main_table.created.timestamp() * 1000)
    name = f"taxiway_publish_{tables.settings.dataset}_{tables.month_name}_{created}"
    labels = _labels(load, file_number)
    before = ledger.published(entries)
    first = 1 + ((before[-1].publication or 0) if before else 0)
    failed_before = {entry.publication for entry in entries}
    for number in range(first, first + MOST_NUMBERS):
        if number in failed_before:
            continue
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
        if int(theirs.get("taxiway_load", 0)) > file_number and theirs.get("taxiway_file") != labels["taxiway_file"]:
            their_file = f"(SHA-256 {theirs.get('taxiway_file')}…)"
            raise overtaken(tables, load, f"published the month meanwhile, from another file {their_file}")
    raise WarehouseBusyError(f"{tables.where}: found {MOST_NUMBERS} publications of the month, expected a free number")


def with_failed_publication(load: Load, job: Any) -> Load:
    """Note the number of a publication that failed, for the ledger: an account that may not look at the job reads it.

    :param job: of the publication
    """
    if job.state != "DONE" or not job.error_result:
        return load
    return replace(load, publication=_publication(job)[1])


def finish_publishing(warehouse: Warehouse, tables: CloudTables, load: Load, job: Any) -> Counts:
    """Count what the job changed, compare the published month with what was staged, and enter it in the ledger.

    :raises BalanceError: the month doesn't hold the rows of the file
    """
    warehouse.require_success(job)
    stats = job.dml_stats
    inserted, deleted = (int(stats.inserted_row_count), int(stats.deleted_row_count)) if stats else (0, 0)
    staged = load.rows_staged or 0
    counted = warehouse.run(statement("count_month", {"month": tables.month.first_day}, main_table=tables.main_table))
    held = counted[0]["row_count"]
    if held != staged and not _is_followed(warehouse, job):
        raise BalanceError(
            f"{tables.where}: {tables.main_table} holds {held} rows of the month, expected the {staged} of the file: "
            f"something beside Taxiway has written there. Delete the rows where source_month is "
            f"'{tables.month.first_day}', and run the month again with force"
        )
    counts = Counts(inserted, deleted, staged - inserted)
    ledger.record(
        warehouse,
        tables,
        load,
        STEP,
        "published",
        publication=_publication(job)[1],
        rows_inserted=counts.inserted,
        rows_deleted=counts.deleted,
        rows_unchanged=counts.unchanged,
    )
    return counts


def _publication(job: Any) -> tuple[str, int]:
    """Take the id of a publication's job apart: name and number."""
    name, _, number = job.job_id.rpartition("_")
    return name, int(number)


def _is_followed(warehouse: Warehouse, job: Any) -> bool:
    """Whether another publication of the month has begun since, and hasn't failed: the rows may be of that one."""
    name, number = _publication(job)
    while following := warehouse.look_up(f"{name}_{(number := number + 1)}"):
        theirs = following.job
        if theirs is None or theirs.state != "DONE" or not theirs.error_result:
            return True
    return False


def _of_another_account(tables: CloudTables, job_id: str) -> WarehouseBusyError:
    return WarehouseBusyError(
        f"{tables.where}: the job {job_id}, a publication of the month, is another account's, which is at it still, or "
        f"was lost before it could enter in the ledger how it ended. This account may not look at it: expected the "
        f"permission bigquery.jobs.get on the project {tables.settings.project}. Nothing was published: the task is "
        f"tried again. Where that goes on failing, run the month again under that account, or give this one a role "
        f"with that permission: docs/bigquery.md"
    )


def _labels(load: Load, file_number: int) -> dict[str, str]:
    """Labels of the job, by which another run knows what it publishes."""
    return {
        "taxiway_rows": hashlib.sha256(load.hashed_by.encode()).hexdigest()[:32],
        "taxiway_file": load.download.sha256[:60],
        "taxiway_load": str(file_number),
    }
