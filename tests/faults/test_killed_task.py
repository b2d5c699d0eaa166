"""Task processes and workers killed in the middle of a step, under a real Airflow that tries again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from tests.conftest import PostgresServer
from tests.faults.aftermath import assert_rejected, assert_survived, clean_ids
from tests.faults.held_steps import HeldSteps
from tests.faults.served_months import describe, write_month
from tests.integration.airflow_environment import PATIENCE, wait_until
from tests.integration.taxi_airflow import GREEN_DAGS, TaxiAirflow
from tests.loading import query
from tests.mirror_faults import FaultyMirror, good, held

ROWS = {"2019-01": 10_000, "2019-02": 3_000, "2019-03": 4_000, "2019-04": 4_000, "2019-05": 3_000}
BAD_LINES = ("2019-03", "2019-04")
"""Months that are staged as text, with as many bad lines as the source allows."""

COPYING = (
    "SELECT 1 FROM pg_stat_progress_copy"
    " WHERE datid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND tuples_processed > 0"
)
TASK = "SELECT pid FROM task_instance WHERE task_id = %s AND run_id LIKE %s AND state = 'running'"


@pytest.fixture
def month_files(tmp_path: Path, green: Source) -> dict[str, Path]:
    paths = {month: tmp_path / green.file_path(Month.parse(month)) for month in ROWS}
    for month, path in paths.items():
        write_month(green, Month.parse(month), path, "rejects" if month in BAD_LINES else "canonical", rows=ROWS[month])
    return paths


@pytest.fixture
def mirror(month_files: dict[str, Path], green: Source) -> Iterator[FaultyMirror]:
    with FaultyMirror() as mirror:
        for month, path in month_files.items():
            mirror.put(f"/{green.file_path(Month.parse(month))}", path.read_bytes())
        yield mirror


@pytest.fixture
def taxi(tmp_path: Path, mirror: FaultyMirror, postgres_server: PostgresServer) -> Iterator[TaxiAirflow]:
    taxi = TaxiAirflow.create(postgres_server, tmp_path / "home", mirror.url, own_api=True)
    taxi.use_dag_files(GREEN_DAGS)
    # What Airflow notices in five minutes is to be noticed sooner here.
    taxi.airflow.variables["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"] = "10"
    try:
        yield taxi
    finally:
        taxi.close()


def process_of(taxi: TaxiAirflow, command: subprocess.Popen[str], task: str, month: str) -> psutil.Process:
    """Return the process of a month's task, one of the command's."""
    ((pid,),) = taxi.airflow.query(TASK, task, f"backfill__{month}%")
    return next(child for child in psutil.Process(command.pid).children(recursive=True) if child.pid == pid)


def test_killed_while_downloading_staging_hashing_and_merging(
    taxi: TaxiAirflow,
    mirror: FaultyMirror,
    month_files: dict[str, Path],
    postgres_server: PostgresServer,
    green: Source,
) -> None:
    """A month each, side by side; in the fifth the worker is killed, and its task with it."""
    downloading = held(good(month_files["2019-01"].read_bytes()), after=150_000)
    assert downloading.started is not None
    assert downloading.hold is not None
    mirror.script(f"/{green.file_path(Month(2019, 1))}", downloading)
    with closing(taxi.server.connect(taxi.database, autocommit=True)) as holding, closing(taxi.connect()) as connection:
        holds = HeldSteps(holding)
        for step, month in (
            ("COPY", "2019-02"),
            ("hash_rows", "2019-03"),
            ("merge_month", "2019-04"),
            ("hash_rows", "2019-05"),
        ):
            holds.hold(step, month)
        command = taxi.airflow.popen(
            "dags", "backfill", "-s", "2019-01-01", "-e", "2019-05-31", "--max-active-runs", "5", "taxi_green"
        )

        wait_until(
            lambda: [part for part in (taxi.airflow.home / "cache").rglob("*2019-01*.part") if part.stat().st_size],
            timeout=120,
            what="bytes of 2019-01",
        )
        process_of(taxi, command, "download_month", "2019-01").send_signal(signal.SIGKILL)
        downloading.hold.set()
        for step, month in (("hash_rows", "2019-03"), ("merge_month", "2019-04")):
            wait_until(lambda: holds.reached(step, month), timeout=120, what=f"{step} of {month}")  # noqa: B023
            process_of(taxi, command, step, month).send_signal(signal.SIGKILL)
            holds.release(step, month)
        wait_until(lambda: holds.reached("hash_rows", "2019-05"), timeout=120, what="hash_rows of 2019-05")
        task = process_of(taxi, command, "hash_rows", "2019-05")
        worker = task.parent()
        assert worker is not None
        assert worker.pid != command.pid
        worker.send_signal(signal.SIGKILL)
        assert psutil.wait_procs([task], timeout=PATIENCE * 30)[1] == [], "a task whose worker is gone ends"
        holds.release("hash_rows", "2019-05")
        wait_until(lambda: holds.reached("COPY", "2019-02"), timeout=120, what="COPY of 2019-02")
        assert query(connection, COPYING)
        process_of(taxi, command, "stage_month", "2019-02").send_signal(signal.SIGKILL)
        holds.release("COPY", "2019-02")
        said, _ = command.communicate(timeout=PATIENCE * 300)

        assert command.returncode == 0, said
        assert "5 of 5 months succeeded" in said
        expected = clean_ids(postgres_server, green, month_files.items())
        ledger = assert_survived(connection, green, expected, ours=[holds.backend_pid])
        assert_rejected(
            connection, {month: describe(green, Month.parse(month), month_files[month]) for month in BAD_LINES}
        )
        assert sorted((month, state, step) for month, state, step, _ in ledger) == [
            ("2019-01", "abandoned", "download_month"),
            ("2019-01", "published", "merge_month"),
            ("2019-02", "abandoned", "stage_month"),
            ("2019-02", "published", "merge_month"),
            ("2019-03", "abandoned", "hash_rows"),
            ("2019-03", "published", "merge_month"),
            ("2019-04", "abandoned", "merge_month"),
            ("2019-04", "published", "merge_month"),
            ("2019-05", "abandoned", "hash_rows"),
            ("2019-05", "published", "merge_month"),
        ]
        tries = taxi.airflow.query(
            "SELECT substr(run_id, 11, 7), task_id FROM task_instance WHERE try_number > 1 ORDER BY 1"
        )
        assert tries == [
            ("2019-01", "download_month"),
            ("2019-02", "stage_month"),
            ("2019-03", "hash_rows"),
            ("2019-04", "merge_month"),
            ("2019-05", "hash_rows"),
        ]
        # The file that was half there was not fetched from its beginning again.
        ranges = [seen.headers.get("range") for seen in mirror.seen if "2019-01" in seen.path]
        assert ranges[0] is None
        assert str(ranges[1]).startswith("bytes="), ranges
