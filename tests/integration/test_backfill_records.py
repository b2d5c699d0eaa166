"""What ``airflow dags backfill`` makes of runs whose records in the metadata don't tell what has happened."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

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
OF_MONTH = "to_char(r.logical_date AT TIME ZONE 'UTC', 'YYYY-MM')"


@pytest.fixture(scope="module")
def airflow() -> Iterator[AirflowEnvironment]:
    """One for all tests of this file: each has a DAG of its own, or months of its own."""
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


@pytest.fixture
def corrected(airflow: AirflowEnvironment) -> Iterator[Path]:
    """The file that lets failing tasks succeed, once it is there."""
    path = airflow.home / "corrected"
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def trivial(airflow: AirflowEnvironment) -> str:
    """A DAG of which eight months have succeeded."""
    assert backfill(airflow, "trivial", "2019-01-01", "2019-08-31").returncode == 0
    return "trivial"


def tasks(airflow: AirflowEnvironment, dag_id: str) -> dict[str, dict[str, tuple[str | None, int]]]:
    """Return the state and the tries of every task of a DAG, by month."""
    found: dict[str, dict[str, tuple[str | None, int]]] = {}
    for month, task, state, tries in airflow.query(
        f"SELECT {OF_MONTH}, t.task_id, t.state, t.try_number"
        " FROM dag_run r LEFT JOIN task_instance t USING (dag_id, run_id) WHERE dag_id = %s ORDER BY 1, 2",
        dag_id,
    ):
        found.setdefault(month, {})[task] = (state, tries)
    return found


def test_every_way_in_which_records_and_runs_differ(airflow: AirflowEnvironment, trivial: str) -> None:
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
    airflow.query("UPDATE dag_run SET backfill_id = NULL, created_dag_version_id = NULL WHERE dag_id = 'trivial'")
    airflow.query("DELETE FROM backfill WHERE dag_id = 'trivial'")
    moment = datetime.now(timezone.utc)

    plain = backfill(airflow, trivial, "2019-01-01", "2019-06-30", "--dry-run")
    assert plain.stdout.splitlines() == [
        "2019-01  skip: already succeeded",
        "2019-02  skip: already succeeded",
        "2019-03  skip: failed earlier (rerun it with --reprocess-behavior failed)",
        "2019-04  take over: its run waits, and nobody works on it",
        "2019-05  finish: was interrupted",
        "2019-06  skip: recorded as succeeded, though it has not run to its end"
        " (run it with --reprocess-behavior completed)",
    ], plain.stderr

    done = backfill(airflow, trivial, "2019-01-01", "2019-06-30", "--reprocess-behavior", "completed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 months, 2019-01 to 2019-06: 1 to finish, 1 to take over, 1 to rerun after a failure, 3 to rerun" in (
        done.stdout
    )
    assert "6 of 6 months succeeded, in" in done.stdout
    found = airflow.query(
        f"SELECT {OF_MONTH}, count(*) FROM dag_run r JOIN task_instance t USING (dag_id, run_id)"
        " WHERE dag_id = 'trivial' AND r.state = 'success' AND t.state = 'success' AND t.start_date > %s"
        " GROUP BY 1 ORDER BY 1",
        moment,
    )
    assert found == [(f"2019-{month:02d}", 2) for month in range(1, 7)], "every task has run in this call"


def test_a_run_that_is_recorded_as_succeeded_is_not_called_succeeded(airflow: AirflowEnvironment, trivial: str) -> None:
    # As Airflow marks a run that has not begun: its tasks are skipped.
    airflow.query("UPDATE task_instance SET state = 'skipped', try_number = 0 WHERE run_id LIKE 'backfill__2019-08%'")

    done = backfill(airflow, trivial, "2019-07-01", "2019-08-31")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 already succeeded, 1 recorded as succeeded\n" in done.stdout
    assert "1 of 2 months succeeded, 1 of them earlier, 1 skipped, in" in done.stdout
    said = "2019-08 is recorded as succeeded, though it has not run to its end: run it with "
    advice = "airflow dags backfill -s 2019-08-01 -e 2019-08-01 --reprocess-behavior completed trivial"
    assert f"{said}{advice}\n" in done.stdout

    led_on = airflow.succeed(*advice.split()[1:])
    assert "1 of 1 month succeeded, in" in led_on
    assert tasks(airflow, trivial)["2019-08"] == {"first": ("success", 1), "second": ("success", 1)}


def test_a_run_whose_tasks_db_clean_has_deleted_is_run_again(airflow: AirflowEnvironment, trivial: str) -> None:
    now = datetime.now(timezone.utc).isoformat()
    airflow.succeed("db", "clean", "--clean-before-timestamp", now, "--skip-archive", "-y")
    # Airflow keeps the last run of a DAG, without its tasks; the DAG itself is not known any more.
    assert tasks(airflow, trivial) == {"2019-08": {None: (None, None)}}
    assert airflow.query("SELECT count(*) FROM dag") == [(0,)]

    again = backfill(airflow, trivial, "2019-08-01", "2019-08-31", "--reprocess-behavior", "completed")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "trivial: 1 month, 2019-08: 1 to rerun\n" in again.stdout
    assert "[1/1] 2019-08 succeeded after" in again.stdout
    assert tasks(airflow, trivial) == {"2019-08": {"first": ("success", 1), "second": ("success", 1)}}
    begun = "SELECT count(*) FROM task_instance WHERE dag_id = 'trivial' AND start_date > %s"
    assert airflow.query(begun, now) == [(2,)], "its tasks have run in this call"


def test_the_parts_of_a_range_without_runs_are_named(airflow: AirflowEnvironment, trivial: str) -> None:
    """Of a DAG that was deleted from the metadata: it is as good as new."""
    airflow.succeed("dags", "delete", "-y", trivial)
    now = datetime.now(timezone.utc)
    first_of_this = now.replace(day=1, hour=9, minute=0, second=0, microsecond=0)
    following = (first_of_this + timedelta(days=32)).replace(day=1)
    due = following if first_of_this <= now else first_of_this
    start, end = f"{due - timedelta(days=3):%Y-%m}-01", "2999-12-31"
    future = (
        f"from {due:%Y-%m-%d} 09:00 UTC on: not run, because the schedule starts these runs in the future, "
        f"the first at {due:%Y-%m-%d} 09:00 UTC"
    )

    dry = backfill(airflow, trivial, start, end, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.splitlines() == [f"{start[:7]}  create", future]

    done = backfill(airflow, trivial, start, end)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"trivial: {future}"
    assert lines[1] == f"trivial: 1 month, {start[:7]}: 1 to run"
    assert lines[-2].startswith("1 of 1 month succeeded, in ")
    assert lines[-1] == future
    assert tasks(airflow, trivial) == {start[:7]: {"first": ("success", 1), "second": ("success", 1)}}


def test_what_was_cleared_on_a_paused_dag_is_taken_over(airflow: AirflowEnvironment, corrected: Path) -> None:
    """An error that advises to clear the task leads on: the same call again runs what was cleared."""
    assert backfill(airflow, "failing", "2019-02-01", "2019-03-31").returncode == 1
    corrected.touch()
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
    assert tasks(airflow, "failing") == {"2019-02": {"load": ("success", 2)}, "2019-03": {"load": ("success", 2)}}


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
    assert command.wait(PATIENCE * 60) == 0
    again = backfill(airflow, "holding", "2019-01-01", "2019-01-31")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 of 1 month succeeded, 1 of them earlier" in again.stdout

    # One that was killed can't say so: it counts as lost once it has been silent for as long as a task may be.
    command, task = tested("2019-02")
    task.send_signal(signal.SIGKILL)
    end_group(command)
    running = "SELECT count(*) FROM dag_run WHERE dag_id = 'holding' AND state = 'running'"
    assert airflow.query(running) == [(1,)]
    silent = backfill(airflow, "holding", "2019-02-01", "2019-02-28", "--dry-run")
    assert silent.stdout == "2019-02  skip: running elsewhere (airflow dags test or tasks test)\n", silent.stderr
    airflow.query(
        "UPDATE task_instance SET updated_at = %s WHERE dag_id = 'holding'",
        datetime.now(timezone.utc) - timedelta(seconds=301),
    )
    (airflow.home / "release-2019-02").touch()
    done = backfill(airflow, "holding", "2019-02-01", "2019-02-28")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 to take over" in done.stdout
    assert tasks(airflow, "holding")["2019-02"]["hold"][0] == "success"


def test_what_somebody_has_marked_after_a_failure_is_not_called_succeeded(
    airflow: AirflowEnvironment, corrected: Path
) -> None:
    """The run, or its last task; tasks before and behind the one that failed have run, and don't make up for it."""
    assert backfill(airflow, "stepwise", "2019-01-01", "2019-02-28").returncode == 1
    ids = [f"backfill__2019-{month:02d}-01T09:00:00+00:00" for month in (1, 2)]
    airflow.rest(f"/dags/stepwise/dagRuns/{quote(ids[0])}", "PATCH", {"state": "success"})
    task = f"/dags/stepwise/dagRuns/{quote(ids[1])}/taskInstances/publish"
    airflow.rest(task, "PATCH", {"new_state": "success"})
    airflow.rest(f"/dags/stepwise/dagRuns/{quote(ids[1])}", "PATCH", {"state": "success"})
    steps = {"fetch": ("success", 1), "tidy": ("success", 1)}
    assert tasks(airflow, "stepwise") == {
        "2019-01": {**steps, "publish": ("failed", 1)},
        "2019-02": {**steps, "publish": ("success", 1)},
    }
    states = "SELECT run_id, state FROM dag_run WHERE dag_id = 'stepwise' ORDER BY 1"
    assert airflow.query(states) == [(run_id, "success") for run_id in ids]

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

    corrected.touch()
    led_on = airflow.succeed(*advice.split()[1:])
    assert "1 of 1 month succeeded, in" in led_on
    again = backfill(airflow, "stepwise", "2019-02-01", "2019-02-28")
    assert "1 of 1 month succeeded, 1 of them earlier" in again.stdout, again.stderr


def test_a_run_that_succeeds_in_spite_of_a_failed_task_is_called_succeeded(airflow: AirflowEnvironment) -> None:
    done = backfill(airflow, "tolerant", "2019-01-01", "2019-01-31")
    assert done.returncode == 0, done.stdout + done.stderr
    assert tasks(airflow, "tolerant") == {"2019-01": {"try_it": ("failed", 1), "go_on": ("success", 1)}}
    assert "1 of 1 month succeeded, in" in done.stdout
    again = backfill(airflow, "tolerant", "2019-01-01", "2019-01-31")
    assert "1 of 1 month succeeded, 1 of them earlier" in again.stdout, again.stderr


def test_a_run_that_is_marked_while_a_task_waits_for_its_next_try(airflow: AirflowEnvironment) -> None:
    """Airflow skips that task, as a worker skips the tasks behind an unchanged month."""
    command = airflow.popen("dags", "backfill", "-s", "2019-01-01", "patient")
    waiting = "SELECT 1 FROM task_instance WHERE task_id = 'wait_long' AND state = 'up_for_retry'"
    wait_until(lambda: airflow.query(waiting), timeout=180, what="the task to wait for its next try")
    run_id = airflow.query("SELECT run_id FROM dag_run WHERE dag_id = 'patient'")[0][0]
    airflow.rest(f"/dags/patient/dagRuns/{quote(run_id)}", "PATCH", {"state": "success"})
    said, _ = command.communicate(timeout=PATIENCE * 120)
    ran = ("success", 1)
    assert tasks(airflow, "patient") == {"2019-01": {"start": ran, "wait_long": ("skipped", 1), "tidy_up": ran}}
    assert "0 of 1 month succeeded, 1 skipped, in" in said
    assert "2019-01 is recorded as succeeded, though it has not run to its end: run it with airflow" in said
    dry = backfill(airflow, "patient", "2019-01-01", "2019-01-31", "--dry-run")
    assert dry.stdout.startswith("2019-01  skip: recorded as succeeded"), dry.stderr


MARKS = """
import datetime

from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from dags_backfill.task_records import marked_runs
from sqlalchemy import select

MAY = datetime.datetime(2019, 5, 1, tzinfo=datetime.timezone.utc)
loads, read = [], DBDagBag._read_dag
DBDagBag._read_dag = lambda bag, row: (loads.append(row), read(bag, row))[1]
with create_session() as session:
    runs = session.scalars(
        select(DagRun).where(DagRun.dag_id == "holding", DagRun.logical_date >= MAY).order_by(DagRun.logical_date)
    ).all()
    unmarked, before = sorted(marked_runs(runs[:1], session)), len(loads)
    for _ in range(3):
        marked = sorted(run_id[10:17] for run_id in marked_runs(runs, session))
print(unmarked, before, marked, len(loads))
"""


def test_an_interrupted_run_that_is_marked_afterwards(airflow: AirflowEnvironment) -> None:
    """The run keeps the moment of its interruption; alone or with others, and through the path of all DAGs."""
    (airflow.home / "release-2019-05").touch()
    command = airflow.popen("dags", "backfill", "-s", "2019-05-01", "-e", "2019-08-31", "holding")
    months = ["2019-06", "2019-07", "2019-08"]
    for month in months:
        file = airflow.home / f"held-{month}"
        wait_until(lambda file=file: file.exists() and file.read_text(), timeout=120, what=f"the task of {month}")
    ours = "FROM dag_run WHERE dag_id = 'holding' AND logical_date >= '2019-05-01'"
    wait_until(lambda: airflow.query(f"SELECT 1 {ours} AND state = 'success'"), timeout=60, what="May to succeed")
    os.killpg(command.pid, signal.SIGINT)
    command.communicate(timeout=PATIENCE * 60)
    first, alone, together, anywhere = [run_id for (run_id,) in airflow.query(f"SELECT run_id {ours} ORDER BY 1")]

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
    found = {month: of_month for month, of_month in tasks(airflow, "holding").items() if month >= "2019-05"}
    assert found == {"2019-05": {"prepare": ran, "hold": ran}, **dict.fromkeys(months, marked)}

    again = backfill(airflow, "holding", "2019-05-01", "2019-08-31")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "4 months, 2019-05 to 2019-08: 1 already succeeded, 3 recorded as succeeded\n" in again.stdout
    assert "1 of 4 months succeeded, 1 of them earlier, 3 skipped, in" in again.stdout

    program = airflow.home / "marks.py"
    program.write_text(MARKS, encoding="utf-8")
    seen, _ = airflow.popen(program=program).communicate(timeout=PATIENCE * 60)
    assert seen.splitlines()[-1:] == [f"[] 0 {months} 1"], f"the DAG is loaded once, and only if it is needed: {seen}"


def test_interrupted_runs_that_are_marked_while_they_wait_for_their_next_try(airflow: AirflowEnvironment) -> None:
    """One as a success, the other as a failure first."""
    command = airflow.popen("dags", "backfill", "-s", "2019-01-01", "-e", "2019-02-28", "hopeful")
    waiting = "SELECT 1 FROM task_instance WHERE dag_id = 'hopeful' AND state = 'up_for_retry' OFFSET 1"
    wait_until(lambda: airflow.query(waiting), timeout=180, what="both tasks to wait for their next try")
    os.killpg(command.pid, signal.SIGINT)
    command.communicate(timeout=PATIENCE * 60)
    january, february = airflow.query("SELECT run_id FROM dag_run WHERE dag_id = 'hopeful' ORDER BY 1")
    for (run_id,), state in ((january, "success"), (february, "failed"), (february, "success")):
        airflow.rest(f"/dags/hopeful/dagRuns/{quote(run_id)}", "PATCH", {"state": state})
    marked = {"begin": ("success", 1), "try_again": ("skipped", 1)}
    assert tasks(airflow, "hopeful") == dict.fromkeys(("2019-01", "2019-02"), marked)

    again = backfill(airflow, "hopeful", "2019-01-01", "2019-02-28")

    assert "0 of 2 months succeeded, 2 skipped, in" in again.stdout, again.stderr
