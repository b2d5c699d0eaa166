"""Opens Postgres for a step, over Airflow's connection, and says what its errors mean."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Timer
from typing import Any

import psycopg
from airflow.sdk import Variable

from taxiway.errors import SettingError
from taxiway.loads.load import Load
from taxiway.orchestration.hooks.postgres_hook import QuickWarehouseHook, WarehouseHook
from taxiway.settings import parse_number
from taxiway.warehouses.postgres.errors import explained
from taxiway.warehouses.postgres.parallel_copy import MOST_SESSIONS, default_sessions
from taxiway.warehouses.postgres.published_months import PostgresMonths, in_our_words
from taxiway.warehouses.postgres.session import require_server
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.postgres.upkeep import PostgresUpkeep
from taxiway.warehouses.postgres.warehouse import PostgresWarehouse

QUICK_STATEMENT_TIMEOUT = "4s"
"""Longest run of a statement, for somebody who waits."""

QUICK_SECONDS = 5.0
"""How long such a session may last: longer than the server gives a statement."""


@contextmanager
def open_postgres(load: Load, conn_id: str, step: str) -> Iterator[PostgresWarehouse]:
    """Open Postgres for a step.

    :param load: the load
    :param conn_id: Airflow's connection
    :param step: the step's name, for messages
    :raises SettingError: the connection is missing, can't be read, or is of another type
    :raises WarehouseError: Postgres refuses something, and would refuse it again; or the server is too old
    :raises TransientWarehouseError: another try may help
    """
    where = f"{load.where}: {step}, connection {conn_id}"
    connecting = True
    try:
        with closing(_connect(f"{load.where}: {step}", conn_id)) as connection:
            require_server(connection, where)
            connecting = False
            yield PostgresWarehouse(connection, LoadTables.of(load), lambda: _copy_sessions(where))
    except psycopg.Error as error:
        raise explained(error, where, conn_id, step, connecting=connecting) from error


@contextmanager
def postgres_months(conn_id: str, task: str) -> Iterator[PostgresMonths]:
    """Open Postgres to read which months are published.

    :param conn_id: Airflow's connection
    :param task: what asks, for messages
    :raises SettingError: the connection is missing, can't be read, or is of another type
    :raises WarehouseError: Postgres refuses
    :raises TransientWarehouseError: another try may help
    """
    with connected(task, conn_id) as connection:
        yield PostgresMonths(connection, conn_id, purpose=task)


@contextmanager
def quick_postgres_months(conn_id: str, purpose: str) -> Iterator[PostgresMonths]:
    """Open Postgres to read its ledger for somebody who waits: one that doesn't answer is given up within seconds.

    A server that is frozen keeps no time limit of its own, and its machine goes on confirming what it is sent: after
    :data:`QUICK_SECONDS` the session is cut off here.

    :param conn_id: Airflow's connection
    :param purpose: what asks, for messages
    :raises SettingError: the connection is missing, can't be read, or is of another type
    :raises WarehouseError: Postgres refuses
    :raises TransientWarehouseError: it doesn't answer
    """
    with (
        connected(purpose, conn_id, QuickWarehouseHook) as connection,
        _cut_off_after(connection, QUICK_SECONDS),
    ):
        yield PostgresMonths(connection, conn_id, purpose=purpose, statement_timeout=QUICK_STATEMENT_TIMEOUT)


@contextmanager
def _cut_off_after(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Have a connection lost that is needed for longer than some seconds."""
    with socket.socket(fileno=os.dup(connection.fileno())) as wire:

        def cut_off() -> None:
            with suppress(OSError):  # lost already
                wire.shutdown(socket.SHUT_RDWR)

        timer = Timer(seconds, cut_off)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


@contextmanager
def postgres_upkeep(conn_id: str, task: str) -> Iterator[PostgresUpkeep]:
    """Open Postgres for maintenance; parameters and errors are those of :func:`postgres_months`."""
    with connected(task, conn_id) as connection:
        yield PostgresUpkeep(connection, conn_id, task)


@contextmanager
def connected(where: str, conn_id: str, hook: type[WarehouseHook] = WarehouseHook) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection, and say in Taxiway's words why it can't be opened.

    :param where: what asks, with source and month if there are any, for messages
    :param conn_id: Airflow's connection
    :param hook: connects
    :raises SettingError: the connection is missing, can't be read, or is of another type
    :raises WarehouseError: Postgres refuses
    :raises TransientWarehouseError: another try may help
    """
    with in_our_words(where, conn_id, connecting=True):
        connection = _connect(where, conn_id, hook)
    with closing(connection):
        yield connection


def _copy_sessions(where: str) -> int:
    """Return the Variable ``taxiway_copy_sessions``, or its default."""
    # Not given a default, which Variable.get takes for a secret.
    value = Variable.get("taxiway_copy_sessions", default=None)
    if value is None or not str(value).strip():
        return default_sessions()
    try:
        return parse_number(str(value), "the Variable taxiway_copy_sessions", MOST_SESSIONS)
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error


def _connect(where: str, conn_id: str, hook: type[WarehouseHook] = WarehouseHook) -> psycopg.Connection[Any]:
    try:
        return hook(postgres_conn_id=conn_id).get_conn()
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error
