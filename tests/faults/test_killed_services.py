"""Airflow's API server and scheduler killed and started again in the middle of two backfills and a triggered run."""

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
from tests.integration.airflow_environment import PATIENCE, wait_until
from tests.integration.taxi_airflow import TaxiAirflow
from tests.mirror_faults import Answer, FaultyMirror, good, held

DAGS = Path(__file__).with_name("scheduled_dags") / "taxi.py"
ROWS = 300
BY_COMMAND = ["2019-01", "2019-02", "2019-03"]
"""Months of green taxis."""

BY_SCHEDULER = ["2019-04", "2019-05", "2019-06", "2019-07"]
"""Months of yellow taxis; the last one is triggered."""

KILLED = ("api-server", "scheduler")
SOONER = {
    # What Airflow notices in minutes is to be noticed sooner here.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
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


Files = dict[str, Path]
"""By month."""


@pytest.fixture
def mirror() -> Iterator[FaultyMirror]:
    with FaultyMirror() as mirror:
        yield mirror


def publish(mirror: FaultyMirror, source: Source, folder: Path, months: list[str]) -> Files:
    """Put sample months on the mirror."""
    files = {month: folder / source.download_name(Month.parse(month)) for month in months}
    for month, path in files.items():
        write_sample_month(source, Month.parse(month), path, rows=ROWS)
        mirror.put(f"/{source.file_path(Month.parse(month))}", path.read_bytes())
    return files


@pytest.fixture
def running(tmp_path: Path, mirror: FaultyMirror, postgres_server: PostgresServer) -> Iterator[Running]:
    taxi = TaxiAirflow.create(postgres_server, tmp_path / "home", mirror.url, own_api=True, read_timeout=600)
    taxi.use_dag_files(DAGS)
    taxi.airflow.variables.update(SOONER)
    try:
        with ExitStack() as services:
            started = Running(taxi, services, {})
            taxi.airflow.succeed("dags", "reserialize")
            started.start(*KILLED)
            yield started
    finally:
        taxi.close()


def hold(mirror: FaultyMirror, source: Source, files: Files, *months: str) -> list[Answer]:
    """Hold the next downloads of months in the middle; return their answers."""
    answers = [held(good(files[month].read_bytes()), after=100) for month in months]
    for month, answer in zip(months, answers, strict=True):
        mirror.script(f"/{source.file_path(Month.parse(month))}", answer)
    return answers


def wait_for(answers: list[Answer]) -> None:
    for answer in answers:
        wait_until(lambda: answer.started is not None and answer.started.is_set(), timeout=120, what="a download")  # noqa: B023


def release(answers: list[Answer]) -> None:
    for answer in answers:
        assert answer.hold is not None
        answer.hold.set()


def test_under_backfills_of_the_command_and_the_scheduler_and_a_triggered_run(
    running: Running,
    mirror: FaultyMirror,
    postgres_server: PostgresServer,
    green: Source,
    yellow: Source,
    tmp_path: Path,
) -> None:
    taxi, airflow = running.taxi, running.taxi.airflow
    by_command, by_scheduler = (
        publish(mirror, source, tmp_path, months) for source, months in ((green, BY_COMMAND), (yellow, BY_SCHEDULER))
    )
    downloads = hold(mirror, green, by_command, "2019-01", "2019-02")
    downloads += hold(mirror, yellow, by_scheduler, "2019-04", "2019-05", "2019-07")
    airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'taxi_yellow'")
    airflow.succeed(
        "backfill", "create", "--dag-id", "taxi_yellow", "--from-date", "2019-04-01", "--to-date", "2019-06-30"
    )
    airflow.succeed("dags", "trigger", "taxi_yellow", "-c", '{"month": "2019-07"}')
    command = airflow.popen(
        "dags", "backfill", "-s", "2019-01-01", "-e", "2019-03-31", "--max-active-runs", "2", "taxi_green"
    )
    try:
        wait_for(downloads)
        running.kill(*KILLED)
    finally:
        release(downloads)
    running.start(*KILLED)
    said, _ = command.communicate(timeout=PATIENCE * 300)
    ours = (
        "dag_run.dag_id = 'taxi_yellow' AND (run_type = 'manual' OR logical_date BETWEEN '2019-04-01' AND '2019-07-01')"
    )
    runs = f"SELECT state FROM dag_run WHERE {ours}"
    unfinished = "SELECT 1 FROM dag_run WHERE state IN ('queued', 'running')"
    wait_until(lambda: not airflow.query(unfinished), timeout=300, what="all runs to end")

    assert airflow.query(runs) == [("success",)] * 4
    assert command.returncode == 0, said
    assert "3 of 3 months succeeded" in said
    assert "The execution API has gone away" in said
    assert airflow.query(
        "SELECT DISTINCT job_type FROM task_instance AS task JOIN job ON job.id = task.queued_by_job_id"
        f" JOIN dag_run USING (run_id) WHERE {ours}"
    ) == [("SchedulerJob",)]
    with closing(taxi.connect()) as connection:
        for source, files in ((green, by_command), (yellow, by_scheduler)):
            expected = clean_ids(postgres_server, source, files.items())
            # The scheduler starts a run of its own, of the latest month that is due, which the mirror lacks.
            ledger = assert_survived(connection, source, expected, last_states=["published", "failed"])
    last = {month: state for month, state, _, _ in ledger}
    assert {last[month] for month in (*BY_COMMAND, *BY_SCHEDULER)} == {"published"}
    abandoned = sorted(month for month, state, _, _ in ledger if state == "abandoned")
    assert [month for month in abandoned if month in BY_COMMAND] == ["2019-01", "2019-02"]
    assert set(abandoned) >= {"2019-04", "2019-05", "2019-07"}
