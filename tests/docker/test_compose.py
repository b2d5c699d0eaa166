"""docker-compose.yaml as its documentation says it is used, on a real engine and stand-ins for the official images.

The tests follow each other: each goes on with what the one before has left.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.samples import write_sample_months
from tests.compose_file import airflow_version
from tests.docker.engine import WAIT, Checkout, Engine, mirror, running_engine, until
from tests.faults.held_steps import HeldSteps

FOLDER = os.environ.get("TAXIWAY_TEST_DOCKER", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="make test-docker runs it, as root on Debian")

ROWS = 2000
ADVICE = "chmod -R go+rX dags plugins include config docker"
BACKFILL = ("airflow", "dags", "backfill", "-s")
INTERFACE = "/sys/class/net/eth0/iflink"
RUN = ("run", "--rm", "--no-deps", "-T", "airflow-scheduler")
LOCK_RUNS = """
import os, time, sqlalchemy
with sqlalchemy.create_engine(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).begin() as connection:
    connection.execute(sqlalchemy.text("SELECT FROM dag_run FOR UPDATE"))
    print("locked", flush=True)
    time.sleep(3600)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running_engine(Path(FOLDER), Path(os.environ["TAXIWAY_TEST_DOCKER_PLACE"])) as engine:
        yield engine


@pytest.fixture(scope="module")
def months(engine: Engine, green: Source, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A mirror of sample months, as the value of AIRFLOW_CONN_TLC_MIRROR."""
    folder = tmp_path_factory.mktemp("mirror")
    write_sample_months([green], [Month(2019, number) for number in range(1, 6)], folder, rows=ROWS)
    with mirror(folder) as port:
        connection = json.dumps({"conn_type": "http", "host": f"http://{engine.gateway}:{port}"})
        yield f"'{connection}'"


@pytest.fixture(scope="module")
def first(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(engine, tmp_path_factory.mktemp("first") / "taxiway")


@pytest.fixture(scope="module")
def second(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(engine, tmp_path_factory.mktemp("second") / "taxiway")


def ask(address: str, body: dict[str, str] | None = None, token: str = "") -> tuple[int, dict[str, object]]:
    """Return status and body of an answer of the API."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{address}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, {}


@contextlib.contextmanager
def held_steps(checkout: Checkout) -> Iterator[tuple[psycopg.Connection[Any], HeldSteps]]:
    """Steps of a checkout's loads that wait until the test lets them go on, and the connection that holds them."""
    address = f"host=127.0.0.1 dbname=taxi user=postgres password={checkout.env['POSTGRES_PASSWORD']}"
    with psycopg.connect(address, autocommit=True) as connection:
        steps = HeldSteps(connection)
        connection.execute("GRANT USAGE ON SCHEMA faults TO taxiway")
        try:
            yield connection, steps
        finally:
            connection.execute("DROP SCHEMA faults CASCADE")


def other_end(index: str) -> str:
    """Return the name that a container's network interface has on this side, from its number."""
    links: list[dict[str, object]] = json.loads(
        subprocess.run(["ip", "-json", "link"], capture_output=True, text=True, check=True).stdout
    )
    (name,) = [str(link["ifname"]) for link in links if str(link["ifindex"]) == index]
    return name


def test_a_checkout_that_containers_cannot_read_is_refused_before_anything_starts(first: Checkout, months: str) -> None:
    refused = first.make_env()
    assert refused.returncode == 1
    assert ADVICE in refused.stderr
    first.set(AIRFLOW_CONN_TLC_MIRROR=months)

    found = first.compose("run", "--rm", "-T", "preflight", check=False)
    assert found.returncode == 1
    assert f"preflight: run in the checkout: {ADVICE}" in found.stdout

    first.run(ADVICE)
    assert first.make_env().returncode == 0
    first.compose("run", "--rm", "-T", "preflight")
    assert not (first.folder / "requirements.txt").stat().st_mode & 0o077  # the build may read it all the same


def test_everything_starts_and_is_healthy(engine: Engine, first: Checkout) -> None:
    done = first.compose("up", "--detach", "--build", "--wait")

    airflow = ["airflow-apiserver", "airflow-dag-processor", "airflow-scheduler", "airflow-triggerer"]
    assert first.states() == dict.fromkeys([*airflow, "postgres"], "healthy")
    assert "pull" not in done.stdout.lower()
    images = engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    assert f"{first.env['COMPOSE_PROJECT_NAME']}-airflow:{airflow_version()}" in images
    first.compose("exec", "-T", "airflow-scheduler", "pip", "check")


def test_the_admin_logs_in_by_the_password_of_env(first: Checkout) -> None:
    password = first.env["AIRFLOW_ADMIN_PASSWORD"]
    assert ask("8080/auth/token", {"username": "admin", "password": f"not {password}"})[0] == 401
    status, answer = ask("8080/auth/token", {"username": "admin", "password": password})
    assert status == 201
    status, dags = ask("8080/api/v2/dags", token=str(answer["access_token"]))
    assert status == 200
    assert "taxi_green" in json.dumps(dags)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("AIRFLOW__CORE__FERNET_KEY", "short", "AIRFLOW_FERNET_KEY is not a Fernet key"),
        ("AIRFLOW__API_AUTH__JWT_SECRET", "short", "AIRFLOW_JWT_SECRET has 5 characters: expected at least 64"),
    ],
)
def test_a_key_that_does_not_work_stops_the_start(first: Checkout, name: str, value: str, sentence: str) -> None:
    done = first.compose("run", "--rm", "--no-deps", "-T", "-e", f"{name}={value}", "airflow-init", check=False)
    assert done.returncode == 1
    assert f"airflow-init: {sentence}" in done.stdout


def test_a_backfill_loads_three_months(first: Checkout) -> None:
    done = first.compose(*RUN, *BACKFILL, "2019-01-01", "-e", "2019-03-31", "taxi_green")
    assert "3 of 3 months succeeded" in done.stdout
    assert first.sql("SELECT count(*), count(DISTINCT filename) FROM green_tripdata") == f"{3 * ROWS}|3"


def test_a_backfill_in_a_container_of_its_own_outlives_the_scheduler(first: Checkout) -> None:
    with held_steps(first) as (_, steps):
        steps.hold("stage_month", "2019-05")
        going = first.start(*RUN, *BACKFILL, "2019-05-01", "-e", "2019-05-31", "taxi_green")
        try:
            until("stage_month", lambda: going.poll() is not None or steps.reached("stage_month", "2019-05"))
            first.compose("restart", "airflow-scheduler")
            steps.release("stage_month", "2019-05")
        finally:
            printed, _ = going.communicate(timeout=WAIT)
    assert "1 of 1 month succeeded" in printed, printed
    assert going.returncode == 0
    until("the scheduler", lambda: first.states().get("airflow-scheduler") == "healthy")


def test_the_same_backfill_loads_a_month_whose_worker_was_killed(engine: Engine, first: Checkout) -> None:
    """``kill -9`` of the container in which the step runs, whose network goes first: Postgres hears nothing of it.

    It is killed amid a transaction of Airflow's own, which has the runs' rows.
    """
    april = (*BACKFILL, "2019-04-01", "-e", "2019-04-30", "taxi_green")
    with held_steps(first) as (connection, steps):
        steps.hold("stage_month", "2019-04")
        killed = first.start("exec", "-T", "airflow-scheduler", *april)
        try:
            until("stage_month", lambda: killed.poll() is not None or steps.reached("stage_month", "2019-04"))
            assert killed.poll() is None, killed.communicate()[0]
            scheduler = first.container("airflow-scheduler")
            this_end = other_end(first.compose("exec", "-T", "airflow-scheduler", "cat", INTERFACE).stdout.strip())
            locking = first.start("exec", "-T", "airflow-scheduler", "python", "-c", LOCK_RUNS)
            assert locking.stdout is not None
            assert locking.stdout.readline() == "locked\n"
            # Stopped before its statement ends: the step never goes on to the next.
            engine.docker("pause", scheduler)
            steps.release("stage_month", "2019-04")
            until(
                "a session that waits for the dead",
                lambda: (
                    connection.execute(
                        "SELECT FROM pg_stat_activity WHERE state = 'idle in transaction' AND usename = 'taxiway'"
                    ).fetchone()
                    is not None
                ),
            )
            pid = int(engine.docker("inspect", "--format", "{{.State.Pid}}", scheduler).stdout)
            subprocess.run(["ip", "link", "set", this_end, "down"], check=True)
            os.kill(pid, signal.SIGKILL)
            engine.docker("unpause", scheduler, check=False)
        finally:
            killed.communicate(timeout=60)
    locking.communicate(timeout=60)
    assert killed.returncode != 0

    # Until the server has noticed that nobody is there, the killed command has the DAG's lock.
    done = first.compose(*RUN, *april, check=False)
    for _ in range(10):
        if "is running already" not in done.stdout:
            break
        done = first.compose(*RUN, *april, check=False)
    assert done.returncode == 0
    assert "1 of 1 month succeeded" in done.stdout
    assert first.sql("SELECT count(*), count(DISTINCT filename) FROM green_tripdata") == f"{5 * ROWS}|5"
    until("the scheduler", lambda: first.states().get("airflow-scheduler") == "healthy")


def test_a_second_checkout_shares_nothing_with_the_first(engine: Engine, first: Checkout, second: Checkout) -> None:
    second.run(ADVICE)
    assert second.make_env().returncode == 0
    assert second.env["COMPOSE_PROJECT_NAME"] != first.env["COMPOSE_PROJECT_NAME"]
    second.set(AIRFLOW_PORT="8081", POSTGRES_PORT="5433")
    before = first.container("postgres")
    second.compose("up", "--detach", "--build", "--wait")

    assert set(second.states().values()) == {"healthy"}
    assert second.sql("SELECT to_regclass('green_tripdata') IS NULL") == "t"
    second.compose("down", "--volumes")

    assert first.container("postgres") == before
    assert set(first.states().values()) == {"healthy"}
    assert first.sql("SELECT count(*) FROM green_tripdata") == str(5 * ROWS)
    assert ask("8080/api/v2/version")[0] == 200


def test_data_outlives_down_and_goes_with_its_volumes(engine: Engine, first: Checkout) -> None:
    first.compose("down")
    first.compose("up", "--detach", "--wait", "postgres")
    assert first.sql("SELECT count(*) FROM green_tripdata") == str(5 * ROWS)
    first.compose("down", "--volumes")
    assert engine.docker("ps", "--all", "--quiet").stdout == ""
    assert engine.docker("volume", "ls", "--quiet").stdout == ""
