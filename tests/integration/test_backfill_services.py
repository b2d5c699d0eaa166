"""``airflow dags backfill`` beside Airflow's services, on DAGs that are paused, that aren't, and that change."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.airflow_environment import (
    PATIENCE,
    AirflowEnvironment,
    end_group,
    one_home,
    shared_metadata_server,
    wait_until,
)

DAGS = Path(__file__).with_name("backfill_dags")


Services = dict[str, subprocess.Popen[str]]


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[AirflowEnvironment, Services]]:
    home = one_home()
    environment = AirflowEnvironment.create(shared_metadata_server(), home, dags=DAGS, own_api=True)
    try:
        with environment.services() as services:
            read = "SELECT count(*) FROM serialized_dag WHERE dag_id IN ('trivial', 'other_trivial', 'holding')"
            wait_until(
                lambda: environment.query(read) == [(3,)], timeout=60, what="the DAG processor to have read the DAGs"
            )
            yield environment, services
    finally:
        (home / "release").touch()
        environment.close()


@pytest.fixture
def airflow(running: tuple[AirflowEnvironment, Services]) -> AirflowEnvironment:
    return running[0]


def who_queued(airflow: AirflowEnvironment, dag_id: str, month: str) -> set[str]:
    """Return the kinds of the jobs that sent a month's tasks to an executor."""
    rows = airflow.query(
        "SELECT DISTINCT job_type FROM task_instance AS task JOIN job ON job.id = task.queued_by_job_id"
        " WHERE task.dag_id = %s AND task.run_id LIKE %s",
        dag_id,
        f"backfill__{month}%",
    )
    return {kind for (kind,) in rows}


def backfilled(airflow: AirflowEnvironment, dag_id: str) -> dict[str, str]:
    return dict(
        airflow.query(
            "SELECT to_char(logical_date AT TIME ZONE 'UTC', 'YYYY-MM'), state FROM dag_run"
            " WHERE dag_id = %s AND run_type = 'backfill' ORDER BY 1",
            dag_id,
        )
    )


def test_a_paused_dag_is_run_by_the_command(airflow: AirflowEnvironment) -> None:
    done = airflow.run("dags", "backfill", "-s", "2019-01-01", "-e", "2019-03-31", "trivial")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 months succeeded" in done.stdout
    assert airflow.query("SELECT is_paused FROM dag WHERE dag_id = 'trivial'") == [(True,)]
    assert who_queued(airflow, "trivial", "2019-01") == {"BackfillJob"}
    # The web UI shows what the REST API gives: these runs, no others, each with its logs.
    shown = airflow.rest("/dags/trivial/dagRuns?order_by=logical_date")
    assert shown["total_entries"] == 3
    assert [run["logical_date"][:7] for run in shown["dag_runs"]] == ["2019-01", "2019-02", "2019-03"]
    assert {(run["run_type"], run["state"]) for run in shown["dag_runs"]} == {("backfill", "success")}
    run_id = shown["dag_runs"][0]["dag_run_id"].replace("+", "%2B")
    log = airflow.rest(f"/dags/trivial/dagRuns/{run_id}/taskInstances/first/logs/1?full_content=true")
    assert "Done. Returned value was: seen" in str(log["content"])
    # The server that was there is the one that was used.
    messages = "".join(file.read_text() for file in (airflow.home / "logs" / "dags_backfill").iterdir())
    assert "http.access" not in messages
    assert "/execution/task-instances/" in (airflow.home / "api-server.log").read_text()


def test_a_dag_that_is_not_paused_is_run_by_the_scheduler(airflow: AirflowEnvironment) -> None:
    airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'other_trivial'")

    done = airflow.run("dags", "backfill", "-s", "2019-01-01", "-e", "2019-02-28", "other_trivial")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "The DAG is not paused: Airflow's scheduler runs it.\n" in done.stdout
    assert "2 of 2 months succeeded" in done.stdout
    assert backfilled(airflow, "other_trivial") == {"2019-01": "success", "2019-02": "success"}
    assert who_queued(airflow, "other_trivial", "2019-01") == {"SchedulerJob"}
    assert airflow.query("SELECT is_paused FROM dag WHERE dag_id = 'other_trivial'") == [(False,)]
    airflow.query("UPDATE dag SET is_paused = true WHERE dag_id = 'other_trivial'")


def test_a_dag_is_unpaused_and_paused_while_the_backfill_goes_on(airflow: AirflowEnvironment) -> None:
    """The scheduler takes over, and gives back, and no task is run twice."""
    command = airflow.popen(
        "dags", "backfill", "-s", "2019-01-01", "-e", "2019-03-31", "--max-active-runs", "1", "holding"
    )

    def held(month: str) -> None:
        wait_until((airflow.home / f"held-{month}").exists, timeout=90, what=f"the task of {month}")

    held("2019-01")
    airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'holding'")
    (airflow.home / "release-2019-01").touch()
    held("2019-02")
    airflow.query("UPDATE dag SET is_paused = true WHERE dag_id = 'holding'")
    (airflow.home / "release-2019-02").touch()
    held("2019-03")
    (airflow.home / "release-2019-03").touch()
    output, _ = command.communicate(timeout=PATIENCE * 90)

    assert command.returncode == 0, output
    assert "3 of 3 months succeeded" in output
    assert who_queued(airflow, "holding", "2019-01") == {"BackfillJob"}
    assert who_queued(airflow, "holding", "2019-02") == {"SchedulerJob"}
    assert who_queued(airflow, "holding", "2019-03") == {"BackfillJob"}
    assert airflow.query(
        "SELECT max(try_number) FROM task_instance WHERE dag_id = 'holding' AND run_id LIKE 'backfill%%'"
    ) == [(1,)]


def test_a_run_that_a_scheduler_works_on_is_left_alone(airflow: AirflowEnvironment) -> None:
    """It is taken over once the DAG is paused, and none of its tasks goes on: no scheduler ends such a run."""

    def call(*options: str) -> subprocess.CompletedProcess[str]:
        return airflow.run("dags", "backfill", "-s", "2019-11-01", "-e", "2019-11-30", *options, "holding")

    airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'holding'")
    airflow.rest(
        "/dags/holding/dagRuns",
        "POST",
        {"dag_run_id": "by_hand", "logical_date": "2019-11-01T09:00:00Z", "conf": {}},
    )
    wait_until((airflow.home / "held-2019-11").exists, timeout=90, what="the scheduler's task")
    scheduled = call("--reprocess-behavior", "completed")
    assert scheduled.returncode == 1
    assert "1 running elsewhere\n" in scheduled.stdout
    assert "2019-11 is running elsewhere (its task hold runs on " in scheduled.stdout
    assert "): call again when by_hand has ended\n" in scheduled.stdout
    airflow.query("UPDATE dag SET is_paused = true WHERE dag_id = 'holding'")
    still = call("--dry-run")
    assert still.stdout.startswith("2019-11  skip: running elsewhere (its task hold runs on "), still.stderr

    (airflow.home / "release-2019-11").touch()
    wait_until(
        lambda: airflow.query("SELECT 1 FROM task_instance WHERE run_id = 'by_hand' AND state = 'success' OFFSET 1"),
        timeout=60,
        what="the task to end",
    )
    done = call()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 month succeeded" in done.stdout
    assert airflow.query("SELECT DISTINCT state, try_number FROM task_instance WHERE run_id = 'by_hand'") == [
        ("success", 1)
    ]

    # The run of a backfill that was cancelled is started by no scheduler, whether the DAG is paused or not.
    airflow.query("UPDATE backfill SET is_paused = true WHERE dag_id = 'holding'")
    airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'holding'")
    assert airflow.run("tasks", "clear", "holding", "-s", "2019-11-01", "-e", "2019-11-30", "-y").returncode == 0
    again = call()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2019-11: 1 to take over\n" in again.stdout
    airflow.query("UPDATE dag SET is_paused = true WHERE dag_id = 'holding'")


def test_a_backfill_that_is_cancelled_as_the_error_advises_leads_on(airflow: AirflowEnvironment) -> None:
    created = airflow.run(
        "backfill", "create", "--dag-id", "trivial", "--from-date", "2020-02-01", "--to-date", "2020-02-28"
    )
    assert created.returncode == 0, created.stderr
    refused = airflow.run("dags", "backfill", "-s", "2020-02-01", "-e", "2020-02-28", "trivial")
    assert refused.returncode == 1
    number = re.search(r"not finished: number (\d+), .* or cancel it in the web UI", refused.stderr)
    assert number is not None, refused.stderr

    # What the web UI's button sends.
    airflow.rest(f"/backfills/{number[1]}/cancel", "PUT")
    done = airflow.run("dags", "backfill", "-s", "2020-02-01", "-e", "2020-02-28", "trivial")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 month succeeded" in done.stdout


def test_ctrl_c_stops_what_the_scheduler_runs(airflow: AirflowEnvironment) -> None:
    airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'holding'")
    command = airflow.popen("dags", "backfill", "-s", "2019-05-01", "-e", "2019-06-30", "holding")
    file = airflow.home / "held-2019-05"
    task = psutil.Process(int(wait_until(lambda: file.exists() and file.read_text(), timeout=90, what="a task")))

    os.killpg(command.pid, signal.SIGINT)
    output, _ = command.communicate(timeout=PATIENCE * 90)

    assert command.returncode == 130, output
    assert not task.is_running(), "the command waits until the task has ended"
    assert "Nothing is half done." in output
    assert airflow.query(
        "SELECT count(*) FROM dag_run WHERE dag_id = 'holding' AND run_type = 'backfill'"
        " AND state IN ('queued', 'running')"
    ) == [(0,)]

    for month in ("2019-05", "2019-06"):
        (airflow.home / f"release-{month}").touch()
    done = airflow.run("dags", "backfill", "-s", "2019-05-01", "-e", "2019-06-30", "holding")
    assert done.returncode == 0, done.stdout + done.stderr
    assert backfilled(airflow, "holding") == {f"2019-{number:02d}": "success" for number in (1, 2, 3, 5, 6, 11)}


def test_services_go_away_in_the_middle(running: tuple[AirflowEnvironment, Services]) -> None:
    """The last test with services: it ends them."""
    airflow, services = running
    airflow.query("UPDATE dag SET is_paused = true WHERE dag_id = 'holding'")
    command = airflow.popen("dags", "backfill", "-s", "2019-08-01", "-e", "2019-08-31", "holding")
    file = airflow.home / "held-2019-08"
    first_try = wait_until(lambda: file.exists() and file.read_text(), timeout=90, what="the task")

    for process in services.values():
        end_group(process)
    wait_until(lambda: file.read_text() not in ("", first_try), timeout=90, what="the task to begin again")
    assert not psutil.pid_exists(int(first_try)), "it was ended before"
    (airflow.home / "release-2019-08").touch()
    output, _ = command.communicate(timeout=PATIENCE * 90)

    assert command.returncode == 0, output
    assert airflow.query(
        "SELECT task_id, try_number, state FROM task_instance WHERE dag_id = 'holding' AND run_id LIKE '%%2019-08%%'"
        " ORDER BY task_id"
    ) == [("hold", 2, "success"), ("prepare", 1, "success")]
