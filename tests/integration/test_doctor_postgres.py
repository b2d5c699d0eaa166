"""The checks of Postgres find what is broken in a real one, and what they advise mends it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from taxiway.doctor.check import FAIL, OK, WARN, Check, Finding, examine
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.postgres import doctor
from taxiway.warehouses.postgres.refusals import with_sqlstate
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect, PostgresServer
from tests.faults.disguised_server import DisguisedServer
from tests.faults.killable_server import KillableServer
from tests.integration.airflow_environment import wait_until
from tests.loading import begin_load, load, source_file, stage_month

MONTH = Month(2019, 1)
Ask = Callable[..., Finding]


@pytest.fixture(scope="module")
def green() -> Source:
    return load_source(SOURCES_FOLDER / "green.yaml")


@pytest.fixture(scope="module")
def file(green: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("doctor") / green.download_name(MONTH)
    write_sample_month(green, MONTH, path, rows=20)
    return path


def asked(
    connect: Callable[[], psycopg.Connection[Any]], name: str, ended: doctor.Ended = lambda runs: (), **given: Any
) -> Finding:
    """Make a check; its advice to load a month again is the month."""
    server = doctor.Server(connect, "taxi_postgres", lambda source, month: f"load {source} {month}", ended)
    return server.ask(partial(doctor.CHECKS[name], **given))


def statements(finding: Finding, behind: str) -> list[str]:
    """The statements that an advice has behind some words."""
    return finding.mend.partition(behind)[2].strip().split("; ")


@pytest.fixture
def limited(postgres_server: PostgresServer) -> Iterator[Connect]:
    """Connects to a fresh database as a role that may do nothing there but connect."""
    database, opened = postgres_server.create_database(), list[psycopg.Connection[Any]]()
    with postgres_server.connect(database, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS taxiway")
        admin.execute("CREATE ROLE taxiway LOGIN")
        admin.execute("REVOKE CREATE ON SCHEMA public FROM public")

    def connect() -> psycopg.Connection[Any]:
        opened.append(psycopg.connect(host=str(postgres_server.socket_folder), user="taxiway", dbname=database))
        return opened[-1]

    try:
        yield connect
    finally:
        for connection in opened:
            connection.close()
        postgres_server.drop_database(database)
        with postgres_server.connect(autocommit=True) as admin:
            admin.execute("DROP ROLE IF EXISTS taxiway, taxiway_reader")


def test_a_sound_server(connect: Connect, green: Source, file: Path) -> None:
    load(connect(), green, str(MONTH), file)

    found = {name: asked(connect, name) for name in doctor.CHECKS}

    assert {name: finding.state for name, finding in found.items()} == {
        **dict.fromkeys(doctor.CHECKS, OK),
        "durability": WARN,  # that of the tests doesn't wait for the disk
    }
    assert re.match(r"Postgres 18\S*.*, UTF8, postgres in test_", found["server"].found)


def test_a_server_that_is_only_read(limited: Connect, postgres_server: PostgresServer) -> None:
    database = limited().info.dbname
    with postgres_server.connect(database, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        found = asked(limited, "server")
        admin.execute("SET default_transaction_read_only = off")
        for statement in statements(found, "(make psql AS=postgres):"):
            admin.execute(statement)

    assert (found.state, "default_transaction_read_only is on" in found.found) == (FAIL, True)
    assert asked(limited, "server").state == OK


def test_a_database_that_is_not_there(postgres_server: PostgresServer) -> None:
    def connect() -> psycopg.Connection[Any]:
        with with_sqlstate():
            return postgres_server.connect("nowhere")

    found = asked(connect, "server")

    assert (found.state, "(SQLSTATE 3D000)" in found.found) == (FAIL, True)
    assert "set_up_warehouse.sql" in found.mend


def test_rights_that_are_missing(limited: Connect, postgres_server: PostgresServer) -> None:
    database = limited().info.dbname
    with postgres_server.connect(database, autocommit=True) as admin:
        admin.execute("CREATE TABLE public.green_tripdata (id int)")

        found = asked(limited, "rights")

        assert found.state == FAIL
        for missing in ("schema public", "schema taxiway", "taxiway_staging", "green_tripdata, which postgres owns"):
            assert missing in found.found
        assert f"psql -d {database} -f include/sql/postgres/set_up_warehouse.sql" in found.mend
        admin.execute(render("postgres/set_up_warehouse.sql").encode())
        assert "green_tripdata" in asked(limited, "rights").found
        admin.execute(f"ALTER TABLE green_tripdata {statements(found, 'ALTER TABLE …')[0]}".encode())

    assert asked(limited, "rights") == Finding(OK, "taxiway may do what a load does")


def test_fsync_that_is_off(connect: Connect, postgres_server: PostgresServer) -> None:
    found = asked(connect, "durability")
    assert (found.state, found.found) == (WARN, "fsync is off: a power cut can destroy months")

    with postgres_server.connect(autocommit=True) as admin:
        try:
            for statement in statements(found, "(make psql AS=postgres):"):
                admin.execute(statement)
            for _ in range(100):
                if asked(connect, "durability").state == OK:
                    break
            assert asked(connect, "durability").state == OK
        finally:
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("SELECT pg_reload_conf()")


def test_a_server_that_is_too_old_or_of_another_encoding(postgres_server: PostgresServer) -> None:
    older = {b"server_version\x0018.": b"server_version\x0013.", b"server_encoding\x00UTF8": b"server_encoding\x00BIG5"}
    with DisguisedServer(postgres_server.socket_folder / ".s.PGSQL.5432", older) as proxy:
        look = partial(asked, partial(psycopg.connect, host="127.0.0.1", port=proxy.port, user="postgres"), "server")
        ((_, found),) = examine([Check("server", look, "correct the connection")])

    assert (found.state, found.mend) == (FAIL, "correct the connection")
    assert "Postgres 13 with the encoding BIG5, expected Postgres 17 or newer and UTF8" in found.found


def test_sessions_that_are_taken() -> None:
    """The advice is followed to its end: the server starts anew, and takes more."""
    with KillableServer() as server:
        with server.connect(autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET max_connections = 20")
        server.stop()
        server.start()
        with ExitStack() as taken:
            for _ in range(14):
                taken.enter_context(server.connect())
            found = asked(server.connect, "sessions")
            assert (found.state, found.found) == (WARN, "15 of 17 sessions are taken")
        with server.connect(autocommit=True) as admin:
            (statement,) = statements(found, "(make psql AS=postgres):")
            admin.execute(statement.partition(", then start the server anew")[0].encode())
        server.stop()
        server.start()
        with ExitStack() as taken:
            for _ in range(14):
                taken.enter_context(server.connect())
            assert asked(server.connect, "sessions") == Finding(OK, "15 of 31 sessions")


def test_tables_that_a_run_has_left(connect: Connect, green: Source, file: Path) -> None:
    assert asked(connect, "staging tables").found == "nothing was loaded yet"
    connection = connect()
    tables = LoadTables(green, MONTH, "manual__cut_off")
    stage_month(connection, tables, source_file(file))
    assert asked(connect, "staging tables").state == OK

    connection.execute("UPDATE taxiway.loads SET started_at = now() - interval '25 hours'")
    connection.commit()
    found = asked(connect, "staging tables")

    assert (found.state, tables.month_prefix + tables.run_key in found.found) == (WARN, True)
    for statement in statements(found, "make psql:"):
        connection.execute(statement.encode())
    connection.commit()
    assert asked(connect, "staging tables").state == OK


def test_an_attempt_whose_worker_is_gone(connect: Connect, green: Source, file: Path) -> None:
    assert asked(connect, "attempts").found == "nothing was loaded yet"
    connection = connect()
    tables = LoadTables(green, MONTH, "manual__gone")
    begin_load(connection, tables, lambda: source_file(file))
    assert asked(connect, "attempts").state == OK, "between two steps nobody holds its lock"
    assert asked(connect, "attempts", lambda runs: [("green", "manual__other")]).state == OK
    assert asked(connect, "attempts", lambda runs: runs).state == WARN

    connection.execute("UPDATE taxiway.loads SET at_work_since = now()")
    connection.commit()
    found = asked(connect, "attempts")

    assert (found.state, found.mend) == (WARN, "load green 2019-01")
    assert re.match(r"their workers are gone, or .*: green 2019-01 \(download_month, since ", found.found)
    load(connection, green, str(MONTH), file, run_id="manual__again")
    assert asked(connect, "attempts").state == OK


def test_a_session_that_keeps_others_waiting(connect: Connect) -> None:
    holder, waiter = connect(), connect()
    holder.execute("CREATE TABLE held (id int)")
    holder.commit()
    assert asked(connect, "locks").state == OK
    holder.execute("LOCK TABLE held")
    number, at_once = holder.info.backend_pid, timedelta(0)

    idle = asked(connect, "locks", longest_idle=at_once)
    waiting = threading.Thread(target=waiter.execute, args=["LOCK TABLE held"])
    waiting.start()
    waited = wait_until(
        lambda: found if "wait" in (found := asked(connect, "locks", longest_wait=at_once)).found else None,
        timeout=60,
        what="a session that waits",
    )
    with closing(connect()) as admin:
        for statement in statements(waited, "(make psql AS=postgres):"):
            admin.execute(statement.encode())
    waiting.join(60)

    assert (idle.state, waited.state, waiting.is_alive()) == (WARN, WARN, False)
    assert idle.found.startswith(f"server process {number} (no name, role postgres), idle in its transaction")
    assert waited.found.startswith(f"server process {number} (no name, role postgres), for which 1 other waits")
    assert waiter.info.transaction_status == TransactionStatus.INTRANS, "it has the lock that it waited for"
