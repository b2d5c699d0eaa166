"""What ``airflow taxi doctor`` looks at in Postgres. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from taxiway.doctor.check import Finding, fail, ok, warn
from taxiway.loads.attempts import LONGEST_PAUSE, LONGEST_RUN
from taxiway.messages import counted, listed
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import read_sources
from taxiway.warehouses.postgres.errors import advice_on, said_by
from taxiway.warehouses.postgres.session import require_server
from taxiway.warehouses.postgres.tables import STAGING_SCHEMA
from taxiway.warehouses.sql import render

LONGEST_WAIT = timedelta(minutes=2)
"""How long somebody may wait for a lock: a load waits 90 seconds."""

LONGEST_IDLE = timedelta(minutes=10)
"""How long a transaction may be left open with nothing to do."""

MOST_SESSIONS = 0.8
"""Share of the server's sessions that may be taken."""

_SETTINGS = """
SET TRANSACTION READ ONLY;
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '15s';
SET LOCAL search_path = pg_catalog;
"""

_AS_SUPERUSER = "as the server's superuser (make psql AS=postgres):"

LoadAgain = Callable[[str, Month], str]
"""Says how a month of a source is loaded again."""

Ended = Callable[[Collection[tuple[str, str]]], Collection[tuple[str, str]]]
"""Returns those of some runs that have ended; each is the source's name, and what the ledger calls the run."""


@dataclass(frozen=True)
class Server:
    """The server, over one of Airflow's connections.

    :param connect: connects
    :param connection_id: what messages call the connection
    :param load_again: for the advice
    :param ended: asks Airflow, and not the ledger
    """

    connect: Callable[[], psycopg.Connection[Any]]
    connection_id: str
    load_again: LoadAgain
    ended: Ended

    def ask(self, look: Callable[[Server, psycopg.Cursor[dict[str, Any]]], Finding]) -> Finding:
        """Make one of the checks, in a session of its own.

        :param look: one of :data:`CHECKS`
        :raises WarehouseError: the server is too old, or not UTF-8
        """
        connecting = True
        try:
            with closing(self.connect()) as connection:
                connecting = False
                require_server(connection, "the server")
                with connection.transaction(), psycopg.ClientCursor(connection, row_factory=dict_row) as cursor:
                    cursor.execute(_SETTINGS)
                    return look(self, cursor)
        except psycopg.Error as error:
            return fail(f"Postgres says: {said_by(error)}", advice_on(error, self.connection_id, connecting=connecting))


def server(_: Server, cursor: psycopg.Cursor[dict[str, Any]]) -> Finding:
    """Does it answer, is it new enough, and can it be written to?"""
    state = _described(cursor)
    info = cursor.connection.info
    version = info.parameter_status("server_version")
    found = f"Postgres {version}, {info.parameter_status('server_encoding')}, {info.user} in {info.dbname}"
    if state["is_standby"]:
        return fail(
            f"{found}: it is a standby", "correct host and port of the connection: they must lead to the primary"
        )
    if state["reads_only"]:
        return fail(
            f"{found}: default_transaction_read_only is on",
            f'{_AS_SUPERUSER} ALTER ROLE "{info.user}" IN DATABASE "{info.dbname}" '
            f"SET default_transaction_read_only = off",
        )
    return ok(found)


def rights(_: Server, cursor: psycopg.Cursor[dict[str, Any]]) -> Finding:
    """May the login do what a load does?"""
    names = [f"public.{source.main_table}" for source in read_sources(SOURCES_FOLDER)[0]]
    names += ["taxiway.loads", "taxiway.rejected_rows", "taxiway.months"]
    missing = cursor.execute(render("postgres/find_missing_rights.sql"), {"table_names": names}).fetchall()
    login, database = cursor.connection.info.user, cursor.connection.info.dbname
    if not missing:
        return ok(f"{login} may do what a load does")
    return fail(
        f"{login} lacks {listed([row['missing'] for row in missing])}",
        f"as the server's superuser: psql -d {database} -f include/sql/postgres/set_up_warehouse.sql (embedded "
        f'Postgres: make setup); a table that another role owns: ALTER TABLE … OWNER TO "{login}"',
    )


def durability(_: Server, cursor: psycopg.Cursor[dict[str, Any]]) -> Finding:
    """Does what is published survive a power cut?"""
    state = _described(cursor)
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if state[name] == "off"]
    if not off:
        return ok("fsync, full_page_writes and synchronous_commit are on")
    statements = "; ".join(f"ALTER SYSTEM SET {name} = on" for name in off)
    return warn(
        f"{' and '.join(off)} {'is' if len(off) == 1 else 'are'} off: a power cut can destroy months",
        f"{_AS_SUPERUSER} {statements}; SELECT pg_reload_conf()",
    )


def sessions(_: Server, cursor: psycopg.Cursor[dict[str, Any]]) -> Finding:
    """Are there sessions left for loads?"""
    state = _described(cursor)
    taken, most = state["sessions"], state["most_sessions"]
    found = f"{taken} of {most} sessions"
    if taken <= MOST_SESSIONS * most:
        return ok(found)
    return warn(
        f"{found} are taken",
        f"end those that nobody needs; or {_AS_SUPERUSER} ALTER SYSTEM SET max_connections = {2 * most}, then start "
        f"the server anew",
    )


def staging(_: Server, cursor: psycopg.Cursor[dict[str, Any]]) -> Finding:
    """Have broken runs left tables?"""
    if not _has_ledger(cursor):
        return ok("nothing was loaded yet")
    intervals = {"longest_run": LONGEST_RUN, "longest_pause": LONGEST_PAUSE}
    found = cursor.execute(render("postgres/find_leftover_tables.sql"), intervals).fetchall()
    if not found:
        return ok("no leftovers")
    names = [f'{STAGING_SCHEMA}."{row["tablename"]}"' for row in found]
    return warn(
        f"{counted(len(names), 'table')} of runs that are over: {listed(names[:3])}",
        f"the next load of the month drops them; or, in make psql: DROP TABLE {', '.join(names)}",
    )


def attempts(server: Server, cursor: psycopg.Cursor[dict[str, Any]]) -> Finding:
    """Has the ledger attempts as running that nobody works on?"""
    if not _has_ledger(cursor):
        return ok("nothing was loaded yet")
    running = cursor.execute(render("postgres/find_running_loads.sql"), {"longest_run": LONGEST_RUN}).fetchall()
    ended = server.ended([(row["source"], row["run_id"]) for row in running])
    found = [row for row in running if row["is_abandoned"] or (row["source"], row["run_id"]) in ended]
    if not found:
        return ok("none that nobody works on")
    months = [(row["source"], Month.of(row["month"])) for row in found]
    named = [
        f"{source} {month} ({row['step']}, since {row['begun_at']:%Y-%m-%d %H:%M})"
        for (source, month), row in zip(months, found, strict=True)
    ]
    return warn(
        f"their workers are gone, or their runs have ended: {listed(named[:5])}",
        "; ".join(server.load_again(source, month) for source, month in dict.fromkeys(months)),
    )


def locks(
    _: Server,
    cursor: psycopg.Cursor[dict[str, Any]],
    longest_wait: timedelta = LONGEST_WAIT,
    longest_idle: timedelta = LONGEST_IDLE,
) -> Finding:
    """Does a session keep others waiting, or leave a transaction open?

    :param longest_wait: how long somebody may wait
    :param longest_idle: how long a transaction may have nothing to do
    """
    intervals = {"longest_wait": longest_wait, "longest_pause": longest_idle}
    found = cursor.execute(render("postgres/find_idle_sessions.sql"), intervals).fetchall()
    if not found:
        return ok("nobody waits")
    named = [
        f"server process {row['pid']} ({row['application_name'] or 'no name'}, role {row['role_name']}), "
        + (_waiting(row["sessions"]) if row["sessions"] else "idle in its transaction")
        for row in found
    ]
    ends = "; ".join(f"SELECT pg_terminate_backend({row['pid']})" for row in found)
    return warn("; ".join(named), f"let it end, or {_AS_SUPERUSER} {ends}")


def _waiting(number: int) -> str:
    return "for which 1 other waits" if number == 1 else f"for which {number} others wait"


def _described(cursor: psycopg.Cursor[dict[str, Any]]) -> dict[str, Any]:
    return cursor.execute(render("postgres/describe_server.sql")).fetchone() or {}


def _has_ledger(cursor: psycopg.Cursor[dict[str, Any]]) -> bool:
    found = cursor.execute("SELECT to_regclass('taxiway.loads') IS NOT NULL AS is_there").fetchone()
    return bool(found and found["is_there"])


CHECKS: Mapping[str, Callable[[Server, psycopg.Cursor[dict[str, Any]]], Finding]] = {
    "server": server,
    "rights": rights,
    "durability": durability,
    "sessions": sessions,
    "staging tables": staging,
    "attempts": attempts,
    "locks": locks,
}
"""All of them, by the names of their lines. Without the first, the others can't look."""
