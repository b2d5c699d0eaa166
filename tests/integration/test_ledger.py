"""The ledger on a real Postgres: one row per attempt, whatever became of it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowTaskTimeout

from taxiway import errors
from taxiway.download.download import Download
from taxiway.loads.load import Counts
from taxiway.loads.month import Downloaded
from taxiway.orchestration.operators.merge_month import MergeMonthOperator
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Layout, Source
from taxiway.warehouses.postgres import ledger, publish
from taxiway.warehouses.postgres.cleanup import drop_staging
from taxiway.warehouses.postgres.published_months import PostgresMonths
from taxiway.warehouses.postgres.session import lock, transaction
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect
from tests.faults.task_runner import context_of
from tests.integration.airflow_environment import wait_until
from tests.loading import (
    begin_load,
    check_month,
    hash_rows,
    load,
    merge_month,
    query,
    source_file,
    stage_month,
    write_gzip,
)
from tests.releases import ending

MONTH = Month(2019, 1)
ENTRIES = "SELECT attempt, step, state, error, finished_at IS NOT NULL FROM taxiway.loads ORDER BY load_id"


@pytest.fixture
def file(green: Source, tmp_path: Path) -> Download:
    path = tmp_path / green.download_name(MONTH)
    write_sample_month(green, MONTH, path, rows=40)
    return source_file(path)


def tables(source: Source, run_id: str = "scheduled__1") -> LoadTables:
    return LoadTables(source, MONTH, run_id)


def load_all(connection: psycopg.Connection[Any], load: LoadTables, file: Download, **options: Any) -> Downloaded:
    fetched = begin_load(connection, load, lambda: file, **options)
    if fetched.nothing_to_do is None:
        hash_rows(connection, load, stage_month(connection, load, file))
        check_month(connection, load)
        merge_month(connection, load)
        drop_staging(connection, load)
    return fetched


def test_a_load_is_one_entry(connect: Connect, green: Source, file: Download) -> None:
    connection = connect()

    load_all(connection, tables(green), file)

    assert query(connection, ENTRIES) == [(1, "merge_month", "published", None, True)]
    assert query(connection, "SELECT url, bytes, sha256, rows_read, rows_staged FROM taxiway.loads") == [
        (file.url, file.size, file.sha256, 40, 40)
    ]


RULES = "SELECT unpacked_bytes, layout, row_id_version, yaml_sha256 FROM "


def test_the_ledger_says_what_the_rows_and_their_ids_were_made_by(
    connect: Connect, green: Source, file: Download
) -> None:
    connection = connect()
    load_all(connection, tables(green), file)

    sha256 = hashlib.sha256((SOURCES_FOLDER / "green.yaml").read_bytes()).hexdigest()
    unpacked = len(gzip.decompress(Path(file.path).read_bytes()))
    expected = (unpacked, Layout(green.columns).name, 1, sha256)
    assert query(connection, f"{RULES} taxiway.loads") == [expected]
    assert query(connection, f"{RULES} taxiway.months") == [expected]

    # A run that finds the file published says under which YAML file it did so; the month stays what it is.
    load_all(connection, tables(replace(green, yaml_sha256="another"), "scheduled__2"), file)
    assert query(connection, f"{RULES} taxiway.loads ORDER BY load_id") == [expected, (*expected[:3], "another")]
    assert query(connection, f"{RULES} taxiway.months") == [expected]


def test_a_step_that_reads_another_yaml_file_says_so_and_the_next_attempt_keeps_the_files_size(
    connect: Connect, green: Source, file: Download
) -> None:
    """The YAML file may change while a month is loaded."""
    connection = connect()
    load = tables(green)
    staged = stage_month(connection, load, file)
    hash_rows(connection, tables(replace(green, yaml_sha256="changed")), staged)
    assert query(connection, f"{RULES.replace('layout, row_id_version, ', '')} taxiway.loads") == [
        (file.unpacked_bytes, "changed")
    ]
    stage_month(connection, load, replace(file, unpacked_bytes=None))
    # The second attempt begins with the file of the first; a task of an earlier version didn't say its size.
    assert query(connection, "SELECT attempt, unpacked_bytes FROM taxiway.loads ORDER BY load_id") == [
        (1, file.unpacked_bytes),
        (2, None),
    ]


def test_a_month_whose_partition_was_dropped_is_loaded_again(connect: Connect, green: Source, file: Download) -> None:
    connection = connect()
    load_all(connection, tables(green), file)
    with connection.transaction():
        connection.execute("DROP TABLE public.green_tripdata_2019_01")

    assert load_all(connection, tables(green, "manual__2"), file).nothing_to_do is None
    assert query(connection, "SELECT count(*) FROM public.green_tripdata") == [(40,)]


def test_a_step_that_fails_and_is_tried_again_is_another_attempt(
    connect: Connect, green: Source, file: Download
) -> None:
    connection = connect()
    load = tables(green)
    begin_load(connection, load, lambda: file)
    staged = stage_month(connection, load, file)
    with connection.transaction():
        connection.execute(f"TRUNCATE {load.staging_table}")

    hash_rows(connection, load, staged)  # which fails, and stages the month again
    check_month(connection, load)

    assert merge_month(connection, load) == Counts(40, 0, 0)
    found = query(connection, ENTRIES)
    assert [entry[:3] for entry in found] == [(1, "hash_rows", "failed"), (2, "merge_month", "published")]


def test_a_source_without_a_last_month_goes_on(green: Source) -> None:
    assert ending(green, None).why_unavailable(Month(2031, 1)) is None
    assert green.why_unavailable(Month(2018, 12))


def test_the_view_shows_the_state_of_every_month(connect: Connect, green: Source, file: Download) -> None:
    connection = connect()
    load_all(connection, tables(green), file)

    def broken() -> Download:
        raise errors.DownloadError("green 2019-01: the mirror is down")

    with pytest.raises(errors.DownloadError):
        begin_load(connection, tables(green, "manual__2"), broken)

    found = query(
        connection, "SELECT source, month::text, last_state, last_error, filename, row_count FROM taxiway.months"
    )
    assert found == [
        ("green", "2019-01-01", "failed", "download_month: green 2019-01: the mirror is down", file_name(file), 40)
    ]


def file_name(file: Download) -> str:
    return Path(file.path).name.removesuffix(".gz")


WITHOUT_RULES = (
    "DROP VIEW taxiway.months; ALTER TABLE taxiway.loads DROP COLUMN unpacked_bytes, DROP COLUMN layout, "
    "DROP COLUMN row_id_version, DROP COLUMN yaml_sha256;"
)
EARLIER = {
    "no fetched_load_id": f"{WITHOUT_RULES} "
    "ALTER TABLE taxiway.loads DROP COLUMN fetched_load_id, DROP COLUMN at_work_since, DROP COLUMN partition_digest",
    "no try_number either": f"{WITHOUT_RULES} ALTER TABLE taxiway.loads DROP COLUMN fetched_load_id, "
    "DROP COLUMN at_work_since, DROP COLUMN try_number, DROP COLUMN partition_digest",
    "no partition_digest": f"{WITHOUT_RULES} ALTER TABLE taxiway.loads DROP COLUMN partition_digest",
    "no layout": WITHOUT_RULES,
}


@pytest.mark.parametrize("name", EARLIER)
def test_a_ledger_of_an_earlier_version_gets_what_it_lacks(
    name: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    path = tmp_path / green.download_name(MONTH)
    write_sample_month(green, MONTH, path, rows=60)
    load(connection, green, str(MONTH), path)
    with connection.transaction():
        connection.execute(EARLIER[name])

    load(connection, green, str(MONTH), path, run_id="manual__2")

    assert query(connection, "SELECT run_id, try_number, fetched_load_id FROM taxiway.loads ORDER BY load_id") == [
        ("manual__1", 1, None),
        ("manual__2", 1, None),
    ]
    assert query(connection, "SELECT last_state, row_count FROM taxiway.months") == [("published", 60)]


def test_a_run_goes_on_after_an_upgrade_in_its_middle(connect: Connect, green: Source, file: Download) -> None:
    """The earlier version has staged the month; hash_rows is the first step that needs the new columns."""
    connection = connect()
    load = tables(green)
    staged = stage_month(connection, load, file)
    with connection.transaction():
        connection.execute(EARLIER["no fetched_load_id"])

    hash_rows(connection, load, staged)
    check_month(connection, load)

    assert merge_month(connection, load) == Counts(40, 0, 0)


class TimeoutOfTheTask(BaseException):
    """As Airflow's own, which is no Exception."""


def test_a_published_month_is_not_recorded_as_failed(
    connect: Connect, green: Source, file: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task's time is up after the commit, before the step's end; the next try fails before it has an attempt."""
    connection = connect()
    load = tables(green)
    hash_rows(connection, load, stage_month(connection, load, file))
    check_month(connection, load)

    @contextmanager
    def interrupted(connection: psycopg.Connection[Any]) -> Iterator[psycopg.ClientCursor[Any]]:
        with transaction(connection) as cursor:
            yield cursor
        raise TimeoutOfTheTask

    monkeypatch.setattr(publish, "transaction", interrupted)
    with pytest.raises(TimeoutOfTheTask):
        merge_month(connection, load)

    assert query(connection, ENTRIES) == [(1, "merge_month", "published", "merge_month: TimeoutOfTheTask", True)]
    monkeypatch.undo()
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "ensure_ledger", lambda *_: query(connection, "SELECT 1 / 0"))
        with pytest.raises(psycopg.errors.DivisionByZero):
            merge_month(connection, load)
    assert query(connection, ENTRIES) == [(1, "merge_month", "published", "merge_month: division by zero", True)]
    assert merge_month(connection, load) == Counts(40, 0, 0)
    assert query(connection, ENTRIES) == [(1, "merge_month", "published", None, True)]


def test_a_task_whose_time_is_up_in_a_statement_is_recorded_as_failed(
    connect: Connect, green: Source, file: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session is still busy then: it waits for a lock, with a change of the ledger that it hasn't committed."""
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    connection, holder, watcher = connect(), connect(), connect()
    info = connection.info
    address = {"conn_type": "postgres", "host": info.host, "port": info.port, "login": info.user, "schema": info.dbname}
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps(address))
    load = tables(green)
    hash_rows(connection, load, stage_month(connection, load, file))
    check_month(connection, load)

    class MergingForEver(MergeMonthOperator):
        def run_step(self, warehouse: Any, *_: Any) -> dict[str, int]:
            with warehouse.step("merge_month") as attempt, transaction(warehouse.connection) as cursor:
                ledger.record(cursor, attempt, rows_inserted=1)
                lock(cursor, "month", "green", "2019-01")
            raise AssertionError("the lock was free")

    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    def time_is_up(_number: int, _frame: object) -> None:
        raise AirflowTaskTimeout("Timeout")

    def end_the_wait() -> None:
        wait_until(lambda: query(watcher, waiting) == [(1,)], timeout=30, what="the step to wait for the month")
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, time_is_up)
    thread = threading.Thread(target=end_the_wait)
    operator = MergingForEver(task_id="merge_month", source_name="green", month="2019-01")
    try:
        with transaction(holder) as cursor:
            lock(cursor, "month", "green", "2019-01")
            thread.start()
            with pytest.raises(AirflowTaskTimeout):
                operator.execute(context_of(load.run_id))
    finally:
        signal.signal(signal.SIGALRM, before)
        thread.join()

    assert query(connection, ENTRIES) == [(1, "merge_month", "failed", "merge_month: Timeout", True)]
    assert merge_month(connection, load) == Counts(40, 0, 0)


STATES = "SELECT run_id, state, step FROM taxiway.loads ORDER BY load_id"


def test_an_attempt_whose_worker_is_gone_is_marked_by_another_run(
    connect: Connect, green: Source, file: Download
) -> None:
    """Its step's session has ended with it, and the step had not."""
    connection, killed = connect(), connect()
    gone = ledger.step(killed, tables(green, "killed"), "stage_month")
    gone.__enter__()
    # Waits until the session has ended: closing the connection doesn't.
    assert query(connection, "SELECT pg_terminate_backend(%s, 10000)", [killed.info.backend_pid]) == [(True,)]

    load_all(connection, tables(green, "manual__2"), file)

    assert query(connection, STATES) == [
        ("killed", "abandoned", "stage_month"),
        ("manual__2", "published", "merge_month"),
    ]
    assert query(connection, "SELECT error FROM taxiway.loads WHERE run_id = 'killed'") == [
        ("stage_month: its worker ended without a word",)
    ]


def test_attempts_at_work_and_between_two_steps_are_left_alone(connect: Connect, green: Source, file: Download) -> None:
    connection, other = connect(), connect()
    between = tables(green, "between")
    staged = stage_month(connection, between, file)
    with ledger.step(other, tables(green, "at work"), "stage_month"):
        load_all(connection, tables(green, "manual__2"), file)
        assert query(connection, STATES)[:2] == [
            ("between", "running", "stage_month"),
            ("at work", "running", "stage_month"),
        ]

    hash_rows(connection, between, staged)
    check_month(connection, between)
    merge_month(connection, between)

    assert query(connection, STATES)[0] == ("between", "published", "merge_month")
    assert query(connection, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


def test_a_step_that_goes_on_does_not_bring_its_ended_attempt_back(
    connect: Connect, green: Source, file: Download
) -> None:
    """A worker that was given up, and lives."""
    connection, other = connect(), connect()
    load = tables(green)
    with ledger.step(other, load, "stage_month") as given_up:
        stage_month(connection, load, file)
        with transaction(other) as cursor:
            ledger.record(cursor, given_up, rows_read=1)

    assert query(connection, "SELECT attempt, state FROM taxiway.loads ORDER BY load_id") == [
        (1, "abandoned"),
        (2, "running"),
    ]


def test_rejected_rows_belong_to_the_attempt_that_publishes(connect: Connect, green: Source, tmp_path: Path) -> None:
    """One is rejected by stage_month, one by hash_rows; check_month fails and is tried again."""
    connection = connect()
    row = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"
    bad = ["1,2,3", row.replace("1.68", "far")]
    header = ",".join(column.header for column in green.columns)
    file = source_file(write_gzip(tmp_path / "x.csv.gz", [header, row, *bad]))
    load = tables(replace(green, max_rejected_share=1.0, checks=()))
    hash_rows(connection, load, stage_month(connection, load, file))
    with pytest.raises(errors.TransientWarehouseError), ledger.step(connection, load, "check_month"):
        raise errors.TransientWarehouseError("green 2019-01: the server is shutting down")
    check_month(connection, load)
    merge_month(connection, load)
    joined = (
        "SELECT loads.attempt, loads.state, loads.rows_rejected, array_agg(line_number ORDER BY line_number)"
        " FROM taxiway.loads JOIN taxiway.rejected_rows USING (load_id) GROUP BY loads.load_id"
    )

    assert query(connection, joined) == [(2, "published", 2, [3, 4])]

    # Whoever stages it again rejects anew; what is published keeps its own.
    staged = stage_month(connection, load, file)
    assert query(connection, joined) == [(2, "published", 2, [3, 4]), (3, "running", 1, [3])]
    hash_rows(connection, load, staged)
    assert query(connection, joined) == [(2, "published", 2, [3, 4]), (3, "running", 2, [3, 4])]


def test_the_last_loads_are_those_of_the_view_whichever_attempts_share_a_file(connect: Connect, green: Source) -> None:
    connection = connect()
    connection.execute(render("postgres/create_ledger.sql"))
    connection.execute("SELECT setseed(0.15)")
    # Attempts of 200 months, of which one in three goes on with the file of an earlier one of its month.
    connection.execute(
        "INSERT INTO taxiway.loads (source, month, destination, run_id, attempt, step, state, filename, rows_staged,"
        " started_at, finished_at)"
        " SELECT 'green', date '2001-01-01' + make_interval(months => number % 200), 'postgres', 'a', number, 'x',"
        " (ARRAY['published', 'published', 'failed', 'unchanged'])[1 + floor(4 * random())::integer],"
        " 'file ' || number, number, now(), now() FROM generate_series(1, 1200) AS number"
    )
    connection.execute(
        "UPDATE taxiway.loads"
        " SET fetched_load_id = load_id - 200 * (1 + floor(random() * ((load_id - 1) / 200))::bigint)"
        " WHERE load_id > 200 AND random() < 0.34"
    )
    connection.execute("DELETE FROM taxiway.loads WHERE month = '2001-02-01' AND state = 'published'")
    connection.commit()
    view = query(connection, "SELECT month, last_state, filename, row_count, published_at FROM taxiway.months")

    found = PostgresMonths(connection).last_loads([green])["green"]
    assert len(view) == len(found) == 200
    assert {Month.of(month): tuple(said) for month, *said in view} == {
        month: (each.state, each.filename or None, each.rows, each.published_at) for month, each in found.items()
    }
    own = query(connection, "SELECT count(*) FROM taxiway.loads WHERE fetched_load_id IS NOT NULL")
    assert 300 < own[0][0] < 400
