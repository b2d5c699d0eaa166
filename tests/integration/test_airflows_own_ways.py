"""Airflow's own ways of running a task: ``tasks test``, ``dags test``, clear, mark as a success, trigger by API."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_months
from tests.cloud_loading import Cloud
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import PATIENCE, one_home, wait_until
from tests.integration.gcp_airflow import gcp_airflow, stand_ins
from tests.integration.taxi_airflow import GREEN_DAGS, TaxiAirflow

IN_TURN = Path(__file__).with_name("commands_in_turn.py")
ROWS = 60
MONTHS = [Month(2019, 1), Month(2019, 2), Month(2019, 3)]
POSTGRES_STEPS = ("download_month", "stage_month", "hash_rows", "check_month", "merge_month", "drop_staging")
CLOUD_STEPS = (
    "download_month",
    "upload_month",
    "create_main_table",
    "stage_month",
    "hash_rows",
    "check_month",
    "merge_month",
    "drop_staging",
)
NEW_YEAR = "2019-01-01T00:00:00+00:00"
"""The first moment of the first month, as errors advise it."""

LEDGER = "SELECT run_id, step, state, error FROM taxiway.loads ORDER BY load_id"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory, green: Source) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mirror")
    write_sample_months([green], MONTHS, folder, rows=ROWS)
    with serve(folder) as mirror:
        yield mirror.address


@pytest.fixture
def taxi(mirror: str, postgres_server: PostgresServer) -> Iterator[TaxiAirflow]:
    with TaxiAirflow.create(postgres_server, one_home(), mirror) as taxi:
        taxi.use_dag_files(GREEN_DAGS)
        yield taxi


@pytest.fixture
def cloud_taxi(
    mirror: str, postgres_server: PostgresServer, bigquery: StandIn, cloud_storage: CloudStorage
) -> Iterator[TaxiAirflow]:
    with gcp_airflow(postgres_server, one_home(), mirror, stand_ins(bigquery, cloud_storage)) as taxi:
        taxi.use_dag_files(GREEN_DAGS)
        yield taxi


def in_turn(taxi: TaxiAirflow, *commands: Sequence[str]) -> list[str]:
    """Run commands one after another; return what each said."""
    process = taxi.airflow.popen(json.dumps([list(each) for each in commands]), program=IN_TURN)
    said, _ = process.communicate(timeout=PATIENCE * 300)
    assert process.returncode == 0, said
    return said.split("COMMAND ")[1:]


def trigger(dag_id: str, run_id: str, day: str) -> tuple[str, ...]:
    """Make a run that stays queued: the DAG is paused, and no scheduler runs."""
    return ("dags", "trigger", dag_id, "--run-id", run_id, "--logical-date", f"{day}T00:00:00+00:00")


def in_tasks_test(dag_id: str, tasks: Sequence[str], day: str) -> list[tuple[str, ...]]:
    return [("tasks", "test", dag_id, task, day) for task in tasks]


NAMED = [
    ("tasks", "test", "taxi_green", "download_month", "-t", '{"month": "2019-03"}'),
    ("tasks", "test", "taxi_green", "download_month", "-t", '{"month": "2018-12"}'),
    ("tasks", "test", "taxi_green", "download_month"),
]
ALONE = in_tasks_test("taxi_green", POSTGRES_STEPS[1:5], "2019-01-01")
# What their errors advise: all steps, or a run whose tasks are tested one after another; a task twice, too.
TRIED_TWICE = ("download_month", "stage_month", "stage_month", *POSTGRES_STEPS[2:5], "merge_month", "drop_staging")
ADVISED = [
    ("dags", "test", "taxi_green", NEW_YEAR),
    trigger("taxi_green", "by_hand", "2019-02-01"),
    *in_tasks_test("taxi_green", TRIED_TWICE, "2019-02-01"),
]


@pytest.fixture(scope="module")
def tested(mirror: str, postgres_server: PostgresServer) -> Iterator[tuple[TaxiAirflow, list[str]]]:
    """A warehouse whose months were loaded by commands for tests, and what each command said."""
    with TaxiAirflow.create(postgres_server, one_home("second home"), mirror, own_api=True) as taxi:
        taxi.use_dag_files(GREEN_DAGS)
        yield taxi, in_turn(taxi, ("dags", "reserialize"), *NAMED, *ALONE, *ADVISED)[1:]


def test_tasks_are_tested_alone_and_in_their_order(tested: tuple[TaxiAirflow, list[str]]) -> None:
    taxi, said = tested

    missing = [
        "stage_month: found nothing that download_month left",
        "hash_rows: found nothing that stage_month left",
        "expected what hash_rows left there",
        "expected what hash_rows left there",
    ]
    for words, of_step in zip(said[len(NAMED) :][: len(ALONE)], missing, strict=True):
        assert of_step in words, words
        assert f"run all steps with airflow dags test taxi_green {NEW_YEAR}; or make a run" in words

    assert taxi.query("SELECT filename, count(*) FROM green_tripdata GROUP BY 1 ORDER BY 1") == [
        ("green_tripdata_2019-01.csv", ROWS),
        ("green_tripdata_2019-02.csv", ROWS),
    ], said
    assert [entry[1:] for entry in taxi.query(LEDGER) if entry[0] == "by_hand"][-1] == (
        "merge_month",
        "published",
        None,
    )
    assert taxi.query("SELECT * FROM pg_tables WHERE schemaname = 'taxiway_staging'") == []


def test_a_month_that_the_command_line_names(tested: tuple[TaxiAirflow, list[str]]) -> None:
    """By parameter, and with neither a date nor a parameter."""
    taxi, (named, absent, nameless, *_) = tested
    entries = (
        "SELECT month::text, step, state FROM taxiway.loads WHERE month NOT IN ('2019-01-01', '2019-02-01')"
        " ORDER BY month"
    )
    assert taxi.query(entries) == [
        ("2018-12-01", "download_month", "skipped"),
        ("2019-03-01", "download_month", "running"),
    ], named
    months = "include/sources/green.yaml says that there are the months from 2019-01 on"
    assert f"green 2018-12: not available: {months}. Nothing is loaded: this task and those after it are " in absent
    assert "AirflowFailException: green (no month): " in nameless


def test_tasks_of_google_cloud_are_tested_alone_and_in_their_order(cloud_taxi: TaxiAirflow, green: Source) -> None:
    cloud = Cloud.connect().set_up()
    dag_id = "taxi_green_gcp"
    twice = ("download_month", "upload_month", "create_main_table", "stage_month", "stage_month", *CLOUD_STEPS[4:])
    _, *said = in_turn(
        cloud_taxi,
        ("dags", "reserialize"),
        *in_tasks_test(dag_id, CLOUD_STEPS[1:7], "2019-01-01"),
        ("dags", "test", dag_id, NEW_YEAR),
        trigger(dag_id, "by_hand", "2019-02-01"),
        *in_tasks_test(dag_id, twice, "2019-02-01"),
    )
    lacking = {
        "upload_month": "found nothing that download_month left",
        "create_main_table": "found nothing that upload_month left",
        "stage_month": "found nothing that upload_month left",
        "hash_rows": "found nothing that stage_month left",
        "check_month": "expected what hash_rows left there",
        "merge_month": "expected what hash_rows left there",
    }
    for words, (task, lacks) in zip(said[: len(lacking)], lacking.items(), strict=True):
        assert re.search(rf"green 2019-01: ({task}: )?.*{lacks}", words), words
        assert f"run all steps with airflow dags test {dag_id} {NEW_YEAR}; or make a run" in words
    assert len(cloud.ids(green, "2019-01")) == ROWS, said
    assert len(cloud.ids(green, "2019-02")) == ROWS, said
    assert cloud.staging_tables() == []


def test_a_task_is_cleared_whose_month_was_unchanged(taxi: TaxiAirflow) -> None:
    month = ("dags", "backfill", "-s", "2019-01-01", "taxi_green")
    assert taxi.airflow.run(*month).returncode == 0
    assert taxi.airflow.run(*month, "--reset-dagruns").returncode == 0
    assert taxi.query("SELECT state FROM taxiway.loads ORDER BY load_id") == [("published",), ("unchanged",)]
    cleared = ("tasks", "clear", "taxi_green", "-t", "stage_month", "-d", "-s", "2019-01-01", "-e", "2019-01-31", "-y")
    assert taxi.airflow.run(*cleared).returncode == 0

    done = taxi.airflow.run(*month)

    assert done.returncode == 1
    (said,) = [line for line in done.stdout.splitlines() if "found nothing that download_month left" in line]
    assert "or the month was published from the same bytes already, and there was nothing to do" in said
    # The report says once how the two ways that it names are related.
    assert done.stdout.count("This does what clearing the tasks does, too: fix what the errors name, ") == 1
    # What it advises loads the month once more.
    again = said.partition("once more, run ")[2]
    taxi.airflow.succeed(*shlex.split(again)[1:])
    assert taxi.query("SELECT state FROM taxiway.loads ORDER BY load_id DESC LIMIT 1") == [("published",)]


def test_runs_by_the_api_marked_and_cleared_by_hand(taxi: TaxiAirflow) -> None:
    """What the buttons of the web UI do: trigger, mark a task as a success, clear it with those behind it."""
    runs = "/dags/taxi_green/dagRuns"

    def state(run_id: str) -> Any:
        return taxi.airflow.query("SELECT state FROM dag_run WHERE run_id = %s", run_id)[0][0]

    def wait_for(run_id: str, *states: str) -> str:
        return wait_until(
            lambda: state(run_id) in states and state(run_id), timeout=300, what=f"{run_id} to end", interval=0.5
        )

    # Only the runs of this test: the DAG catches up with years of months.
    taxi.airflow.variables["AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE"] = "False"
    taxi.airflow.succeed("dags", "reserialize")
    rest = taxi.airflow.rest
    with taxi.airflow.services("scheduler"):
        # Marked before it runs, while the DAG is paused.
        day = "2019-03-01T00:00:00+00:00"
        rest(runs, "POST", {"dag_run_id": "marked", "logical_date": day})
        rest(f"{runs}/marked/taskInstances/download_month", "PATCH", {"new_state": "success"})
        taxi.airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'taxi_green'")
        rest(runs, "POST", {"dag_run_id": "by_conf", "logical_date": None, "conf": {"month": "2019-01"}})
        rest(runs, "POST", {"dag_run_id": "of_no_month", "logical_date": None})
        assert wait_for("marked", "success", "failed") == "failed"
        assert wait_for("by_conf", "success", "failed") == "success"
        assert wait_for("of_no_month", "success", "failed") == "failed"
        tries = "SELECT task_id, try_number FROM task_instance WHERE run_id = %s AND state = 'failed'"
        assert taxi.airflow.query(tries, "marked") == [("stage_month", 1)]
        logs = "\n".join(path.read_text() for path in (taxi.airflow.home / "logs").rglob("*run_id=marked*/**/*.log"))
        assert "green 2019-03: stage_month: found nothing that download_month left in the run marked" in logs
        assert "clear the task download_month with its downstream tasks" in logs

        # As it advises; and what has succeeded, from its middle on.
        def clear(run_id: str, task_id: str) -> None:
            asked = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "include_downstream": True}
            rest("/dags/taxi_green/clearTaskInstances", "POST", {**asked, "only_failed": False})

        clear("marked", "download_month")
        clear("by_conf", "stage_month")
        for run_id in ("marked", "by_conf"):
            wait_until(lambda: state(run_id) == "success", timeout=300, what=f"{run_id} to end", interval=0.5)  # noqa: B023
        # Airflow clears the setups of a step, too: the month is staged and hashed again for the check.
        attempts = len(taxi.query(LEDGER))
        clear("by_conf", "check_month")
        assert wait_for("by_conf", "success") == "success"
        assert [entry[1:] for entry in taxi.query(LEDGER)[attempts:]][-1] == ("merge_month", "published", None)
    assert taxi.query("SELECT filename, count(*) FROM green_tripdata GROUP BY 1 ORDER BY 1") == [
        ("green_tripdata_2019-01.csv", ROWS),
        ("green_tripdata_2019-03.csv", ROWS),
    ]
