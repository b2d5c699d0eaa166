"""A backfill that is stopped, killed, or started twice: nothing half done, and the next call finishes the rest."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.killable_server import KillableServer
from tests.integration.airflow_environment import (
    PATIENCE,
    AirflowEnvironment,
    one_home,
    shared_metadata_server,
    wait_until,
)

DAGS = Path(__file__).with_name("backfill_dags")


@pytest.fixture
def airflow() -> Iterator[AirflowEnvironment]:
    environment = AirflowEnvironment.create(shared_metadata_server(), one_home(), dags=DAGS, own_api=True)
    try:
        yield environment
    finally:
        (environment.home / "release").touch()
        environment.close()


def start(airflow: AirflowEnvironment, *options: str) -> subprocess.Popen[str]:
    """Start the first quarter of the DAG whose tasks wait for a file."""
    return airflow.popen("dags", "backfill", "-s", "2019-01-01", "-e", "2019-03-31", *options, "holding")


def held(airflow: AirflowEnvironment, month: str) -> psutil.Process:
    """Wait until a month's task has begun, and return its process."""
    file = airflow.home / f"held-{month}"
    pid = wait_until(lambda: file.exists() and file.read_text(), timeout=120, what=f"the task of {month}")
    return psutil.Process(int(pid))


def states(airflow: AirflowEnvironment) -> dict[str, tuple[str, dict[str, tuple[str | None, int]]]]:
    """Return each month's state, and the state and number of tries of its tasks."""
    rows = airflow.query(
        "SELECT to_char(logical_date AT TIME ZONE 'UTC', 'YYYY-MM'), run.state, task_id, task.state, try_number"
        " FROM dag_run AS run JOIN task_instance AS task USING (dag_id, run_id) WHERE dag_id = 'holding' ORDER BY 1"
    )
    found: dict[str, tuple[str, dict[str, tuple[str | None, int]]]] = {}
    for month, state, task, task_state, tries in rows:
        found.setdefault(month, (state, {}))[1][task] = (task_state, tries)
    return found


def january_done_february_running(
    airflow: AirflowEnvironment, *options: str
) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Start a backfill, one month at a time, and let it come to the middle of February."""
    (airflow.home / "release-2019-01").touch()
    command = start(airflow, "--max-active-runs", "1", *options)
    held(airflow, "2019-02")
    family = psutil.Process(command.pid).children(recursive=True)
    assert len(family) >= 3, "an API server, a worker and a task"
    return command, family


def the_next_call_finishes(airflow: AirflowEnvironment, command: str, *, march_ran_before: bool = False) -> None:
    (airflow.home / "release").touch()
    done = airflow.succeed(*shlex.split(command)[1:])
    rest = "2 to finish" if march_ran_before else "1 to run, 1 to finish"
    assert f"3 months, 2019-01 to 2019-03: {rest}, 1 already succeeded" in done
    tries = 2 if march_ran_before else 1
    assert "3 of 3 months succeeded, 1 of them earlier" in done
    assert states(airflow) == {
        "2019-01": ("success", {"prepare": ("success", 1), "hold": ("success", 1)}),
        # What had succeeded is not done again, what was cut off is.
        "2019-02": ("success", {"prepare": ("success", 1), "hold": ("success", 2)}),
        "2019-03": ("success", {"prepare": ("success", tries), "hold": ("success", tries)}),
    }
    assert airflow.query("SELECT count(*) FROM backfill WHERE completed_at IS NULL") == [(0,)]
    assert airflow.query("SELECT note.content FROM dag_run_note AS note") == []
    assert airflow.query("SELECT is_paused FROM dag WHERE dag_id = 'holding'") == [(True,)]


@pytest.mark.parametrize("march_ran_before", [False, True])
def test_a_stop_leaves_nothing_half_done(airflow: AirflowEnvironment, march_ran_before: bool) -> None:
    if march_ran_before:
        (airflow.home / "release-2019-03").touch()
        assert airflow.run("dags", "backfill", "-s", "2019-03-01", "-e", "2019-03-31", "holding").returncode == 0
    command, family = january_done_february_running(airflow, *(["--reset-dagruns"] if march_ran_before else []))

    if march_ran_before:
        # As kill does.
        os.kill(command.pid, signal.SIGTERM)
    else:
        # As a terminal does: the signal goes to the whole process group.
        os.killpg(command.pid, signal.SIGINT)
    output, _ = command.communicate(timeout=PATIENCE * 60)

    assert command.returncode == (143 if march_ran_before else 130), output
    assert psutil.wait_procs(family, timeout=0)[1] == []
    assert "Stopping: running tasks have 3 seconds to clean up." in output
    assert "Stopped. 1 of 3 months succeeded." in output
    assert "    succeeded: 2019-01\n    not finished: 2019-02, 2019-03\n" in output
    # What is done is not done again, even where the call was to run all months again.
    again = " --reprocess-behavior failed" if march_ran_before else ""
    advice = f"airflow dags backfill -s 2019-01-01 -e 2019-03-31 --max-active-runs 1{again} holding"
    assert f"Finish the rest: {advice}\n" in output
    assert "Traceback" not in output
    assert states(airflow) == {
        "2019-01": ("success", {"prepare": ("success", 1), "hold": ("success", 1)}),
        "2019-02": ("failed", {"prepare": ("success", 1), "hold": (None, 1)}),
    } | ({"2019-03": ("failed", {"prepare": (None, 1), "hold": (None, 1)})} if march_ran_before else {})
    assert airflow.query("SELECT DISTINCT content LIKE 'Interrupted: stopped, %%' FROM dag_run_note") == [(True,)]
    assert airflow.query("SELECT count(*) FROM backfill WHERE completed_at IS NULL") == [(0,)]
    assert airflow.query("SELECT DISTINCT state FROM job WHERE job_type = 'BackfillJob'") == [("success",)]

    the_next_call_finishes(airflow, advice, march_ran_before=march_ran_before)


def test_a_killed_command_takes_its_processes_along_and_the_next_call_takes_over(airflow: AirflowEnvironment) -> None:
    command, family = january_done_february_running(airflow)

    os.kill(command.pid, signal.SIGKILL)

    assert command.wait(PATIENCE * 30) == -signal.SIGKILL
    assert psutil.wait_procs(family, timeout=PATIENCE * 30)[1] == [], "they end without the command"
    assert states(airflow)["2019-02"][0] == "running", "nobody was left to write it down"

    dry = airflow.run("dags", "backfill", "-n", "-s", "2019-01-01", "-e", "2019-03-31", "holding")
    assert dry.stdout.splitlines() == [
        "2019-01  skip: already succeeded",
        "2019-02  finish: was interrupted",
        "2019-03  create",
    ], dry.stderr
    the_next_call_finishes(airflow, "airflow dags backfill -s 2019-01-01 -e 2019-03-31 holding")


def test_a_database_that_stops_is_said_with_the_call_that_goes_on(airflow: AirflowEnvironment) -> None:
    with KillableServer() as server:
        connection = f"postgresql+psycopg2://postgres@/postgres?host={server.socket_folder}"
        airflow.variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = connection
        assert airflow.run("db", "migrate").returncode == 0
        command = start(airflow, "--reset-dagruns")
        held(airflow, "2019-01")

        server.stop()

        output, _ = command.communicate(timeout=PATIENCE * 120)
        assert command.returncode == 1, output
        again = "airflow dags backfill -s 2019-01-01 -e 2019-03-31 --reprocess-behavior failed holding"
        assert re.search(
            r"error: Airflow's metadata database \S+taxiway-killable\S+ \(named by \S+\) has stopped answering: \w",
            output,
        ), output
        assert "Nothing is half done: the next call puts the runs that had begun in order." in output
        assert f"go on with: {again}\n" in output, output
        assert "sqlalche.me" not in output

        # A call before it answers says the same.
        silent = airflow.run(*shlex.split(again)[1:])
        assert (silent.returncode, f"go on with: {again}" in silent.stderr) == (1, True), silent.stderr

        server.start()
        (airflow.home / "release").touch()
        done = airflow.succeed(*shlex.split(again)[1:])
        assert "An earlier call was killed: its unfinished runs are put in order first." in done
        assert "3 of 3 months succeeded" in done


def test_of_two_calls_one_runs(airflow: AirflowEnvironment) -> None:
    commands = [start(airflow), start(airflow)]
    # Whichever it is, the other says so at once, while the first is under way.
    loser = wait_until(
        lambda: next((command for command in commands if command.poll() is not None), None),
        timeout=120,
        what="one of two commands to give way",
    )
    winner = commands[1 - commands.index(loser)]
    output, _ = loser.communicate()
    assert loser.returncode == 1
    assert f"a backfill of holding is running already (airflow dags backfill, process {winner.pid} on " in output
    assert f"wait for its end, or stop it with Ctrl-C or 'kill {winner.pid}'\n" in output
    assert "Traceback" not in output

    (airflow.home / "release").touch()
    output, _ = winner.communicate(timeout=PATIENCE * 120)
    assert winner.returncode == 0, output
    assert "3 of 3 months succeeded, in" in output
    assert {month: state for month, (state, _) in states(airflow).items()} == {
        "2019-01": "success",
        "2019-02": "success",
        "2019-03": "success",
    }
    assert airflow.query("SELECT max(try_number) FROM task_instance") == [(1,)]
