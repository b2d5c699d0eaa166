"""The ledger in the dataset: events of every attempt to load a month, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from taxiway.loads import attempts
from taxiway.messages import printable
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.warehouse import Warehouse

if TYPE_CHECKING:
    from google.cloud import bigquery

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
    return _months(warehouse) is not None


def ensure_ledger(warehouse: Warehouse) -> None:
    """Create the ledger, the rejects and their views where one of them is absent, or lacks the column that came last.

    An earlier version's ledger then gets what it lacks.
    """
    months = _months(warehouse)
    if months is None or all(field.name != "yaml_sha256" for field in months.schema):
        create_ledger(warehouse)


def _months(warehouse: Warehouse) -> bigquery.Table | None:
    return warehouse.find_table(f"{warehouse.settings.dataset_name}.months")


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
    warehouse: Warehouse, tables: CloudTables, entries: Sequence[Entry], step: str, started_at: datetime | None
) -> Load:
    """Enter a new attempt, which fetches a file; those of the month that nobody ended are marked abandoned.

    Of this run at once. Of another run, nobody can tell whether it is at work, until it can't be any more.

    :param entries: what :func:`find_loads` returned
    :param step: the step that begins it
    :param started_at: when the run began; counts for its first attempt
    """
    now = datetime.now(timezone.utc)
    own = [entry for entry in entries if entry.run_id == tables.run_id]
    for entry in entries:
        if (entry in own and entry.state == "running") or attempts.is_over(entry.state, entry.started_at, now):
            error = attempts.lost_worker(f"{entry.step} or a later step")
            record(
                warehouse, replace(tables, run_id=entry.run_id), _load_of(entry), entry.step, "abandoned", error=error
            )
    attempt, load_id = _next(tables, own, now)
    began = now if own or started_at is None else started_at
    load = Load(load_id=load_id, attempt=attempt, started_at=began.isoformat(), fetched_load_id=load_id)
    record(warehouse, tables, load, step, "running")
    return load


def resume(
    warehouse: Warehouse,
    tables: CloudTables,
    load: Load,
    step: str,
    *,
    retried: bool = True,
    keeps_rejects: bool = True,
) -> Load:
    """Go on with a load in a step that is tried again: in another attempt, so that each try leaves its trace.

    :param load: what the step before returned
    :param step: the step
    :param retried: whether an earlier try of the step has failed, or was lost; else the step was cleared, and goes on
        with an attempt that is under way
    :param keeps_rejects: whether the new attempt goes on with what the earlier ones rejected; else it rejects anew
    """
    own = [entry for entry in find_loads(warehouse, tables) if entry.run_id == tables.run_id]
    last = own[-1] if own else None
    decision = attempts.decide(last.state if last else None, step, begun=retried)
    if last is not None and not decision.begins:
        return _of_attempt(load, last)
    if last is not None and decision.abandons:
        error = attempts.lost_worker(step)
        record(warehouse, tables, _of_attempt(load, last), step, "abandoned", error=error)
    now = datetime.now(timezone.utc)
    attempt, load_id = _next(tables, own, now)
    begun = replace(load, load_id=load_id, attempt=attempt, started_at=now.isoformat())
    record(warehouse, tables, begun, step, "running")
    if keeps_rejects and load.rows_rejected:
        # An attempt that was lost before it had taken them all has some; the others are the earlier one's.
        earlier = [load.load_id, *(entry.load_id for entry in own if entry.attempt > load.attempt)]
        warehouse.run(
            statement("copy_rejects", {"load_id": load_id, "earlier_load_ids": earlier}, dataset=tables.dataset)
        )
    return begun


def current(warehouse: Warehouse, tables: CloudTables, load: Load) -> Load:
    """Return a load as the run's last attempt has it, where that is under way.

    :param load: what the step before returned
    """
    own = [entry for entry in find_loads(warehouse, tables) if entry.run_id == tables.run_id]
    return _of_attempt(load, own[-1]) if own and own[-1].state == "running" else load


def published_by(entries: Sequence[Entry], tables: CloudTables, load: Load) -> Entry | None:
    """Return the last attempt of the run, where it has published the load's file; else None."""
    own = [entry for entry in entries if entry.run_id == tables.run_id]
    last = own[-1] if own else None
    if last is None or last.state != "published":
        return None
    return last if (last.fetched_load_id or last.load_id) == load.fetched_load_id else None


def _next(tables: CloudTables, own: Sequence[Entry], now: datetime) -> tuple[int, str]:
    """Number and key of the run's next attempt."""
    attempt = own[-1].attempt + 1 if own else 1
    return attempt, f"{tables.month_name}_{now:%Y%m%dt%H%M%S%f}_{tables.run_key}_{attempt}"


def _of_attempt(load: Load, entry: Entry) -> Load:
    return replace(load, load_id=entry.load_id, attempt=entry.attempt, started_at=entry.started_at.isoformat())


def _load_of(entry: Entry) -> Load:
    """What is known of an attempt of which the ledger alone tells; the ledger keeps what it has of its file."""
    return Load(entry.load_id, entry.attempt, entry.started_at.isoformat(), entry.fetched_load_id or "")


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
    """Enter what became of an attempt. What the ledger knew of its file before, and the load doesn't, stays known.

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
        "try_number": tables.try_number,
        "fetched_load_id": load.fetched_load_id if load.fetched_load_id not in ("", load.load_id) else None,
        "step": step,
        "state": state,
        "filename": tables.filename,
        "url": file.url if file else None,
        "etag": file.etag if file else None,
        "last_modified": file.last_modified if file else None,
        "bytes": file.size if file else None,
        "sha256": file.sha256 if file else None,
        "unpacked_bytes": file.unpacked_bytes if file else None,
        # What nobody ended was made by what that attempt has entered, not by what holds now.
        **(dict.fromkeys(tables.rules) if state == "abandoned" else tables.rules),
        "rows_read": load.rows_read,
        "rows_rejected": load.rows_rejected,
        "rows_staged": load.rows_staged,
        "publication": load.publication,
        "rows_inserted": None,
        "rows_deleted": None,
        "rows_unchanged": None,
        "warnings": list(load.warnings),
        "started_at": load.began,
        "error": None if error is None else printable(error),
        **counts,
    }
    warehouse.run(statement("record_step", values, dataset=tables.dataset))


def _key(tables: CloudTables) -> dict[str, Any]:
    return {"source": tables.source.name, "month": tables.month.first_day, "destination": DESTINATION}
