"""The ledger ``taxiway.loads``: one row per attempt to load a month, and how it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from taxiway.download.download import Download
from taxiway.errors import TransientWarehouseError
from taxiway.loads import attempts
from taxiway.loads.attempts import Attempt
from taxiway.loads.load import Counts
from taxiway.messages import printable
from taxiway.warehouses.postgres import session
from taxiway.warehouses.postgres.lock_waits import keepers
from taxiway.warehouses.postgres.main_table import ensure_ledger
from taxiway.warehouses.postgres.session import ADVICE, connector_of, transaction
from taxiway.warehouses.postgres.tables import DESTINATION, LoadTables
from taxiway.warehouses.sql import render

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ledger:
    """The attempts of a load, in one transaction.

    :param cursor: of the transaction
    :param load: the load
    """

    cursor: psycopg.Cursor[Any]
    load: LoadTables

    def last_attempt(self) -> Attempt | None:
        """Return the run's last attempt, locked; None if it has none."""
        row = self.cursor.execute(render("postgres/find_load.sql"), _key(self.load)).fetchone()
        if row is None:
            return None
        load_id, fetched, number, name, state, sha256, read, rejected, staged, *counts, warnings, layout = row
        published = Counts(*counts) if state == "published" else None
        known = (sha256, read, rejected, staged, published, tuple(warnings), layout)
        return Attempt(str(load_id), str(fetched), number, name, state, *known)

    def has_begun(self, attempt: Attempt, step: str) -> bool:
        """Say whether a step, or a later one, has begun in an attempt already."""
        return self.load.has_begun(step, attempt.step)

    def abandon(self, attempt: Attempt, step: str) -> None:
        """Record that an attempt's worker ended silently."""
        record(self.cursor, attempt, "abandoned", error=attempts.lost_worker(attempt.step))

    def begin(self, step: str, before: Attempt | None, *, takes_over: bool) -> Attempt:
        """Record another attempt, and mark abandoned attempts of other runs of the month."""
        load, now = self.load, datetime.now(timezone.utc)
        self.cursor.execute(render("postgres/abandon_loads.sql"), {**_key(load), "longest_run": attempts.LONGEST_RUN})
        self.cursor.execute(
            render("postgres/start_load.sql"),
            {
                **_key(load),
                **load.rules,
                "attempt": before.number + 1 if before else 1,
                "step": step,
                "filename": load.filename,
                "started_at": now if before else load.started_at or now,
                "try_number": load.try_number,
                "before": before.load_id if before and takes_over else None,
            },
        )
        begun = self.last_attempt()
        if begun is None:
            raise RuntimeError(f"{load.where}: the ledger lost the entry that was just made")
        return begun


def record(cursor: psycopg.Cursor[Any], attempt: Attempt, state: str = "running", **values: Any) -> None:
    """Record what a step found, in the step's own transaction, or how the attempt ended.

    :param state: how the attempt ended; one that is running stays as it is
    :param values: columns of the ledger and their values, for example ``rows_read=5000``; ``file`` stands for the
        columns of the downloaded file
    """
    file: Download | None = values.pop("file", None)
    if file is not None:
        values.update(
            url=file.url,
            etag=file.etag,
            last_modified=file.last_modified,
            bytes=file.size,
            sha256=file.sha256,
            unpacked_bytes=file.unpacked_bytes,
        )
    statement = render("postgres/record_step.sql", columns=list(values))
    cursor.execute(statement, {**values, "state": state, "load_id": attempt.load_id})


@contextmanager
def step(connection: psycopg.Connection[Any], tables: LoadTables, name: str, waited: str = "") -> Iterator[Attempt]:
    """Record a step in the ledger while it runs: that it began, and its error if it fails.

    A step goes on with the attempt of the step before it. If a step is begun again, after a failure or because its
    worker was killed, it begins another attempt. An attempt that didn't end is marked abandoned. So are attempts of
    other runs of the month if no worker works on them any more.
    The ledger is created first, if it is absent.

    :param connection: the warehouse, with no transaction open
    :param name: of the step
    :param waited: key of the attempt in which the step has waited for a person; empty if it hasn't
    :return: the attempt; a step of a month that its run has published finds it published
    :raises WarehouseError: the server is too old, or not UTF-8
    """
    connect_again = connector_of(connection)
    of_step = {"step": name, "load_name": tables.name, **tables.rules}
    attempt: Attempt | None = None
    try:
        with transaction(connection) as cursor:
            ensure_ledger(cursor, tables.source)
            attempt = attempts.attempt_of(Ledger(cursor, tables), name, waited)
            cursor.execute(render("postgres/begin_step.sql"), {**of_step, "load_id": attempt.load_id})
        yield attempt
        with transaction(connection) as cursor:
            _end_step(cursor, attempt)
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
        f"{tables.where}: {name}: waited {session.LOCK_TIMEOUT} for a table or a row that another "
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
    """Record that a step has failed; over another connection, if its own is lost or still at work.

    Whatever happens to that, the step's own error is the one to show.

    :param attempt: the step's; None if it failed before it had one
    """
    said = f"{name}: {printable(str(error) or type(error).__name__)}"
    try:
        if _is_idle(connection):
            try:
                with transaction(connection) as cursor:
                    _fail(cursor, tables, name, attempt, said)
                    if attempt is not None:
                        _end_step(cursor, attempt)
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
        where = f"{tables.where}: {name}"
        log.warning("%s: the failure could not be recorded in the ledger: %s", where, printable(str(unrecorded)))


def _is_idle(connection: psycopg.Connection[Any]) -> bool:
    return connection.info.transaction_status == TransactionStatus.IDLE


def _fail(cursor: psycopg.Cursor[Any], tables: LoadTables, name: str, attempt: Attempt | None, error: str) -> None:
    """Record a failure in the step's attempt; if it has none yet, in the one that it would have gone on with."""
    if attempt is None:
        ledger = Ledger(cursor, tables)
        found = ledger.last_attempt()
        if found is not None and not attempts.decide(found.state, name, begun=ledger.has_begun(found, name)).begins:
            attempt = found
    if attempt is not None:
        record(cursor, attempt, "failed", error=error)


def _end_step(cursor: psycopg.Cursor[Any], attempt: Attempt) -> None:
    """Record that no step is at work any more."""
    cursor.execute(render("postgres/end_step.sql"), {"load_id": attempt.load_id})


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


def _key(tables: LoadTables) -> dict[str, Any]:
    return {**month_key(tables), "run_id": tables.run_id}
