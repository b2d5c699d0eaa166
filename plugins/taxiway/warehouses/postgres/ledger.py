"""The ledger ``taxiway.loads``: one row per attempt to load a month, and how it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from taxiway.download.download import Download
from taxiway.errors import TransientWarehouseError
from taxiway.loads import attempts
from taxiway.loads.load import Counts
from taxiway.loads.steps import PUBLISH, comes_before
from taxiway.messages import printable
from taxiway.warehouses.postgres import session
from taxiway.warehouses.postgres.lock_waits import keepers
from taxiway.warehouses.postgres.main_table import ensure_ledger
from taxiway.warehouses.postgres.session import ADVICE, connector_of, transaction
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render

DESTINATION = "postgres"
"""What the ledger calls this warehouse."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One attempt to load a month, as the ledger has it.

    :param load_id: its key
    :param fetched_load_id: the attempt of this run that fetched the file, this one or an earlier one
    :param number: which attempt of the run it is, from 1
    :param step: the last step that was begun
    :param state: running, published, unchanged, skipped, failed or abandoned
    :param sha256: of the file, where that is known
    :param rows_read: rows in the file, where that is known
    :param rows_rejected: rows that could not be read, where that is known
    :param rows_staged: rows that have an id and are ready to be published, where that is known
    :param published: the counts, where the month is published
    :param warnings: what the checks have warned of
    """

    load_id: int
    fetched_load_id: int
    number: int
    step: str
    state: str
    sha256: str | None
    rows_read: int | None
    rows_rejected: int | None
    rows_staged: int | None
    published: Counts | None
    warnings: tuple[str, ...]

    def next(self, step: str) -> attempts.Decision:
        """Decide what a step does with this attempt, its run's last one."""
        return attempts.decide(self.state, step, begun=not comes_before(self.step, step))

    def record(self, cursor: psycopg.Cursor[Any], state: str = "running", **values: object) -> None:
        """Record what a step found, in the step's own transaction, or how the attempt ended.

        :param state: how the attempt ended; one that is running stays as it is
        :param values: columns of the ledger and their values, for example ``rows_read=5000``
        """
        statement = render("postgres/record_step.sql", columns=list(values))
        cursor.execute(statement, {**values, "state": state, "load_id": self.load_id})

    def record_file(self, cursor: psycopg.Cursor[Any], file: Download) -> None:
        """Record the file that is loaded."""
        self.record(
            cursor,
            url=file.url,
            etag=file.etag,
            last_modified=file.last_modified,
            bytes=file.size,
            sha256=file.sha256,
            unpacked_bytes=file.unpacked_bytes,
        )

    def warn(self, cursor: psycopg.Cursor[Any], warnings: Sequence[str]) -> None:
        """Record what the checks warn of."""
        self.record(cursor, warnings=list(warnings))

    def publish(
        self, cursor: psycopg.Cursor[Any], counts: Counts, partition_digest: str, difference: str | None
    ) -> None:
        """Record that the month is published, in the transaction that publishes it.

        :param partition_digest: of the partition as it is now
        :param difference: how the main table differed from the ledger before; None if it didn't
        """
        self.record(
            cursor,
            "published",
            rows_inserted=counts.inserted,
            rows_deleted=counts.deleted,
            rows_unchanged=counts.unchanged,
            partition_digest=partition_digest,
            warnings=[*self.warnings, *([difference] if difference else [])],
            error=None,
        )

    def end_step(self, cursor: psycopg.Cursor[Any]) -> None:
        """Record that no step is at work any more."""
        cursor.execute(render("postgres/end_step.sql"), {"load_id": self.load_id})


@contextmanager
def step(
    connection: psycopg.Connection[Any], tables: LoadTables, name: str, started_at: datetime | None = None
) -> Iterator[Attempt]:
    """Enter a step in the ledger while it runs: that it began, and its error where it fails.

    A step goes on with the attempt of the step before it. One that is begun again, after a failure
    or because its worker was killed, begins another attempt; an attempt that nobody ended is
    marked abandoned, and so are those of other runs of the month that nobody works on any more.
    The ledger is created first, where it is absent.

    :param connection: the warehouse, with no transaction open
    :param name: one of :data:`taxiway.loads.steps.STEPS`
    :param started_at: when the run began, for its first attempt; now where it isn't given
    :return: the attempt; a step of a month that its run has published finds it published
    :raises WarehouseError: the server is too old, or not UTF-8
    """
    connect_again = connector_of(connection)
    of_step = {"step": name, "load_name": tables.name, **tables.rules}
    attempt: Attempt | None = None
    try:
        with transaction(connection) as cursor:
            ensure_ledger(cursor, tables.source)
            attempt = _begin(cursor, tables, name, started_at or datetime.now(timezone.utc))
            cursor.execute(render("postgres/begin_step.sql"), {**of_step, "load_id": attempt.load_id})
        yield attempt
        with transaction(connection) as cursor:
            attempt.end_step(cursor)
    except BaseException as error:  # Airflow's own timeout is not an Exception
        found = _with_table_users(connection, tables, name, error)
        _enter_failure(connection, connect_again, tables, name, attempt, found)
        if found is not error:
            raise found from error
        raise


def _with_table_users(
    connection: psycopg.Connection[Any], tables: LoadTables, name: str, error: BaseException
) -> BaseException:
    """Say who keeps the load's tables, if the step has waited for one of them in vain."""
    if not isinstance(error, psycopg.errors.LockNotAvailable) or not _is_idle(connection):
        return error
    try:
        with transaction(connection) as cursor:
            users = keepers(cursor, tables, name)
    except psycopg.Error:
        return error
    return TransientWarehouseError(
        f"{tables.source.name} {tables.month}: {name}: waited {session.LOCK_TIMEOUT} for a table or a row that another "
        f"session has locked. Sessions with such locks: {users}. Nothing was published; the task is tried again. "
        f"{ADVICE}"
    )


def _enter_failure(
    connection: psycopg.Connection[Any],
    connect_again: Callable[[], psycopg.Connection[Any]],
    tables: LoadTables,
    name: str,
    attempt: Attempt | None,
    error: BaseException,
) -> None:
    """Record that a step has failed; over another connection, where its own is lost or still busy.

    Whatever happens to that, the step's own error is the one to show.

    :param attempt: the step's; None where it failed before it had one
    """
    said = f"{name}: {printable(str(error) or type(error).__name__)}"
    try:
        if _is_idle(connection):
            try:
                with transaction(connection) as cursor:
                    _fail(cursor, tables, name, attempt, said)
                    if attempt is not None:
                        attempt.end_step(cursor)
            except psycopg.Error:
                if _is_idle(connection):
                    raise
            else:
                return
        # The server then looks within a second whether anybody is still there, and gives its locks free.
        connection.close()
        with closing(connect_again()) as another, transaction(another) as cursor:
            _fail(cursor, tables, name, attempt, said)
    except Exception as unrecorded:
        # The next attempt marks this one abandoned.
        where = f"{tables.source.name} {tables.month}: {name}"
        log.warning("%s: the failure could not be entered in the ledger: %s", where, printable(str(unrecorded)))


def _is_idle(connection: psycopg.Connection[Any]) -> bool:
    return connection.info.transaction_status == TransactionStatus.IDLE


def _fail(cursor: psycopg.Cursor[Any], tables: LoadTables, name: str, attempt: Attempt | None, error: str) -> None:
    """Record a failure in the step's attempt; where it has none yet, in the one that it would have gone on with."""
    if attempt is None:
        found = _find(cursor, tables)
        attempt = found if found is not None and found.state == "running" and not found.next(name).begins else None
    if attempt is not None:
        attempt.record(cursor, "failed", error=error)


def month_key(tables: LoadTables) -> dict[str, Any]:
    """Return what the ledger finds a month by, as parameters of a statement."""
    return {"source": tables.source.name, "month": tables.month.first_day, "destination": DESTINATION}


def finished_runs(cursor: psycopg.Cursor[Any], tables: LoadTables) -> list[str]:
    """Find other runs of the month that are over: ended well, or too long ago to come back.

    :return: their run ids
    """
    cursor.execute(
        render("postgres/find_finished_runs.sql"),
        {
            **_key(tables),
            "longest_run": attempts.LONGEST_RUN,
            "longest_pause": attempts.LONGEST_PAUSE,
        },
    )
    return [row[0] for row in cursor.fetchall()]


def _begin(cursor: psycopg.Cursor[Any], tables: LoadTables, name: str, started_at: datetime) -> Attempt:
    last = _find(cursor, tables)
    if last is None:
        return _enter(cursor, tables, name, started_at, None)
    decision = last.next(name)
    # A published one: the worker was killed after publishing, and before it could say so.
    if not decision.begins or (last.state == "published" and name == PUBLISH):
        return last
    if decision.abandons:
        last.record(cursor, "abandoned", error=attempts.lost_worker(last.step))
    return _enter(cursor, tables, name, datetime.now(timezone.utc), last, takes_over=decision.takes_over)


def _enter(
    cursor: psycopg.Cursor[Any],
    tables: LoadTables,
    name: str,
    started_at: datetime,
    before: Attempt | None,
    *,
    takes_over: bool = False,
) -> Attempt:
    cursor.execute(render("postgres/abandon_loads.sql"), {**_key(tables), "longest_run": attempts.LONGEST_RUN})
    cursor.execute(
        render("postgres/start_load.sql"),
        {
            **_key(tables),
            **tables.rules,
            "attempt": before.number + 1 if before else 1,
            "step": name,
            "filename": tables.source.filename(tables.month),
            "started_at": started_at,
            "try_number": tables.try_number,
            "before": before.load_id if before and takes_over else None,
        },
    )
    entered = _find(cursor, tables)
    if entered is None:
        raise RuntimeError(f"{tables.source.name} {tables.month}: the ledger lost the entry that was just made")
    return entered


def _find(cursor: psycopg.Cursor[Any], tables: LoadTables) -> Attempt | None:
    row = cursor.execute(render("postgres/find_load.sql"), _key(tables)).fetchone()
    if row is None:
        return None
    load_id, fetched, number, name, state, sha256, read, rejected, staged, inserted, deleted, unchanged, warnings = row
    published = Counts(inserted, deleted, unchanged) if state == "published" else None
    return Attempt(load_id, fetched, number, name, state, sha256, read, rejected, staged, published, tuple(warnings))


def _key(tables: LoadTables) -> dict[str, Any]:
    return {**month_key(tables), "run_id": tables.run_id}
