"""Publishes a month: one statement makes its partition equal to the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from taxiway.errors import BalanceError, MissingInputError, TransientWarehouseError, WarehouseError
from taxiway.loads.attempts import Attempt
from taxiway.loads.deletions import DeletionGuard, Deletions
from taxiway.loads.load import Counts
from taxiway.loads.publication import superseded
from taxiway.messages import counted
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.file_order import require_latest
from taxiway.warehouses.bigquery.hash import require_table
from taxiway.warehouses.bigquery.jobs import MOST_NUMBERS, Jobs
from taxiway.warehouses.bigquery.publication_jobs import (
    is_followed,
    name_and_number,
    open_numbers,
    publication_labels,
    publication_name,
    rows_key,
)
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables

NOTHING = "Nothing was published by this run"
UNKNOWN = "Whether the month is published isn't known yet"
"""What is said of the outcome before a publication can have begun, and from then on until its end is seen."""


def merging(tables: CloudTables) -> Any:
    """Return the statement that publishes the month."""
    return statement(
        "merge_month",
        main_table=tables.main_table,
        rows_table=tables.rows_table,
        columns=tables.source.columns,
        month=tables.month.first_day.isoformat(),
    )


def count_deletions(jobs: Jobs, tables: CloudTables) -> Deletions:
    """Count the month's rows in the main table, and those that the file lacks."""
    names = {"main_table": tables.main_table, "rows_table": tables.rows_table}
    (found,) = jobs.run(statement("count_deletions", {"month": tables.month.first_day}, **names))
    return Deletions(int(found["deleted_rows"]), int(found["published_rows"]))


@dataclass(frozen=True)
class Publication:
    """The job of a publication of the month.

    :param job: the job
    :param own: whether it publishes this load; else another run's, which is under way
    """

    job: Any
    own: bool


def start_publishing(
    jobs: Jobs,
    tables: CloudTables,
    attempt: Attempt,
    guard: DeletionGuard,
    entries: Sequence[ledger.Entry] | None = None,
) -> Publication:
    """Start the job that publishes the month, or find the job of another run that has to end first.

    :param attempt: the step's
    :param guard: decides whether rows may be deleted; the number of the publication tells that the rows are still those
        that were counted
    :param entries: the month's attempts, if they were read just now; a publication that has begun since has a number
    :return: the load's own job; or the job of another run that isn't done: wait for it, and call again
    :raises MissingInputError: the rows are not there
    :raises DestructiveCorrectionError: the guard lets the rows not be deleted
    :raises SupersededError: a run that began later has published the month from another file
    :raises TransientWarehouseError: a publication belongs to another account, and its result isn't recorded yet
    """
    rows_table = require_table(jobs, tables, tables.rows_table, left_by="hash_rows")
    main_table = require_main_table(jobs, tables)
    entries = ledger.find_loads(jobs, tables) if entries is None else entries
    file_rank = require_latest(tables, attempt, entries)
    name = publication_name(tables, main_table)
    labels = publication_labels(attempt, file_rank, rows_key(rows_table))
    published = ledger.last_published(entries)
    holds_rows = published is not None
    for number in open_numbers(entries):
        # The job of a number that is taken may be the load's own, of an earlier try: then its rows are published.
        started = jobs.look_up(f"{name}_{number}") if holds_rows else None
        if started is None:
            if holds_rows:
                guard.require_few(published, lambda: count_deletions(replace(jobs, outcome=NOTHING), tables))
            started = jobs.start_query(merging(tables), f"{name}_{number}", labels)
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
            raise superseded(tables, attempt.sha256 or "", f"(SHA-256 {theirs.get('taxiway_file')}…)")
        # The ledger may not know yet what it has published.
        published, holds_rows = None, True
    raise TransientWarehouseError(
        f"{tables.where}: found {MOST_NUMBERS} publications of the month, expected a free number"
    )


def require_main_table(jobs: Jobs, tables: CloudTables) -> Any:
    """Return the main table's description.

    :raises MissingInputError: it is gone
    """
    main_table = jobs.find_table(tables.main_table)
    if main_table is None:
        raise MissingInputError(
            f"{tables.where}: the table {tables.main_table} is gone, expected what create_main_table left there: clear "
            f"that task with its downstream tasks"
        )
    return main_table


def failed_publication(job: Any) -> int | None:
    """Return the number of a publication that failed, for the ledger: an account that may not see the job reads it
    there.

    :param job: of the publication
    """
    return name_and_number(job)[1] if job.state == "DONE" and job.error_result else None


def finish_publishing(
    jobs: Jobs, tables: CloudTables, attempt: Attempt, job: Any, record: Callable[..., None]
) -> Counts:
    """Record in the ledger what the job changed, then compare the published month with what was staged.

    Once the job has succeeded, the month is published: any error after that is tried again.

    :param attempt: the step's
    :param record: records in the ledger, over the client that it is given, that the month is published
    :raises TransientWarehouseError: the job failed; or the month is published, and this could not be recorded or
        counted
    :raises WarehouseError: the job failed, and a retry would fail, too
    :raises BalanceError: the month doesn't hold the rows of the file
    """
    replace(jobs, outcome=NOTHING).require_success(job)
    stats = job.dml_stats
    updated = int(stats.updated_row_count) if stats else 0
    inserted = updated + (int(stats.inserted_row_count) if stats else 0)
    deleted = updated + (int(stats.deleted_row_count) if stats else 0)
    staged = attempt.rows_staged or 0
    counts = Counts(inserted, deleted, staged - inserted)
    name, number = name_and_number(job)
    with _tried_again(jobs, "The month is published, but not yet recorded in the ledger") as behind:
        record(
            behind,
            publication=number,
            rows_inserted=counts.inserted,
            rows_deleted=counts.deleted,
            rows_unchanged=counts.unchanged,
        )
    _require_rows(jobs, tables, staged, name, number)
    return counts


def require_published(jobs: Jobs, tables: CloudTables, attempt: Attempt, number: int) -> None:
    """Make sure that the month that an attempt has published is still there.

    If the answer is lost after the publication was recorded, the task is tried again and calls this.

    :param number: of the publication
    :raises TransientWarehouseError: the month could not be counted
    :raises BalanceError: the month doesn't hold the rows of the file
    """
    name = publication_name(tables, require_main_table(jobs, tables))
    _require_rows(jobs, tables, attempt.rows_staged or 0, name, number)


def rows_held(jobs: Jobs, tables: CloudTables) -> int:
    """Count the month's rows in the main table."""
    (found,) = jobs.run(statement("count_month", {"month": tables.month.first_day}, main_table=tables.main_table))
    return int(found["row_count"])


def _require_rows(jobs: Jobs, tables: CloudTables, staged: int, name: str, number: int) -> None:
    """Make sure that the month holds the rows that were published, unless another publication has followed."""
    with _tried_again(jobs, "The month is published, and recorded in the ledger") as behind:
        held = rows_held(behind, tables)
        if held == staged or is_followed(behind, name, number, ledger.find_loads(behind, tables)):
            return
    raise BalanceError(
        f"{tables.where}: {tables.main_table} holds {counted(held, 'row')} of the month, expected the {staged} of the "
        f"file, which was published: something other than Taxiway has written there. Delete the rows where "
        f"source_month is '{tables.month.first_day}', and run the month again with force"
    )


@contextmanager
def _tried_again(jobs: Jobs, outcome: str) -> Iterator[Jobs]:
    """Make every error after a publication transient, and let it say what is published."""
    try:
        yield replace(jobs, outcome=outcome)
    except WarehouseError as error:
        raise TransientWarehouseError(str(error)) from error


def _of_another_account(tables: CloudTables, job_id: str) -> TransientWarehouseError:
    return TransientWarehouseError(
        f"{tables.where}: the job {job_id}, a publication of the month, belongs to another account, and the ledger has "
        f"no result of it: it is still running, or its run was interrupted. This account can't check it: "
        f"expected the permission bigquery.jobs.get on the project {tables.settings.project}. Nothing was published by "
        f"this run: the task is tried again. If that goes on failing, run the month again under that account, or give "
        f"this one a role with that permission: docs/bigquery.md"
    )
