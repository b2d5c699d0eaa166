"""Transactions of the steps, all with the same settings."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import tuple_row

from taxiway.errors import TransientWarehouseError, WarehouseError
from taxiway.warehouses.postgres.refusals import with_sqlstate
from taxiway.warehouses.sql import render

LOCK_TIMEOUT = "90s"
"""Longest wait for a lock that another session holds: longer than the server needs to notice that a worker is gone."""

STATEMENT_TIMEOUT = "2h"
"""Longest run of one statement."""

OLDEST_SERVER = 170_000
"""Oldest server version: COPY's ``FORCE_NULL *`` came with Postgres 17."""

KEEPALIVES = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""How the server finds out within a minute that a worker is gone, with its locks: seconds, but the last in ms."""

ADVICE = (
    "A session whose worker is gone ends by itself within a minute; SELECT pg_terminate_backend(<server process>) ends "
    "one that hangs"
)
"""What to do about a session that keeps others waiting."""

_NOBODY_FOUND = (
    "none was found (look while the next try waits: SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity)"
)

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
# Ids must not depend on the session's settings. Dates are written and read in one way, and no object of another schema
# can replace a built-in. The two costs let a month be hashed on all cores: the planner's defaults expect rows to travel
# to a client. New tables have no statistics, and a table that was empty has wrong ones: a loop over two of them takes
# hours. And a worker that was killed must not leave its statement running: the server looks every second whether
# anybody is still there.


@contextmanager
def transaction(
    connection: psycopg.Connection[Any], statement_timeout: str = STATEMENT_TIMEOUT
) -> Iterator[psycopg.ClientCursor[Any]]:
    """Open one transaction under the project's settings; it commits at the end, or leaves nothing.

    :param connection: a connection with no transaction open
    :param statement_timeout: longest run of one statement, waits for locks included
    :return: a cursor that binds values on the client: definitions (``CREATE TABLE AS``, ``ATTACH PARTITION``) take no
        parameters from the server
    """
    with connection.transaction(), psycopg.ClientCursor(connection, row_factory=tuple_row) as cursor:
        cursor.execute(_SETTINGS.format(lock_timeout=LOCK_TIMEOUT, statement_timeout=statement_timeout))
        yield cursor


def rows_by_name(cursor: psycopg.Cursor[Any]) -> list[dict[str, Any]]:
    """Return the rows that a statement has found, each by the names of its columns."""
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def connector_of(connection: psycopg.Connection[Any]) -> Callable[[], psycopg.Connection[Any]]:
    """Note how a connection was made, which one that is lost doesn't say any more.

    :return: makes another one like it
    """
    info = connection.info
    connect = partial(psycopg.connect, info.dsn, password=info.password or None)
    name = info.parameter_status("application_name")

    def connect_again() -> psycopg.Connection[Any]:
        with with_sqlstate():
            another = connect(application_name=name)
        keep_alive(another)
        return another

    return connect_again


def keep_alive(connection: psycopg.Connection[Any]) -> None:
    """Have the server check whether the worker is still there; a setting of the connection's own stays.

    Set in the session and not asked for while connecting: a pooler refuses that.

    :param connection: a new connection, with no transaction open; closed if it fails
    :raises psycopg.Error: the connection is lost
    """
    connection.autocommit = True
    try:
        connection.execute(
            "SELECT set_config(name, %s::json ->> name, false) FROM pg_catalog.pg_settings "
            "WHERE name IN (SELECT json_object_keys(%s)) AND source IN ('default', 'configuration file')",
            [json.dumps(KEEPALIVES)] * 2,
        )
    except BaseException:
        # One that is lost refuses any setting. A pooler accepts a login before it has reached the server.
        connection.close()
        raise
    connection.autocommit = False


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


def lock(
    cursor: psycopg.Cursor[Any],
    *names: str,
    holder: str = "taxiway",
    longest: str | None = None,
    advice: str = ADVICE,
) -> None:
    """Wait for a lock that lasts until the transaction ends; sessions that request the same names wait.

    :param names: what is locked, for example ``("month", "green", "2019-03")``
    :param holder: who asks, in words; others who wait read it, cut to 63 characters
    :param longest: longest wait; :data:`LOCK_TIMEOUT` unless given
    :param advice: what to do if another session keeps it for longer
    :raises TransientWarehouseError: another session kept it for longer; says which one
    """
    longest = longest or LOCK_TIMEOUT
    key = {"lock_name": "/".join(("taxiway", *names))}
    cursor.execute("SELECT set_config('application_name', %s, true)", [holder])
    if cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%(lock_name)s, 0))", key).fetchone() == (
        True,
    ):
        return
    before = _lock_holder(cursor, key)
    log.info("%s waits for the lock %s, held by %s", holder, key["lock_name"], _described(before))
    try:
        with cursor.connection.transaction():
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [longest])
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%(lock_name)s, 0))", key)
    except psycopg.errors.LockNotAvailable as error:
        raise TransientWarehouseError(
            f"{holder}: waited {longest} for the lock {key['lock_name']}, which is held by "
            f"{_described(_lock_holder(cursor, key), before)}. Nothing was published; the task is tried again. {advice}"
        ) from error
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])


def table_users(cursor: psycopg.Cursor[Any], *groups: Mapping[str, str]) -> str:
    """Describe the sessions in a transaction that keep a load from tables.

    :param groups: names of tables with their schemas, each with the weakest lock mode that blocks the load, as
        ``pg_locks`` names modes. A group counts only if the groups before it give no session
    """
    for group in groups:
        names = {"table_names": list(group), "weakest_modes": list(group.values())}
        rows = cursor.execute(render("postgres/find_table_users.sql"), names).fetchall()
        if rows:
            return "; ".join(_described(_Session(*row)) for row in rows)
    return _NOBODY_FOUND


class _Session(NamedTuple):
    """What can be seen of another session; little of one of another role.

    :param began_at: when its transaction began
    :param waits_since: when it last began or ended a statement
    :param copied: bytes that its COPY has read
    """

    pid: int
    role: str | None
    application: str | None
    began_at: datetime | None
    wait_event: str | None
    waits_since: datetime | None
    copied: int | None


def _lock_holder(cursor: psycopg.Cursor[Any], key: Mapping[str, str]) -> _Session | None:
    row = cursor.execute(render("postgres/find_lock_holder.sql"), key).fetchone()
    return _Session(*row) if row else None


def _described(session: _Session | None, before: _Session | None = None) -> str:
    """Say who a session is, and whether it works or waits for a worker that may be gone.

    :param before: how it looked before the wait for its lock
    """
    if session is None:
        return "a session that has ended meanwhile"
    since = f" since {session.began_at:%Y-%m-%d %H:%M:%S %Z}" if session.began_at else ""
    name = session.application or "a session without a name"
    said = f"{name} (role {session.role}, server process {session.pid}){since}"
    if session.wait_event != "ClientRead":
        return said
    if session == before:
        return f"{said}, which has heard nothing from its worker for all that time"
    copying = session.copied is not None or session.waits_since is None
    return f"{said}, which waits for its worker" + ("" if copying else f" since {session.waits_since:%H:%M:%S %Z}")
