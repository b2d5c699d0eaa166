"""The ledger in the dataset: events of every attempt to load a month, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from taxiway.download.download import Download
from taxiway.errors import TransientWarehouseError, WarehouseError
from taxiway.loads import attempts
from taxiway.loads.attempts import Attempt
from taxiway.loads.load import Counts
from taxiway.loads.publication import Published
from taxiway.loads.step_names import DOWNLOAD, UPLOAD
from taxiway.messages import printable
from taxiway.sources.source_file import TAKEN_TABLES
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables

if TYPE_CHECKING:
    from google.cloud import bigquery

DESTINATION = "bigquery"
"""What the ledger calls this warehouse."""


@dataclass(frozen=True)
class Entry(Attempt):
    """One attempt, as the view ``loads`` has it.

    :param load_number: which attempt of the month it is, from 1; two that began at the same time may share one
    :param publication: which publication of the month it was, from 1; None if it published nothing
    :param run_id: Airflow's run id
    :param started_at: when it began
    """

    load_number: int = field(kw_only=True)
    publication: int | None = field(kw_only=True)
    run_id: str = field(kw_only=True)
    started_at: datetime = field(kw_only=True)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Entry:
        """Read a row of the view."""
        known = dict(row)
        counts = Counts(*(known.pop(f"rows_{change}") or 0 for change in ("inserted", "deleted", "unchanged")))
        del known["yaml_sha256"]
        return cls(
            number=known.pop("attempt"),
            fetched_load_id=known.pop("fetched_load_id") or known["load_id"],
            published=counts if known["state"] == "published" else None,
            warnings=tuple(known.pop("warnings")),
            **known,
        )


def find_months(jobs: Jobs) -> bigquery.Table | None:
    """Return the view ``months``; None if the ledger isn't all there, for the view is made last, of all the others."""
    return jobs.find_table(f"{jobs.settings.dataset_name}.months")


def is_earlier(months: bigquery.Table) -> bool:
    """Say whether a ledger is an earlier version's: it lacks the column that came last."""
    return all(field.name != "yaml_sha256" for field in months.schema)


def absent_parts(jobs: Jobs) -> list[str]:
    """Return the names of the ledger's tables and views that aren't there."""
    return [name for name in TAKEN_TABLES if jobs.find_table(f"{jobs.settings.dataset_name}.{name}") is None]


def ensure_ledger(jobs: Jobs) -> bool:
    """Create the ledger, the rejects and their views if one of them is absent, or lacks the column that came last.

    An earlier version's ledger then gets what it lacks.

    :return: whether one was created
    """
    months = find_months(jobs)
    if months is not None and not is_earlier(months):
        return False
    create_ledger(jobs)
    return True


def create_ledger(jobs: Jobs) -> None:
    """Create the ledger, the rejects and their views, one after another; what is there keeps its rows."""
    jobs.run(statement("create_ledger", dataset=jobs.settings.dataset_name))


def find_loads(jobs: Jobs, tables: CloudTables) -> list[Entry]:
    """Find every attempt to load the month, in the order in which they began."""
    return [Entry.of(row) for row in jobs.run(statement("find_loads", _key(tables), dataset=tables.dataset))]


def published(entries: Sequence[Entry]) -> list[Entry]:
    """Return the attempts that published the month, in the order in which they did: by number, for clocks go back."""
    found = [entry for entry in entries if entry.state == "published"]
    return sorted(found, key=lambda entry: (entry.publication or 0, entry.load_number))


def last_published(entries: Sequence[Entry]) -> Published | None:
    """Return what the published rows were loaded from; None if nothing is published.

    :param entries: the month's attempts
    """
    last = next(reversed(published(entries)), None)
    if last is None:
        return None
    counts = (last.rows_read or 0, last.rows_rejected or 0, last.rows_staged or 0)
    return Published(last.sha256 or "", *counts, last.fetched_load_id, layout=last.layout)


def rows_of_neighbours(jobs: Jobs, tables: CloudTables) -> list[int]:
    """Return how many rows the month before and the month after have, as far as they are published."""
    month = tables.month
    values = {
        "source": tables.source.name,
        "destination": DESTINATION,
        "before": month.previous().first_day,
        "after": month.next().first_day,
    }
    return [row["row_count"] for row in jobs.run(statement("find_neighbours", values, dataset=tables.dataset))]


class Ledger:
    """The attempts of a load.

    :param jobs: BigQuery
    :param load: the load, with its tables
    """

    def __init__(self, jobs: Jobs, load: CloudTables) -> None:
        """Assign the parameters, and ask for the month's attempts; create the ledger if there is none to ask."""
        self.jobs = jobs
        self.load: CloudTables = load
        try:
            self.entries = find_loads(jobs, load)
        except (WarehouseError, TransientWarehouseError):
            if not ensure_ledger(jobs):
                raise
            self.entries = find_loads(jobs, load)

    @property
    def own(self) -> list[Entry]:
        """The attempts of the load's run."""
        return [entry for entry in self.entries if entry.run_id == self.load.run_id]

    def find(self, load_id: str) -> Entry | None:
        """Return one of the run's attempts, the last one if nobody knows which; None if there is none."""
        return next((entry for entry in self.own if entry.load_id == load_id), self.last_attempt())

    def last_attempt(self) -> Entry | None:
        """Return the run's last attempt; None if it has none."""
        own = self.own
        return own[-1] if own else None

    def has_begun(self, attempt: Attempt, step: str) -> bool:
        """Say whether a step, or a later one, has begun in an attempt already.

        Of a step that has recorded nothing yet, only Airflow knows: it may have failed, or be lost.
        """
        return self.load.is_retry or self.load.has_begun(step, attempt.step)

    def abandon(self, attempt: Attempt, step: str) -> None:
        """Record that an attempt's worker ended silently."""
        lost = f"{attempt.step} or a later step" if step == DOWNLOAD else step
        record(self.jobs, self.load, attempt, attempt.step, "abandoned", error=attempts.lost_worker(lost))

    def begin(self, step: str, before: Attempt | None, *, takes_over: bool) -> Attempt:
        """Record another attempt, and mark abandoned attempts of other runs of the month."""
        load, now = self.load, datetime.now(timezone.utc)
        # Its attempts were found, but people's view of them may be absent.
        ensure_ledger(self.jobs)
        for entry in self.entries:
            if entry.run_id != load.run_id and attempts.is_over(entry.state, entry.started_at, now):
                theirs = replace(load, run_id=entry.run_id)
                error = attempts.lost_worker(f"{entry.step} or a later step")
                record(self.jobs, theirs, entry, entry.step, "abandoned", error=error)
        number = before.number + 1 if before else 1
        load_id = f"{load.month_name}_{now:%Y%m%dt%H%M%S%f}_{load.run_key}_{number}"
        begun = Attempt(load_id, load_id, number, step, "running")
        if before is not None and takes_over:
            begun = replace(
                begun,
                fetched_load_id=before.fetched_load_id,
                sha256=before.sha256,
                warnings=before.warnings,
                layout=before.layout,
            )
            if step != UPLOAD:  # which counts and rejects anew
                counts = {name: getattr(before, name) for name in ("rows_read", "rows_rejected", "rows_staged")}
                begun = replace(begun, **counts)
        if before is not None and begun.rows_rejected:
            # First: an attempt that the ledger knows has all that it goes on with.
            values = {"load_id": load_id, "earlier_load_id": before.load_id}
            self.jobs.run(statement("copy_rejects", values, dataset=load.dataset))
        began = now if before else load.started_at or now
        record(self.jobs, load, begun, step, started_at=began, goes_on_with=before if takes_over else None)
        return begun


def record(
    jobs: Jobs,
    tables: CloudTables,
    attempt: Attempt,
    step: str,
    state: str = "running",
    *,
    goes_on_with: Attempt | None = None,
    **values: Any,
) -> None:
    """Record what a step found, or how the attempt ended. What the ledger knew of it before stays known.

    :param step: the step that it belongs to
    :param state: running, published, unchanged, skipped, failed or abandoned
    :param goes_on_with: the attempt whose file this one goes on with, when it begins
    :param values: columns of the ledger, for example ``rows_read=5000``; ``file`` stands for the columns of the
        downloaded file
    """
    file: Download | None = values.pop("file", None)
    error = values.pop("error", None)
    is_made = state == "abandoned" or attempt.published is not None
    known = {
        **_key(tables),
        "load_id": attempt.load_id,
        "earlier_load_ids": [attempt.load_id, *([goes_on_with.load_id] if goes_on_with else [])],
        "run_id": tables.run_id,
        "attempt": attempt.number,
        "try_number": tables.try_number,
        "fetched_load_id": attempt.fetched_load_id if attempt.fetched_load_id != attempt.load_id else None,
        "step": step,
        "state": state,
        "filename": tables.filename,
        "url": file.url if file else None,
        "etag": file.etag if file else None,
        "last_modified": file.last_modified if file else None,
        "bytes": file.size if file else None,
        "sha256": file.sha256 if file else attempt.sha256,
        "unpacked_bytes": file.unpacked_bytes if file else None,
        # What nobody ended, or what is published, was made by what its attempt has recorded, not by what holds now.
        **(dict.fromkeys(tables.rules) if is_made else tables.in_layout(attempt.layout).rules),
        "rows_read": attempt.rows_read,
        "rows_rejected": attempt.rows_rejected,
        "rows_staged": attempt.rows_staged,
        "rows_inserted": None,
        "rows_deleted": None,
        "rows_unchanged": None,
        "publication": None,
        "warnings": list(attempt.warnings),
        "started_at": None,
        "error": None if error is None else printable(error),
    }
    jobs.run(statement("record_step", {**known, **values}, dataset=tables.dataset))


def _key(tables: CloudTables) -> dict[str, Any]:
    return {"source": tables.source.name, "month": tables.month.first_day, "destination": DESTINATION}
