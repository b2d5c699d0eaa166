"""Publishes a month: one statement brings its partition to the state of the file.

BigQuery doesn't let two statements that only add rows wait for each other, so two runs of an empty month could both add
theirs. What makes them wait is the id of the job, which can be used once: the n-th publication of a month is
the job of number n, and who finds that number taken waits for its job to end before trying the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taxiway.bigquery import ledger
from taxiway.bigquery.hash import require_table
from taxiway.bigquery.ledger import Entry
from taxiway.bigquery.load import Load
from taxiway.bigquery.statements import statement
from taxiway.bigquery.tables import CloudTables
from taxiway.bigquery.warehouse import MOST_NUMBERS, Warehouse
from taxiway.core.errors import BalanceError, OvertakenError, StagingMissingError, WarehouseBusyError

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


def start_publishing(warehouse: Warehouse, tables: CloudTables, load: Load) -> Any:
    """Start the job that publishes the month, once no other publication of the month is under way.

    :return: the job
    :raises StagingMissingError: the rows are not there
    :raises OvertakenError: a run that began later has published the month from another file
    """
    require_table(warehouse, tables, tables.rows_table, left_by="hash_rows")
    main_table = warehouse.find_table(tables.main_table)
    if main_table is None or main_table.created is None:
        raise StagingMissingError(
            f"{tables.where}: the table {tables.main_table} is gone, expected what create_main_table left there: clear "
            f"that task with its downstream tasks"
        )
    entries = ledger.find_loads(warehouse, tables)
    load_number = _number_of(tables, load, entries)
    before = ledger.published(entries)
    if before and before[-1].load_number > load_number and before[-1].sha256 != load.download.sha256:
        raise _overtaken(tables, load, str(before[-1].sha256))
    created = int(main_table.created.timestamp() * 1000)
    name = f"taxiway_publish_{tables.settings.dataset}_{tables.month_name}_{created}"
    labels = _labels(load, load_number)
    first = (before[-1].publication or 0) + 1 if before else 1
    for number in range(first, first + MOST_NUMBERS):
        started = warehouse.start_query(merging(tables), f"{name}_{number}", labels)
        job = started.job
        if not started.found:
            return job
        theirs = dict(job.labels or {})
        if theirs.get("taxiway_rows") == labels["taxiway_rows"] and not (job.state == "DONE" and job.error_result):
            return job
        if warehouse.wait(job).error_result:
            continue
        if int(theirs.get("taxiway_load", 0)) > load_number and theirs.get("taxiway_file") != labels["taxiway_file"]:
            raise _overtaken(tables, load, str(theirs.get("taxiway_file")))
    raise WarehouseBusyError(f"{tables.where}: found {MOST_NUMBERS} publications of the month, expected a free number")


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
    """Whether another publication of the month has begun since: then the rows may be of that one."""
    name, number = _publication(job)
    return warehouse.job_exists(f"{name}_{number + 1}")


def _number_of(tables: CloudTables, load: Load, entries: Sequence[Entry]) -> int:
    """Find the attempt's number in the ledger, which tells what began later, whatever the clocks say."""
    for entry in entries:
        if entry.load_id == load.load_id:
            return entry.load_number
    raise StagingMissingError(
        f"{tables.where}: the attempt {load.load_id} is gone from {tables.dataset}.load_events, expected what "
        f"download_month entered there: clear that task with its downstream tasks"
    )


def _labels(load: Load, load_number: int) -> dict[str, str]:
    """Labels of the job, by which another run knows what it publishes."""
    return {
        "taxiway_rows": hashlib.sha256(load.hashed_by.encode()).hexdigest()[:32],
        "taxiway_file": load.download.sha256[:60],
        "taxiway_load": str(load_number),
    }


def _overtaken(tables: CloudTables, load: Load, sha256: str) -> OvertakenError:
    return OvertakenError(
        f"{tables.where}: a run that began later has published the month meanwhile, from another file (SHA-256 "
        f"{sha256}…); expected to publish {load.download.sha256}. Nothing was changed: run the month again if this "
        f"file is the right one"
    )
