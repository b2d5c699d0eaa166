"""What ``airflow dags backfill`` makes of runs whose records in the metadata don't tell what has happened."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from tests.integration.airflow_environment import (
    AirflowEnvironment,
    end_group,
    one_home,
    shared_metadata_server,
    wait_until,
)

DAGS = Path(__file__).with_name("backfill_dags")
OF_MONTH = "to_char(r.logical_date AT TIME ZONE 'UTC', 'YYYY-MM')"


@pytest.fixture
def airflow() -> Iterator[AirflowEnvironment]:
    environment = AirflowEnvironment.create(shared_metadata_server(), one_home(), dags=DAGS)
    try:
        yield environment
    finally:
        (environment.home / "release").touch()
        environment.close()


def backfill(
    airflow: AirflowEnvironment, dag_id: str, start: str, end: str, *options: str
) -> subprocess.CompletedProcess[str]:
    return airflow.run("dags", "backfill", "-s", start, "-e", end, *options, dag_id)


def tasks(airflow: AirflowEnvironment) -> dict[str, dict[str, tuple[str | None, int]]]:
    """Return the state and the tries of every task, by month."""
    found: dict[str, dict[str, tuple[str | None, int]]] = {}
    for month, task, state, tries in airflow.query(
        f"SELECT {OF_MONTH}, t.task_id, t.state, t.try_number"
        " FROM dag_run r LEFT JOIN task_instance t USING (dag_id, run_id) ORDER BY 1, 2"
    ):
        found.setdefault(month, {})[task] = (state, tries)
    return found


def test_a_run_whose_tasks_db_clean_has_deleted_is_run_again(airflow: AirflowEnvironment) -> None:
    assert backfill(airflow, "trivial", "2019-12-01", "2019-12-31").returncode == 0
    now = datetime.now(timezone.utc).isoformat()
    airflow.succeed("db", "clean", "--clean-before-timestamp", now, "--skip-archive", "-y")
    # Airflow keeps the last run of a DAG, without its tasks; the DAG itself is not known any more.
    assert tasks(airflow) == {"2019-12": {None: (None, None)}}
    assert airflow.query("SELECT count(*) FROM dag") == [(0,)]

    again = backfill(airflow, "trivial", "2019-12-01", "2019-12-31", "--reprocess-behavior", "completed")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "trivial: 1 month, 2019-12: 1 to rerun\n" in again.stdout
    assert "[1/1] 2019-12 succeeded after" in again.stdout
    assert tasks(airflow) == {"2019-12": {"first": ("success", 1), "second": ("success", 1)}}
    begun = "SELECT count(*) FROM task_instance WHERE start_date > %s"
    assert airflow.query(begun, now) == [(2,)], "its tasks have run in this call"

    airflow.succeed("dags", "delete", "-y", "trivial")
    anew = backfill(airflow, "trivial", "2019-12-01", "2019-12-31")
    assert anew.returncode == 0, anew.stdout + anew.stderr
    assert "1 month, 2019-12: 1 to run\n" in anew.stdout
    assert tasks(airflow) == {"2019-12": {"first": ("success", 1), "second": ("success", 1)}}


def test_every_way_in_which_records_and_runs_differ(airflow: AirflowEnvironment) -> None:
    assert backfill(airflow, "trivial", "2019-01-01", "2019-06-30").returncode == 0

    for month, run_state, change in (
        (1, "success", "DELETE FROM task_instance WHERE true"),
        (2, "success", "DELETE FROM task_instance WHERE task_id = 'first'"),
        (3, "failed", "DELETE FROM task_instance WHERE true"),
        (4, "queued", "DELETE FROM task_instance WHERE true"),
        (5, "failed", "UPDATE task_instance SET state = NULL WHERE task_id = 'second'"),
        (5, "failed", "DELETE FROM task_instance WHERE task_id = 'first'"),
        (6, "success", "UPDATE task_instance SET try_number = 0 WHERE true"),
    ):
        run_id = f"backfill__2019-{month:02d}-01T09:00:00+00:00"
        airflow.query("UPDATE dag_run SET state = %s WHERE run_id = %s", run_state, run_id)
        airflow.query(f"{change} AND run_id = %s", run_id)
    airflow.query("UPDATE dag_run SET backfill_id = NULL, created_dag_version_id = NULL")
    airflow.query("DELETE FROM backfill")
    moment = datetime.now(timezone.utc)

    plain = backfill(airflow, "trivial", "2019-01-01", "2019-06-30", "--dry-run")
    assert plain.stdout.splitlines() == [
        "2019-01  skip: already succeeded",
        "2019-02  skip: already succeeded",
        "2019-03  skip: failed earlier (rerun it with --reprocess-behavior failed)",
        "2019-04  take over: its run waits, and nobody works on it",
        "2019-05  finish: was interrupted",
        "2019-06  skip: recorded as succeeded, though it has not run to its end"
        " (run it with --reprocess-behavior completed)",
    ], plain.stderr

    done = backfill(airflow, "trivial", "2019-01-01", "2019-06-30", "--reprocess-behavior", "completed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 months, 2019-01 to 2019-06: 1 to finish, 1 to take over, 1 to rerun after a failure, 3 to rerun" in (
        done.stdout
    )
    assert "6 of 6 months succeeded, in" in done.stdout
    found = airflow.query(
        f"SELECT {OF_MONTH}, count(*) FROM dag_run r JOIN task_instance t USING (dag_id, run_id)"
        " WHERE r.state = 'success' AND t.state = 'success' AND t.start_date > %s GROUP BY 1 ORDER BY 1",
        moment,
    )
    assert found == [(f"2019-{month:02d}", 2) for month in range(1, 7)], "every task has run in this call"


def test_a_run_that_is_recorded_as_succeeded_is_not_called_succeeded(airflow: AirflowEnvironment) -> None:
    assert backfill(airflow, "trivial", "2019-01-01", "2019-02-28").returncode == 0
    # As Airflow marks a run that has not begun: its tasks are skipped.
    airflow.query("UPDATE task_instance SET state = 'skipped', try_number = 0 WHERE run_id LIKE 'backfill__2019-02%'")

    done = backfill(airflow, "trivial", "2019-01-01", "2019-02-28")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 already succeeded, 1 recorded as succeeded\n" in done.stdout
    assert "1 of 2 months succeeded, 1 of them earlier, 1 skipped, in" in done.stdout
    said = "2019-02 is recorded as succeeded, though it has not run to its end: run it with "
    advice = "airflow dags backfill -s 2019-02-01 -e 2019-02-01 --reprocess-behavior completed trivial"
    assert f"{said}{advice}\n" in done.stdout

    led_on = airflow.succeed(*advice.split()[1:])
    assert "1 of 1 month succeeded, in" in led_on
    assert tasks(airflow)["2019-02"] == {"first": ("success", 1), "second": ("success", 1)}


def test_what_was_cleared_on_a_paused_dag_is_taken_over(airflow: AirflowEnvironment) -> None:
    """An error that advises to clear the task leads on: the same call again runs what was cleared."""
    assert backfill(airflow, "failing", "2019-02-01", "2019-03-31").returncode == 1
    (airflow.home / "corrected").touch()
    airflow.succeed("tasks", "clear", "failing", "-s", "2019-02-01", "-e", "2019-03-31", "-y")

    # As long as a scheduler lives and the DAG isn't paused, what was cleared is the scheduler's, begun or not.
    airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'failing'")
    airflow.query(
        "INSERT INTO job (job_type, state, latest_heartbeat) VALUES ('SchedulerJob', 'running', now() + interval '1 h')"
    )
    theirs = backfill(airflow, "failing", "2019-02-01", "2019-03-31")
    assert theirs.returncode == 1
    assert "2019-02 is running elsewhere (Airflow's scheduler): call again when backfill__2019-02-01T09:00:00" in (
        theirs.stdout
    )
    airflow.query("UPDATE job SET state = 'failed' WHERE job_type = 'SchedulerJob'")

    dry = backfill(airflow, "failing", "2019-02-01", "2019-03-31", "--dry-run", "--reprocess-behavior", "completed")
    assert dry.stdout.splitlines() == [
        f"{month}  take over: its run waits, and nobody works on it" for month in ("2019-02", "2019-03")
    ]
    done = backfill(airflow, "failing", "2019-02-01", "2019-03-31")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 months, 2019-02 to 2019-03: 2 to take over\n" in done.stdout
    assert "2 of 2 months succeeded, in" in done.stdout
    assert tasks(airflow) == {"2019-02": {"load": ("success", 2)}, "2019-03": {"load": ("success", 2)}}


def test_a_run_of_dags_test_is_left_alone_while_it_goes_on(airflow: AirflowEnvironment) -> None:
    def tested(month: str) -> tuple[subprocess.Popen[str], psutil.Process]:
        command = airflow.popen("dags", "test", "holding", f"{month}-01T09:00:00+00:00")
        file = airflow.home / f"held-{month}"
        pid = wait_until(lambda: file.exists() and file.read_text(), timeout=90, what=f"the task of {month}")
        return command, psutil.Process(int(pid))

    command, _task = tested("2019-01")
    refused = backfill(airflow, "holding", "2019-01-01", "2019-01-31")
    assert refused.returncode == 1
    assert "0 of 1 month succeeded" in refused.stdout
    assert "2019-01 is running elsewhere (its task hold runs on " in refused.stdout
    assert re.search(r"\): call again when manual__\S+ has ended\n", refused.stdout)
    (airflow.home / "release-2019-01").touch()
    assert command.wait(60) == 0
    again = backfill(airflow, "holding", "2019-01-01", "2019-01-31")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 of 1 month succeeded, 1 of them earlier" in again.stdout

    # One that was killed can't say so: it counts as lost once it has been silent for as long as a task may be.
    command, task = tested("2019-02")
    task.send_signal(signal.SIGKILL)
    end_group(command)
    assert airflow.query("SELECT count(*) FROM dag_run WHERE state = 'running'") == [(1,)]
    silent = backfill(airflow, "holding", "2019-02-01", "2019-02-28", "--dry-run")
    assert silent.stdout == "2019-02  skip: running elsewhere (airflow dags test or tasks test)\n", silent.stderr
    airflow.query("UPDATE task_instance SET updated_at = %s", datetime.now(timezone.utc) - timedelta(seconds=301))
    (airflow.home / "release-2019-02").touch()
    done = backfill(airflow, "holding", "2019-02-01", "2019-02-28")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 to take over" in done.stdout
    assert tasks(airflow)["2019-02"]["hold"][0] == "success"


def test_the_parts_of_a_range_without_runs_are_named(airflow: AirflowEnvironment) -> None:
    now = datetime.now(timezone.utc)
    first_of_this = now.replace(day=1, hour=9, minute=0, second=0, microsecond=0)
    following = (first_of_this + timedelta(days=32)).replace(day=1)
    due = following if first_of_this <= now else first_of_this
    start, end = f"{due - timedelta(days=3):%Y-%m}-01", "2999-12-31"
    future = (
        f"from {due:%Y-%m-%d} 09:00 UTC on: not run, because the schedule starts these runs in the future, "
        f"the first at {due:%Y-%m-%d} 09:00 UTC"
    )

    dry = backfill(airflow, "trivial", start, end, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.splitlines() == [f"{start[:7]}  create", future]

    done = backfill(airflow, "trivial", start, end)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"trivial: {future}"
    assert lines[1] == f"trivial: 1 month, {start[:7]}: 1 to run"
    assert lines[-2].startswith("1 of 1 month succeeded, in ")
    assert lines[-1] == future
    assert airflow.query("SELECT count(*) FROM dag_run") == [(1,)]


def test_what_somebody_has_marked_after_a_failure_is_not_called_succeeded(airflow: AirflowEnvironment) -> None:
    """The run, or its last task; tasks before and behind the one that failed have run, and don't make up for it."""
    assert backfill(airflow, "stepwise", "2019-01-01", "2019-02-28").returncode == 1
    ids = [f"backfill__2019-{month:02d}-01T09:00:00+00:00" for month in (1, 2)]
    airflow.rest(f"/dags/stepwise/dagRuns/{quote(ids[0])}", "PATCH", {"state": "success"})
    task = f"/dags/stepwise/dagRuns/{quote(ids[1])}/taskInstances/publish"
    airflow.rest(task, "PATCH", {"new_state": "success"})
    airflow.rest(f"/dags/stepwise/dagRuns/{quote(ids[1])}", "PATCH", {"state": "success"})
    steps = {"fetch": ("success", 1), "tidy": ("success", 1)}
    assert tasks(airflow) == {
        "2019-01": {**steps, "publish": ("failed", 1)},
        "2019-02": {**steps, "publish": ("success", 1)},
    }
    assert airflow.query("SELECT run_id, state FROM dag_run ORDER BY 1") == [(run_id, "success") for run_id in ids]

    done = backfill(airflow, "stepwise", "2019-01-01", "2019-02-28")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of 2 months succeeded, 2 skipped, in" in done.stdout
    for month in ("2019-01", "2019-02"):
        advice = f"airflow dags backfill -s {month}-01 -e {month}-01 --reprocess-behavior completed stepwise"
        assert f"{month} is recorded as succeeded, though it has not run to its end: run it with {advice}\n" in (
            done.stdout
        )
    dry = backfill(airflow, "stepwise", "2019-01-01", "2019-02-28", "--dry-run")
    skipped = "skip: recorded as succeeded, though it has not run to its end"
    assert [line.partition(" (")[0] for line in dry.stdout.splitlines()] == [
        f"2019-01  {skipped}",
        f"2019-02  {skipped}",
    ], dry.stderr

    (airflow.home / "corrected").touch()
    led_on = airflow.succeed(*advice.split()[1:])
    assert "1 of 1 month succeeded, in" in led_on
    again = backfill(airflow, "stepwise", "2019-02-01", "2019-02-28")
    assert "1 of 1 month succeeded, 1 of them earlier" in again.stdout, again.stderr


def test_a_run_that_succeeds_in_spite_of_a_failed_task_is_called_succeeded(airflow: AirflowEnvironment) -> None:
    done = backfill(airflow, "tolerant", "2019-01-01", "2019-01-31")
    assert done.returncode == 0, done.stdout + done.stderr
    assert tasks(airflow) == {"2019-01": {"try_it": ("failed", 1), "go_on": ("success", 1)}}
    assert "1 of 1 month succeeded, in" in done.stdout
    again = backfill(airflow, "tolerant", "2019-01-01", "2019-01-31")
    assert "1 of 1 month succeeded, 1 of them earlier" in again.stdout, again.stderr


def test_a_run_that_is_marked_while_a_task_waits_for_its_next_try(airflow: AirflowEnvironment) -> None:
    """Airflow skips that task, as a worker skips the tasks behind an unchanged month."""
    command = airflow.popen("dags", "backfill", "-s", "2019-01-01", "patient")
    waiting = "SELECT 1 FROM task_instance WHERE task_id = 'wait_long' AND state = 'up_for_retry'"
    wait_until(lambda: airflow.query(waiting), timeout=180, what="the task to wait for its next try")
    run_id = airflow.query("SELECT run_id FROM dag_run")[0][0]
    airflow.rest(f"/dags/patient/dagRuns/{quote(run_id)}", "PATCH", {"state": "success"})
    said, _ = command.communicate(timeout=120)
    ran = ("success", 1)
    assert tasks(airflow) == {"2019-01": {"start": ran, "wait_long": ("skipped", 1), "tidy_up": ran}}
    assert "0 of 1 month succeeded, 1 skipped, in" in said
    assert "2019-01 is recorded as succeeded, though it has not run to its end: run it with airflow" in said
    dry = backfill(airflow, "patient", "2019-01-01", "2019-01-31", "--dry-run")
    assert dry.stdout.startswith("2019-01  skip: recorded as succeeded"), dry.stderr


MARKS = """
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from dags_backfill.task_records import marked_runs
from sqlalchemy import select

loads, read = [], DBDagBag._read_dag
DBDagBag._read_dag = lambda bag, row: (loads.append(row), read(bag, row))[1]
with create_session() as session:
    runs = session.scalars(select(DagRun).order_by(DagRun.logical_date)).all()
    unmarked, before = sorted(marked_runs(runs[:1], session)), len(loads)
    for _ in range(3):
        marked = sorted(run_id[10:17] for run_id in marked_runs(runs, session))
print(unmarked, before, marked, len(loads))
"""


def test_an_interrupted_run_that_is_marked_afterwards(airflow: AirflowEnvironment) -> None:
    """The run keeps the moment of its interruption; alone or with others, and through the path of all DAGs."""
    (airflow.home / "release-2019-01").touch()
    command = airflow.popen("dags", "backfill", "-s", "2019-01-01", "-e", "2019-04-30", "holding")
    months = ["2019-02", "2019-03", "2019-04"]
    for month in months:
        file = airflow.home / f"held-{month}"
        wait_until(lambda file=file: file.exists() and file.read_text(), timeout=120, what=f"the task of {month}")
    done = "SELECT 1 FROM dag_run WHERE state = 'success'"
    wait_until(lambda: airflow.query(done), timeout=60, what="January to succeed")
    os.killpg(command.pid, signal.SIGINT)
    command.communicate(timeout=60)
    first, alone, together, anywhere = [run_id for (run_id,) in airflow.query("SELECT run_id FROM dag_run ORDER BY 1")]

    def several(path: str, *runs: dict[str, str]) -> None:
        entities = [{**run, "state": "success"} for run in runs]
        answer = airflow.rest(path, "PATCH", {"actions": [{"action": "update", "entities": entities}]})
        assert len(answer["update"]["success"]) == len(runs), answer

    for run_id in (first, alone):
        airflow.rest(f"/dags/holding/dagRuns/{quote(run_id)}", "PATCH", {"state": "success"})
    several("/dags/holding/dagRuns", {"dag_run_id": first}, {"dag_run_id": together})
    several("/dags/~/dagRuns", {"dag_id": "holding", "dag_run_id": anywhere})
    ran = ("success", 1)
    marked = {"prepare": ran, "hold": ("skipped", 1)}
    assert tasks(airflow) == {"2019-01": {"prepare": ran, "hold": ran}, **dict.fromkeys(months, marked)}

    again = backfill(airflow, "holding", "2019-01-01", "2019-04-30")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "4 months, 2019-01 to 2019-04: 1 already succeeded, 3 recorded as succeeded\n" in again.stdout
    assert "1 of 4 months succeeded, 1 of them earlier, 3 skipped, in" in again.stdout

    seen = subprocess.run(
        [sys.executable, "-c", MARKS],
        env={**airflow.variables, "PYTHONPATH": str(airflow.home / "plugins")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert seen.stdout.splitlines()[-1] == f"[] 0 {months} 1", "the DAG is loaded once, and only if it is needed"


@pytest.mark.parametrize("states", [["success"], ["failed", "success"]])
def test_an_interrupted_run_that_is_marked_while_it_waits_for_its_next_try(
    airflow: AirflowEnvironment, states: list[str]
) -> None:
    command = airflow.popen("dags", "backfill", "-s", "2019-01-01", "hopeful")
    waiting = "SELECT 1 FROM task_instance WHERE state = 'up_for_retry'"
    wait_until(lambda: airflow.query(waiting), timeout=180, what="the task to wait for its next try")
    os.killpg(command.pid, signal.SIGINT)
    command.communicate(timeout=60)
    (run_id,) = airflow.query("SELECT run_id FROM dag_run")[0]
    for state in states:
        airflow.rest(f"/dags/hopeful/dagRuns/{quote(run_id)}", "PATCH", {"state": state})
    assert tasks(airflow) == {"2019-01": {"begin": ("success", 1), "try_again": ("skipped", 1)}}

    again = backfill(airflow, "hopeful", "2019-01-01", "2019-01-31")

    assert "0 of 1 month succeeded, 1 skipped, in" in again.stdout, again.stderr
