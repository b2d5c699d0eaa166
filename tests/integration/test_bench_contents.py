"""The benchmark compares nothing but equals: the same rows, in tables and sessions that keep what they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from bench.contents import Contents
from bench.scale import FIRST_MONTH
from bench.servers import require_durability
from bench.taxiway_load import warehouse
from taxiway.sources.source import Source
from tests.conftest import Connect, PostgresServer
from tests.integration.airflow_environment import wait_until

TYPES = {"integer": "bigint", "numeric": "double precision", "timestamp": "timestamp", "text": "text"}
VALUES = {"integer": "number", "numeric": "number / 8.0", "timestamp": "'2019-02-01'::timestamp", "text": "'N'"}


def make(connection: psycopg.Connection[Any], source: Source, table: str, rows: int, kind: str = "TABLE") -> None:
    """Make a table with some rows, its columns named as the file has them."""
    columns = ", ".join(f'"{column.header}" {TYPES[column.type]}' for column in source.columns)
    values = ", ".join(VALUES[column.type] for column in source.columns)
    statement: Any = f"CREATE {kind} public.{table} ({columns})"
    connection.execute(statement)
    statement = f"INSERT INTO public.{table} SELECT {values} FROM generate_series(1, {rows}) AS number"
    connection.execute(statement)
    connection.commit()


def test_tables_with_the_same_rows_are_equal(connect: Connect, yellow: Source) -> None:
    connection, contents = connect(), Contents(yellow)
    for name in ("one", "other"):
        make(connection, yellow, name, 5)
        contents.look(connection, name, f"public.{name}", 5)

    assert contents.found["one"] == contents.found["other"]
    assert contents.found["one"]["rows"] == 5
    assert contents.found["one"]["total_amount"] == "1.8750"


def test_a_lost_row_is_found(connect: Connect, yellow: Source) -> None:
    connection = connect()
    make(connection, yellow, "short", 4)

    with pytest.raises(RuntimeError, match="short has loaded 4 rows, expected 5"):
        Contents(yellow).look(connection, "short", "public.short", 5)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("tip_amount", "tip_amount + 0.25"),
        ("VendorID", '"VendorID" + 1'),
        ("tpep_pickup_datetime", "tpep_pickup_datetime + interval '1 second'"),
        ("store_and_fwd_flag", "''"),
    ],
)
def test_another_value_in_any_column_is_found(connect: Connect, yellow: Source, column: str, change: str) -> None:
    connection, contents = connect(), Contents(yellow)
    for name in ("one", "other"):
        make(connection, yellow, name, 5)
    contents.look(connection, "one", "public.one", 5)
    statement: Any = f'UPDATE public.other SET "{column}" = {change} WHERE passenger_count = 3'
    connection.execute(statement)
    connection.commit()

    with pytest.raises(RuntimeError, match=rf"other and one disagree in {column} \("):
        contents.look(connection, "other", "public.other", 5)


def test_a_table_that_a_crash_empties_is_refused(connect: Connect, yellow: Source) -> None:
    connection = connect()
    make(connection, yellow, "quick", 5, "UNLOGGED TABLE")

    with pytest.raises(RuntimeError, match=r"quick: found quick in public\.quick, expected all to be logged"):
        Contents(yellow).look(connection, "quick", "public.quick", 5)


@pytest.mark.parametrize(
    ("kind", "index"),
    [
        ("TABLE", ""),
        ("TABLE", "CREATE INDEX ON part (unique_row_id)"),
        ("TABLE", "CREATE UNIQUE INDEX ON part (unique_row_id, filename)"),
        ("UNLOGGED TABLE", "CREATE UNIQUE INDEX ON part (unique_row_id)"),
    ],
    ids=["no index", "not unique", "of more than the id", "unlogged"],
)
def test_a_partition_without_its_guarantees_is_refused(connect: Connect, yellow: Source, kind: str, index: str) -> None:
    connection, main = connect(), f"public.{yellow.main_table}"
    warehouse(connection, yellow, FIRST_MONTH).prepare()
    for statement in (
        f"CREATE {kind} part (LIKE {main})",
        index,
        f"ALTER TABLE {main} ATTACH PARTITION part FOR VALUES IN ('2019-01-01')",
    ):
        connection.execute(statement)  # type: ignore[call-overload]
    connection.commit()

    with pytest.raises(RuntimeError, match=r"steps: found part in .*, expected all to be logged, with a valid unique"):
        Contents(yellow).look(connection, "steps", main, 0, ids=True)


@pytest.fixture
def durable(postgres_server: PostgresServer) -> Iterator[None]:
    """The tests' server as Postgres is without their settings."""

    def is_set(value: str) -> bool:
        with postgres_server.connect() as connection:
            return connection.execute("SHOW fsync").fetchone() == (value,)

    def sync(value: str) -> None:
        with postgres_server.connect(autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET fsync = {value}")  # type: ignore[call-overload]
            connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: is_set(value), timeout=30, what=f"fsync to be {value}")

    sync("on")
    yield
    sync("off")


def test_a_server_that_does_not_wait_for_its_disk_is_refused(connect: Connect) -> None:
    with pytest.raises(RuntimeError, match="fsync is off in sessions of the database test_"):
        require_durability(connect())


def test_a_session_that_may_lose_what_it_commits_is_refused(
    durable: None, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_durability(connect())
    monkeypatch.setenv("PGOPTIONS", "-c synchronous_commit=off")

    with pytest.raises(RuntimeError, match="synchronous_commit is off in sessions of the database test_"):
        require_durability(connect())
