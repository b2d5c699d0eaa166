"""Transactions of the steps, with the settings that every one of them runs under."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from taxiway.core.errors import WarehouseBusyError, WarehouseError
from taxiway.core.sql import render
from taxiway.postgres.refusals import with_sqlstate

LOCK_TIMEOUT = "60s"
"""Longest wait for a lock that another session holds."""

STATEMENT_TIMEOUT = "2h"
"""Longest run of one statement."""

OLDEST_SERVER = 170_000
"""Oldest server version: COPY's ``FORCE_NULL *`` came with Postgres 17."""

log = logging.getLogger(__name__)

_SETTINGS = """
SET LOCAL lock_timeout = '{lock_timeout}';
SET LOCAL statement_timeout = '{statement_timeout}';
SET LOCAL client_connection_check_interval = '1s';
SET LOCAL standard_conforming_strings = on;
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL client_encoding = 'UTF8';
SET LOCAL search_path = pg_catalog;
SET LOCAL client_min_messages = 'warning';
SET LOCAL enable_nestloop = off;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL parallel_setup_cost = 0;
"""
# Ids must not depend on the session's settings: dates are written and read in one way, and no
# object of another schema can stand in for a built-in. The two costs let a month be hashed on
# all cores: the planner's defaults expect rows to travel to a client. New tables have no statistics,
# and a table that was empty has wrong ones: a loop over two of them takes hours. And a worker that was killed
# must not leave its statement running: the server looks every second whether anybody is still there.


@contextmanager
def transaction(connection: psycopg.Connection[Any]) -> Iterator[psycopg.ClientCursor[Any]]:
    """Open one transaction under the project's settings; it commits at the end, or leaves nothing.

    :param connection: a connection with no transaction open
    :return: a cursor that binds values on the client, so that they can stand in definitions
        (``CREATE TABLE AS``, ``ATTACH PARTITION``), where the server takes no parameters
    """
    with connection.transaction(), psycopg.ClientCursor(connection, row_factory=tuple_row) as cursor:
        cursor.execute(_SETTINGS.format(lock_timeout=LOCK_TIMEOUT, statement_timeout=STATEMENT_TIMEOUT))
        yield cursor


def connector_of(connection: psycopg.Connection[Any]) -> Callable[[], psycopg.Connection[Any]]:
    """Note how a connection was made, which one that is lost doesn't say any more.

    :return: makes another one like it
    """
    info = connection.info
    connect = partial(psycopg.connect, info.dsn, password=info.password or None)

    def connect_again() -> psycopg.Connection[Any]:
        with with_sqlstate():
            return connect()

    return connect_again


def require_server(connection: psycopg.Connection[Any], where: str) -> None:
    """Make sure that the server can do what the steps ask of it; costs no question.

    :param where: what is loaded, for the message
    :raises WarehouseError: the server is too old, or not UTF-8
    """
    version, encoding = connection.info.server_version, connection.info.parameter_status("server_encoding")
    if version < OLDEST_SERVER or encoding != "UTF8":
        raise WarehouseError(
            f"{where}: the warehouse runs Postgres {version // 10_000} with the encoding {encoding}, expected Postgres "
            f"{OLDEST_SERVER // 10_000} or newer and UTF8: give the connection taxi_postgres such a database"
        )


def lock(cursor: psycopg.Cursor[Any], *names: str, holder: str = "taxiway") -> None:
    """Wait for a lock that lasts until the transaction ends; whoever names the same things waits.

    :param names: what is locked, for example ``("month", "green", "2019-03")``
    :param holder: who asks, in words; others who wait read it, cut to 63 characters
    :raises WarehouseBusyError: another session kept it for longer than :data:`LOCK_TIMEOUT`; says which one
    """
    key = {"lock_name": "/".join(("taxiway", *names))}
    cursor.execute("SELECT set_config('application_name', %s, true)", [holder])
    if cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%(lock_name)s, 0))", key).fetchone() == (
        True,
    ):
        return
    log.info("%s waits for the lock %s, held by %s", holder, key["lock_name"], _lock_holder(cursor, key))
    try:
        with cursor.connection.transaction():
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%(lock_name)s, 0))", key)
    except psycopg.errors.LockNotAvailable as error:
        raise WarehouseBusyError(
            f"{holder}: waited {LOCK_TIMEOUT} for the lock {key['lock_name']}, which is held by "
            f"{_lock_holder(cursor, key)}. Nothing was published; the task is tried again, and where that goes on "
            f"failing, look in pg_stat_activity what the other session does"
        ) from error


def _lock_holder(cursor: psycopg.Cursor[Any], key: Mapping[str, str]) -> str:
    row = cursor.execute(render("postgres/find_lock_holder.sql"), key).fetchone()
    if row is None:
        return "a session that has ended meanwhile"
    pid, role, application, began_at = row
    since = f" since {began_at:%Y-%m-%d %H:%M:%S %Z}" if began_at else ""
    return f"{application or 'a session without a name'} (role {role}, server process {pid}){since}"
