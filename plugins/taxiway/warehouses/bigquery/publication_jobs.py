"""The publications of a month: numbered jobs, each number used once.

In BigQuery, two statements that only add rows don't wait for each other, so two runs of an empty month could both add
theirs. A job's id can be used once, and makes them wait: the n-th publication of a month is the job with number n. A
run that finds the number taken waits for that job, and then tries the next number. The ledger has the number of every
publication whose end its run has seen, failed ones too.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from taxiway.loads.attempts import Attempt
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.file_order import Rank, rank
from taxiway.warehouses.bigquery.jobs import MOST_NUMBERS, Jobs
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables


def publication_name(tables: CloudTables, main_table: Any) -> str:
    """Return the beginning of the ids of a month's publications.

    :param main_table: its description; if the table was dropped and created again, its publications count from 1 again
    """
    created = int(main_table.created.timestamp() * 1000)
    return f"taxiway_publish_{tables.settings.dataset}_{tables.month_name}_{created}"


def name_and_number(job: Any) -> tuple[str, int]:
    """Split the id of a publication's job into name and number."""
    name, _, number = job.job_id.rpartition("_")
    return name, int(number)


def open_numbers(entries: Sequence[ledger.Entry]) -> Iterator[int]:
    """Yield the numbers of publications whose end the ledger doesn't have, and then the next free numbers."""
    before = ledger.published(entries)
    known = {entry.publication for entry in entries}
    numbers = itertools.count(1 + ((before[-1].publication or 0) if before else 0))
    return itertools.islice((number for number in numbers if number not in known), MOST_NUMBERS)


def publication_labels(attempt: Attempt, file_rank: Rank, rows: str) -> dict[str, str]:
    """Return the labels of a publication's job, which tell another run what it publishes.

    :param attempt: of the load
    :param file_rank: of its file
    :param rows: key of its rows, from :func:`rows_key`
    """
    number, fetched_by = file_rank
    return {
        "taxiway_rows": rows,
        "taxiway_file": (attempt.sha256 or "")[:60],
        "taxiway_load": str(number),
        "taxiway_fetched_by": fetched_by,
    }


def rows_key(rows_table: Any) -> str:
    """Return a key of the rows that a publication publishes; a retry of the step gets the same key.

    :param rows_table: description of the table of typed rows; a table that was made anew has another key
    """
    return _key(f"{rows_table.full_table_id} {rows_table.created.timestamp()}")


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def find_publication(jobs: Jobs, tables: CloudTables, entries: Sequence[ledger.Entry]) -> Any | None:
    """Return the job that publishes the load, if one was started and isn't recorded in the ledger; else None.

    If the main table or the load's rows are gone, it can't be told which job that is.

    :param entries: the month's attempts
    """
    main_table, rows_table = jobs.find_table(tables.main_table), jobs.find_table(tables.rows_table)
    if main_table is None or rows_table is None:
        return None
    name, rows = publication_name(tables, main_table), rows_key(rows_table)
    for number in open_numbers(entries):
        found = jobs.look_up(f"{name}_{number}")
        if found is None:
            return None
        if found.job is not None and (found.job.labels or {}).get("taxiway_rows") == rows:
            return found.job
    return None


def confirm_publication(
    jobs: Jobs, tables: CloudTables, attempt: Attempt, entries: Sequence[ledger.Entry]
) -> int | None:
    """Take the number of the month's next publication, for a load whose file the table holds already.

    A run with an earlier file, which may be about to publish it, then finds the number taken, and the file in the
    labels.

    :param attempt: the step's
    :param entries: the month's attempts
    :return: the number; None if a publication has begun that the ledger doesn't know: the rows may be of that one
    :raises TransientWarehouseError: a retry may help
    """
    main_table = jobs.find_table(tables.main_table)
    own = rank(attempt.fetched_load_id, entries)
    if main_table is None or own is None:
        return None
    name, labels = publication_name(tables, main_table), publication_labels(attempt, own, _key(attempt.load_id))
    for number in open_numbers(entries):
        started = jobs.start_query(statement("confirm_month"), f"{name}_{number}", labels)
        job = started.job
        if job is None:
            return None
        if not started.found or (job.labels or {}).get("taxiway_rows") == labels["taxiway_rows"]:
            jobs.require_success(jobs.wait(job))
            return number
        if job.state != "DONE" or not job.error_result:
            return None
    return None


def is_followed(jobs: Jobs, name: str, number: int, entries: Sequence[ledger.Entry]) -> bool:
    """Say whether another publication of the month has begun since, and hasn't failed: the rows may come from it.

    :param name: what the ids of the month's publications begin with
    :param number: of the publication
    :param entries: the month's attempts
    """
    if any((entry.publication or 0) > number for entry in ledger.published(entries)):
        return True
    for following in open_numbers(entries):
        found = jobs.look_up(f"{name}_{following}")
        if found is None:
            return False
        if found.job is None or found.job.state != "DONE" or not found.job.error_result:
            return True
    return False
