"""The ledger in the dataset: events of every attempt to load a month, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from taxiway.bigquery.load import Load
from taxiway.bigquery.statements import statement
from taxiway.bigquery.tables import CloudTables
from taxiway.bigquery.warehouse import Warehouse

DESTINATION = "bigquery"
"""What the ledger calls this warehouse."""


@dataclass(frozen=True)
class Entry:
    """One attempt, as the view ``loads`` has it.

    :param load_id: its key
    :param load_number: which attempt of the month it is, from 1; two that began at the same time may share one
    :param publication: which publication of the month it was, from 1; None where it published nothing
    :param run_id: Airflow's run id
    :param attempt: which attempt of the run it is, from 1
    :param fetched_load_id: the attempt that downloaded the file, where this one went on with it
    :param step: the step of its last event
    :param state: running, published, unchanged, skipped, failed or abandoned
    :param sha256: of the file, where that is known
    :param rows_read: rows in the file, where that is known
    :param rows_rejected: rows that could not be read, where that is known
    :param rows_staged: rows that could be read, where that is known
    :param rows_inserted: where the month was published
    :param rows_deleted: where the month was published
    :param rows_unchanged: where the month was published
    :param started_at: when it began
    :param finished_at: when it ended; None while it runs
    """

    load_id: str
    load_number: int
    publication: int | None
    run_id: str
    attempt: int
    fetched_load_id: str | None
    step: str
    state: str
    sha256: str | None
    rows_read: int | None
    rows_rejected: int | None
    rows_staged: int | None
    rows_inserted: int | None
    rows_deleted: int | None
    rows_unchanged: int | None
    started_at: datetime
    finished_at: datetime | None


def is_complete(warehouse: Warehouse) -> bool:
    """Say whether the whole ledger is there: the view ``months`` is made last, of all the others."""
    return warehouse.find_table(f"{warehouse.settings.dataset_name}.months") is not None


def ensure_ledger(warehouse: Warehouse) -> None:
    """Create the ledger, the rejects and their views where one of them is absent."""
    if not is_complete(warehouse):
        create_ledger(warehouse)


def create_ledger(warehouse: Warehouse) -> None:
    """Create the ledger, the rejects and their views, one after another; what is there keeps its rows."""
    warehouse.run(statement("create_ledger", dataset=warehouse.settings.dataset_name))


def find_loads(warehouse: Warehouse, tables: CloudTables) -> list[Entry]:
    """Find every attempt to load the month, in the order in which they began."""
    return [Entry(**row) for row in warehouse.run(statement("find_loads", _key(tables), dataset=tables.dataset))]


def published(entries: Sequence[Entry]) -> list[Entry]:
    """Return the attempts that published the month, in the order in which they did: by number, for clocks go back."""
    found = [entry for entry in entries if entry.state == "published"]
    return sorted(found, key=lambda entry: (entry.publication or 0, entry.load_number))


def rows_of_neighbours(warehouse: Warehouse, tables: CloudTables) -> list[int]:
    """Return how many rows the month before and the month after have, as far as they are published."""
    month = tables.month
    values = {
        "source": tables.source.name,
        "destination": DESTINATION,
        "before": month.previous().first_day,
        "after": month.next().first_day,
    }
    return [row["row_count"] for row in warehouse.run(statement("find_neighbours", values, dataset=tables.dataset))]


def begin(
    warehouse: Warehouse,
    tables: CloudTables,
    entries: Sequence[Entry],
    step: str,
    started_at: datetime | None,
    fetched_load_id: str = "",
) -> Load:
    """Enter a new attempt of the run; one of the run that nobody ended is marked abandoned.

    :param entries: what :func:`find_loads` returned
    :param step: the step that begins it
    :param started_at: when the run began; counts for its first attempt
    :param fetched_load_id: the attempt whose file it goes on with; without it, it fetches one itself
    """
    now = datetime.now(timezone.utc)
    own = [entry for entry in entries if entry.run_id == tables.run_id]
    if own and own[-1].state == "running":
        left = own[-1]
        abandoned = Load(left.load_id, left.attempt, left.started_at.isoformat(), left.fetched_load_id or "")
        record(
            warehouse, tables, abandoned, left.step, "abandoned", error=f"{left.step}: its worker ended without a word"
        )
    attempt = own[-1].attempt + 1 if own else 1
    load_id = f"{tables.month_name}_{now:%Y%m%dt%H%M%S%f}_{tables.run_key}_{attempt}"
    load = Load(
        load_id=load_id,
        attempt=attempt,
        started_at=(now if own or started_at is None else started_at).isoformat(),
        fetched_load_id=fetched_load_id or load_id,
    )
    record(warehouse, tables, load, step, "running")
    return load


def resume(warehouse: Warehouse, tables: CloudTables, load: Load, step: str) -> Load:
    """Go on with a load in a step that is tried again: where its attempt has ended, another one begins.

    :param load: what the step before returned
    :param step: the step
    """
    own = [entry for entry in find_loads(warehouse, tables) if entry.run_id == tables.run_id]
    last = own[-1] if own else None
    if last is not None and last.state == "running":
        return replace(load, load_id=last.load_id, attempt=last.attempt, started_at=last.started_at.isoformat())
    begun = begin(warehouse, tables, own, step, None, load.fetched_load_id)
    return replace(load, load_id=begun.load_id, attempt=begun.attempt, started_at=begun.started_at)


def record(
    warehouse: Warehouse,
    tables: CloudTables,
    load: Load,
    step: str,
    state: str,
    *,
    error: str | None = None,
    **counts: Any,
) -> None:
    """Enter what became of an attempt.

    :param step: the step that it belongs to
    :param state: running, published, unchanged, skipped, failed or abandoned
    :param error: why, where it failed
    :param counts: ``publication``, ``rows_inserted``, ``rows_deleted`` and ``rows_unchanged``
    """
    file = load.download if load.file is not None else None
    values = {
        **_key(tables),
        "load_id": load.load_id,
        "run_id": tables.run_id,
        "attempt": load.attempt,
        "fetched_load_id": load.fetched_load_id if load.fetched_load_id not in ("", load.load_id) else None,
        "step": step,
        "state": state,
        "filename": tables.filename,
        "url": file.url if file else None,
        "etag": file.etag if file else None,
        "last_modified": file.last_modified if file else None,
        "bytes": file.size if file else None,
        "sha256": file.sha256 if file else None,
        "rows_read": load.rows_read,
        "rows_rejected": load.rows_rejected,
        "rows_staged": load.rows_staged,
        "publication": load.publication,
        "rows_inserted": None,
        "rows_deleted": None,
        "rows_unchanged": None,
        "warnings": list(load.warnings),
        "started_at": load.began,
        "error": error,
        **counts,
    }
    warehouse.run(statement("record_step", values, dataset=tables.dataset))


def _key(tables: CloudTables) -> dict[str, Any]:
    return {"source": tables.source.name, "month": tables.month.first_day, "destination": DESTINATION}
