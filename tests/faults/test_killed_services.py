"""Airflow's API server and scheduler killed and started again in the middle of a backfill."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.samples import write_sample_month
from tests.conftest import PostgresServer
from tests.faults.aftermath import assert_survived, clean_ids
from tests.integration.airflow_environment import wait_until
from tests.integration.taxi_airflow import TaxiAirflow
from tests.mirror_faults import Answer, FaultyMirror, good, held

DAGS = Path(__file__).with_name("scheduled_dags")
ROWS = 300
MONTHS = [f"2019-{number:02d}" for number in range(1, 8)]
SERVICES = ("api-server", "scheduler", "dag-processor")
SOONER = {
    # What Airflow notices in minutes is to be noticed sooner here.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}


@dataclass
class Running:
    """Airflow with its services.

    :param processes: the services' processes by name
    """

    taxi: TaxiAirflow
    services: ExitStack
    processes: dict[str, subprocess.Popen[str]]

    def start(self, *names: str) -> None:
        """Start services."""
        self.processes |= self.services.enter_context(self.taxi.airflow.services(*names))

    def kill(self, *names: str) -> None:
        """Kill services outright, with everything that they have started."""
        for name in names:
            process = self.processes.pop(name)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, green: Source) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("months")
    paths = {month: folder / green.download_name(Month.parse(month)) for month in MONTHS}
    for month, path in paths.items():
        write_sample_month(green, Month.parse(month), path, rows=ROWS)
    return paths


@pytest.fixture(scope="module")
def mirror(files: dict[str, Path], green: Source) -> Iterator[FaultyMirror]:
    with FaultyMirror() as mirror:
        for month, path in files.items():
            mirror.put(f"/{green.file_path(Month.parse(month))}", path.read_bytes())
        yield mirror


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, mirror: FaultyMirror, postgres_server: PostgresServer
) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("services") / "home"
    taxi = TaxiAirflow.create(postgres_server, home, mirror.url)
    (home / "dags").unlink()
    (home / "dags").symlink_to(DAGS)
    taxi.airflow.variables.update(SOONER)
    try:
        with ExitStack() as services:
            started = Running(taxi, services, {})
            started.start(*SERVICES)
            wait_until(
                lambda: taxi.airflow.query("SELECT 1 FROM serialized_dag"), timeout=60, what="the DAG to have been read"
            )
            yield started
    finally:
        taxi.close()


def hold(mirror: FaultyMirror, source: Source, files: dict[str, Path], *months: str) -> list[Answer]:
    """Hold the next downloads of months in the middle; return their answers."""
    answers = [held(good(files[month].read_bytes()), after=100) for month in months]
    for month, answer in zip(months, answers, strict=True):
        mirror.script(f"/{source.file_path(Month.parse(month))}", answer)
    return answers


def wait_for(answers: list[Answer]) -> None:
    for answer in answers:
        wait_until(lambda: answer.started is not None and answer.started.is_set(), timeout=60, what="a download")  # noqa: B023


def release(answers: list[Answer]) -> None:
    for answer in answers:
        assert answer.hold is not None
        answer.hold.set()


def test_under_a_backfill_of_the_command(
    running: Running, mirror: FaultyMirror, files: dict[str, Path], postgres_server: PostgresServer, green: Source
) -> None:
    taxi = running.taxi
    downloads = hold(mirror, green, files, "2019-01", "2019-02")
    command = taxi.airflow.popen(
        "dags", "backfill", "-s", "2019-01-01", "-e", "2019-03-31", "--max-active-runs", "2", "taxi_green"
    )
    try:
        wait_for(downloads)
        running.kill("api-server", "scheduler")
    finally:
        release(downloads)
    running.start("api-server", "scheduler")
    said, _ = command.communicate(timeout=200)

    assert command.returncode == 0, said
    assert "3 of 3 months succeeded" in said
    assert "The execution API has gone away" in said
    expected = clean_ids(postgres_server, green, list(files.items())[:3])
    with closing(taxi.connect()) as connection:
        ledger = assert_survived(connection, green, expected)
    assert sorted(month for month, state, _, _ in ledger if state == "abandoned") == ["2019-01", "2019-02"]


def test_under_a_backfill_and_a_triggered_run_of_the_scheduler(
    running: Running, mirror: FaultyMirror, files: dict[str, Path], postgres_server: PostgresServer, green: Source
) -> None:
    """The one before has left its months behind; these are others."""
    taxi = running.taxi
    airflow = taxi.airflow
    downloads = hold(mirror, green, files, "2019-04", "2019-05", "2019-07")
    airflow.query("UPDATE dag SET is_paused = false")
    for arguments in (
        ("backfill", "create", "--dag-id", "taxi_green", "--from-date", "2019-04-01", "--to-date", "2019-06-30"),
        ("dags", "trigger", "taxi_green", "-c", '{"month": "2019-07"}'),
    ):
        done = airflow.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    try:
        wait_for(downloads)
        running.kill("api-server", "scheduler")
    finally:
        release(downloads)
    running.start("api-server", "scheduler")
    runs = "SELECT state FROM dag_run WHERE run_type = 'manual' OR logical_date BETWEEN '2019-04-01' AND '2019-07-01'"
    wait_until(lambda: airflow.query(runs) == [("success",)] * 4, timeout=150, what="four runs to end")

    assert airflow.query(
        "SELECT DISTINCT job_type FROM task_instance AS task JOIN job ON job.id = task.queued_by_job_id"
        " JOIN dag_run USING (run_id) WHERE run_type = 'manual' OR logical_date BETWEEN '2019-04-01' AND '2019-07-01'"
    ) == [("SchedulerJob",)]
    expected = clean_ids(postgres_server, green, files.items())
    with closing(taxi.connect()) as connection:
        # The scheduler starts a run of its own, of the latest month that is due, which the mirror lacks.
        ledger = assert_survived(connection, green, expected, last_states=["published", "failed"])
    assert {month for month, state, _, _ in ledger if state == "abandoned"} >= {"2019-04", "2019-05", "2019-07"}
