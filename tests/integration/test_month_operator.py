"""A step of Postgres that fails: what its error says, and what the ledger then says, of that attempt and no other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from taxiway.errors import TransientWarehouseError
from taxiway.loads.load import Counts
from taxiway.orchestration.load_tasks import OPERATORS
from taxiway.orchestration.operators.check_month import CheckMonthOperator
from taxiway.orchestration.operators.drop_staging import DropStagingOperator
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.postgres import ledger, session, stage
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect, PostgresServer
from tests.faults.cutting_proxy import Cut, CuttingProxy
from tests.faults.task_runner import execute_task
from tests.integration.airflow_environment import wait_until
from tests.loading import check_month, downloaded, hash_rows, merge_month, query, source_file, stage_month

MONTH = Month(2019, 1)
RUN_ID = "scheduled__1"
ENTRIES = "SELECT attempt, step, state, error FROM taxiway.loads ORDER BY load_id"
TERMINATED = "terminating connection due to administrator command"
UNRECORDED = "green 2019-01: check_month: the failure could not be recorded in the ledger: "
COMMITTED = Cut(1, "messages", lost=True, reset=False, behind=(b"rows_inserted = 40", b"COMMIT"))
"""The server's word that the month is published doesn't arrive."""


@pytest.fixture(scope="module")
def green() -> Source:
    """Green taxis as the operators read them: with the columns of later months, too."""
    return load_source(SOURCES_FOLDER / "green.yaml")


@pytest.fixture
def tables(green: Source) -> LoadTables:
    return LoadTables(green, MONTH, RUN_ID)


@pytest.fixture
def connection(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> psycopg.Connection[Any]:
    """The warehouse, which Airflow knows, too."""
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    made = connect()
    give_airflow(monkeypatch, made, str(made.info.host), made.info.port)
    return made


def give_airflow(monkeypatch: pytest.MonkeyPatch, made: psycopg.Connection[Any], host: str, port: int) -> None:
    address = {"conn_type": "postgres", "host": host, "port": port, "login": made.info.user, "schema": made.info.dbname}
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps(address))


@pytest.fixture
def hashed(connection: psycopg.Connection[Any], tables: LoadTables, tmp_path: Path) -> None:
    """The month is staged, and its rows have their ids."""
    path = tmp_path / tables.source.download_name(MONTH)
    write_sample_month(tables.source, MONTH, path, rows=40)
    hash_rows(connection, tables, stage_month(connection, tables, source_file(path)))


def execute(task_id: str) -> Any:
    return execute_task(task_id, "green", "2019-01", RUN_ID, 1, {})


@pytest.mark.parametrize("sessions", [1, 3])
def test_the_variable_says_how_many_sessions_copy(
    sessions: int,
    connect: Connect,
    connection: psycopg.Connection[Any],
    tables: LoadTables,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At a moment when every block was read, and the sessions wait for more."""
    path = tmp_path / tables.source.download_name(MONTH)
    write_sample_month(tables.source, MONTH, path, rows=40)
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_COPY_SESSIONS", str(sessions))
    whole_lines, watcher = stage.whole_lines, connect()
    copying = "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database()"

    def watched(blocks: Iterable[bytes]) -> Iterator[bytes]:
        yield from whole_lines(blocks)
        wait_until(lambda: query(watcher, copying) == [(sessions,)], timeout=60, what=f"{sessions} sessions to copy")

    monkeypatch.setattr(stage, "whole_lines", watched)

    staged = execute_task("stage_month", "green", "2019-01", RUN_ID, 1, downloaded(source_file(path)))

    assert staged == {"rows_read": 40, "canonical": True}


@pytest.mark.parametrize("value", ["0", "many", "1000"])
def test_a_number_of_sessions_that_cannot_be_is_named(
    value: str, connection: psycopg.Connection[Any], tables: LoadTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / tables.source.download_name(MONTH)
    write_sample_month(tables.source, MONTH, path, rows=40)
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_COPY_SESSIONS", value)

    with pytest.raises(
        AirflowFailException,
        match=rf"^green 2019-01: stage_month, connection taxi_postgres: the Variable taxiway_copy_sessions is '{value}'"
        r": expected a whole number from 1 to 32",
    ):
        execute_task("stage_month", "green", "2019-01", RUN_ID, 1, downloaded(source_file(path)))


def terminate(connection: psycopg.Connection[Any], by: psycopg.Connection[Any]) -> None:
    """End a session; a change of the ledger that it hasn't committed goes with it."""
    assert query(by, "SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid]) == [(True,)]


@pytest.mark.usefixtures("hashed")
def test_a_lost_word_of_the_commit_is_no_word_that_nothing_was_published(
    connection: psycopg.Connection[Any], tables: LoadTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_month(connection, tables)
    with CuttingProxy(Path(connection.info.host) / f".s.PGSQL.{connection.info.port}") as proxy:
        give_airflow(monkeypatch, connection, "127.0.0.1", proxy.port)
        proxy.arm(COMMITTED)
        with pytest.raises(
            TransientWarehouseError, match=r"green 2019-01: merge_month, .*The month may be published or not"
        ) as caught:
            execute("merge_month")
        assert proxy.cuts == 1
        assert "Nothing was published" not in str(caught.value)
        ((*entry, error),) = query(connection, ENTRIES)
        assert (entry, error.partition(":")[0]) == ([1, "merge_month", "published"], "merge_month")

        assert execute("merge_month").items() >= {"inserted": 40, "deleted": 0, "unchanged": 0, "rows": 40}.items()
        assert query(connection, ENTRIES) == [(1, "merge_month", "published", None)]


RAISED = {
    "a type that isn't there": ("PERFORM NULL::public.nosuch;", "42704"),
    "a wrong parameter": ("RAISE EXCEPTION 'bad' USING ERRCODE = 'invalid_parameter_value';", "22023"),
    "a sequence without a value": ("PERFORM currval('public.numbers');", "55000"),
    "a login elsewhere": ("RAISE EXCEPTION 'bad' USING ERRCODE = 'invalid_password';", "28P01"),
    "a database elsewhere": ("RAISE EXCEPTION 'bad' USING ERRCODE = 'invalid_catalog_name';", "3D000"),
}
"""What a trigger of somebody's raises, and its SQLSTATE, which means something else of a connection."""


@pytest.mark.usefixtures("hashed")
@pytest.mark.parametrize("name", RAISED)
def test_an_error_of_a_statement_is_no_matter_of_the_connection(
    name: str, connection: psycopg.Connection[Any], tables: LoadTables
) -> None:
    body, sqlstate = RAISED[name]
    check_month(connection, tables)
    with connection.transaction():
        connection.execute(
            "CREATE SEQUENCE public.numbers; CREATE FUNCTION public.raise() RETURNS trigger LANGUAGE plpgsql AS "  # type: ignore[arg-type]
            f"$$ BEGIN {body} RETURN NEW; END $$; CREATE TRIGGER mine BEFORE INSERT ON public.green_tripdata "
            "FOR EACH ROW EXECUTE FUNCTION public.raise()"
        )

    with pytest.raises(
        AirflowFailException,
        match=rf"^green 2019-01: merge_month, .*\(SQLSTATE {sqlstate}\)\. The month may be published or not|"
        rf"^green 2019-01: merge_month, .*\(SQLSTATE {sqlstate}\)\. Nothing was published: correct that, and clear",
    ) as caught:
        execute("merge_month")

    assert "extra" not in str(caught.value)
    with connection.transaction():
        connection.execute("DROP TRIGGER mine ON public.green_tripdata")
    assert execute("merge_month").items() >= {"inserted": 40, "deleted": 0, "unchanged": 0, "rows": 40}.items()


@pytest.mark.usefixtures("hashed")
def test_a_lost_session_is_recorded_whatever_became_of_airflows_connection(
    connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Losing(CheckMonthOperator):
        def run_step(self, warehouse: Any, *values: Any) -> None:
            own = warehouse.connection
            with warehouse.step("check_month"), transaction(own) as cursor:
                monkeypatch.delenv("AIRFLOW_CONN_TAXI_POSTGRES")
                terminate(own, connection)
                cursor.execute("SELECT 1")

    monkeypatch.setitem(OPERATORS, "check_month", Losing)
    with pytest.raises(
        TransientWarehouseError,
        match=rf"green 2019-01: check_month, .*{TERMINATED} \(SQLSTATE 57P01\)\. Nothing was published; the task is",
    ):
        execute("check_month")

    assert query(connection, ENTRIES) == [(1, "check_month", "failed", f"check_month: {TERMINATED}")]


@pytest.mark.usefixtures("hashed")
def test_a_try_that_was_given_up_does_not_fail_the_next_one(
    connection: psycopg.Connection[Any], tables: LoadTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends only when the next try has begun."""

    class GivenUp(CheckMonthOperator):
        def run_step(self, warehouse: Any, *values: Any) -> None:
            own = warehouse.connection
            with warehouse.step("check_month"), transaction(own) as cursor:
                check_month(connection, tables)
                terminate(own, connection)
                cursor.execute("SELECT 1")

    monkeypatch.setitem(OPERATORS, "check_month", GivenUp)
    with pytest.raises(TransientWarehouseError):
        execute("check_month")

    first = (1, "check_month", "failed", f"check_month: {TERMINATED}")
    assert query(connection, ENTRIES) == [first, (2, "check_month", "running", None)]
    assert merge_month(connection, tables) == Counts(40, 0, 0)
    assert query(connection, ENTRIES) == [first, (2, "merge_month", "published", None)]


@pytest.mark.usefixtures("hashed")
def test_a_teardown_that_fails_fails_no_attempt(
    connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Losing(DropStagingOperator):
        def run_step(self, warehouse: Any, *values: Any) -> None:
            own = warehouse.connection
            terminate(own, connection)
            super().run_step(warehouse, *values)

    monkeypatch.setitem(OPERATORS, "drop_staging", Losing)
    with pytest.raises(
        TransientWarehouseError,
        match=rf"green 2019-01: drop_staging, .*{TERMINATED} \(SQLSTATE 57P01\)\. Tables of this run",
    ):
        execute("drop_staging")

    assert query(connection, ENTRIES) == [(1, "hash_rows", "running", None)]


@pytest.mark.usefixtures("hashed")
def test_a_step_that_fails_while_it_begins_fails_the_attempt_that_it_would_have_gone_on_with(
    connection: psycopg.Connection[Any], connect: Connect, tables: LoadTables
) -> None:
    lost = connect()
    terminate(lost, connection)

    with pytest.raises(psycopg.OperationalError, match=TERMINATED):
        check_month(lost, tables)

    [entry] = query(connection, ENTRIES)
    assert entry[:3] == (1, "hash_rows", "failed")
    assert entry[3].startswith(f"check_month: {TERMINATED}")
    check_month(connection, tables)
    assert merge_month(connection, tables) == Counts(40, 0, 0)


@pytest.mark.usefixtures("hashed")
@pytest.mark.parametrize("timed_out", [False, True])
def test_a_failure_that_cannot_be_recorded_leaves_the_error_as_it_is(
    timed_out: bool,
    connection: psycopg.Connection[Any],
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    accepts = f"ALTER DATABASE {connection.info.dbname} ALLOW_CONNECTIONS"

    class Losing(CheckMonthOperator):
        def run_step(self, warehouse: Any, *values: Any) -> None:
            own = warehouse.connection
            with warehouse.step("check_month"), transaction(own) as cursor:
                admin.execute(f"{accepts} false")
                terminate(own, connection)
                if timed_out:
                    raise AirflowTaskTimeout("Timeout")
                cursor.execute("SELECT 1")

    monkeypatch.setitem(OPERATORS, "check_month", Losing)
    with postgres_server.connect(autocommit=True) as admin:
        expected: type[BaseException] = AirflowTaskTimeout if timed_out else TransientWarehouseError
        with pytest.raises(expected, match="^Timeout$" if timed_out else f"green 2019-01: check_month, .*{TERMINATED}"):
            execute("check_month")
        admin.execute(f"{accepts} true")

    [warning] = [record.message for record in caplog.records if record.message.startswith(UNRECORDED)]
    assert "is not currently accepting connections" in warning
    assert query(connection, ENTRIES) == [(1, "check_month", "running", None)]


@pytest.mark.usefixtures("hashed")
def test_a_failure_that_finds_its_row_locked_is_in_the_log(
    connection: psycopg.Connection[Any],
    connect: Connect,
    tables: LoadTables,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "100ms")
    holder = connect()

    def fail() -> None:
        with ledger.step(connection, tables, "check_month"):
            holder.execute("SELECT FROM taxiway.loads FOR UPDATE")
            raise TransientWarehouseError("the first error")

    with pytest.raises(TransientWarehouseError, match="the first error"):
        fail()

    [warning] = [record.message for record in caplog.records if record.message.startswith(UNRECORDED)]
    assert "canceling statement due to lock timeout" in warning
