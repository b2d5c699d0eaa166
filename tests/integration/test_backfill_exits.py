"""``airflow dags backfill`` on an Airflow that isn't ready, or isn't the one that was meant: it says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxiway_local.env_file import SERVICES_ENVIRONMENT
from tests.integration.airflow_environment import AirflowEnvironment, one_home, shared_metadata_server

DAGS = Path(__file__).with_name("backfill_dags")
CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
BACKFILL = ("dags", "backfill", "-s", "2019-01-01", "-e", "2019-01-31", "trivial")


@pytest.fixture(scope="module")
def airflow() -> Iterator[AirflowEnvironment]:
    with AirflowEnvironment.create(shared_metadata_server(), one_home(), dags=DAGS) as environment:
        yield environment


@pytest.fixture(scope="module")
def sqlite(airflow: AirflowEnvironment, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that Airflow can work with otherwise."""
    address = f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/airflow.db"
    airflow.succeed("db", "migrate", again=True, **{CONNECTION: address})
    return address


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--verbose",)])
def test_metadata_that_was_never_migrated(options: tuple[str, ...], airflow: AirflowEnvironment) -> None:
    airflow.metadata.execute("CREATE DATABASE airflow_empty")
    address = airflow.variables[CONNECTION].replace(f"/{airflow.database}", "/airflow_empty")
    try:
        done = airflow.run(*BACKFILL, *options, again=True, **{CONNECTION: address})

        assert done.returncode == 1
        assert re.search(
            rf"error: Airflow's metadata database \S+/airflow_empty\S* \(named by {CONNECTION}\) has no tables of "
            r"Airflow yet\. Run 'airflow db migrate' and try again",
            done.stderr,
        ), done.stderr
        if not options:
            # What it advises leads on.
            airflow.succeed("db", "migrate", again=True, **{CONNECTION: address})
            assert airflow.succeed(*BACKFILL, "--dry-run", again=True, **{CONNECTION: address}) == "2019-01  create\n"
    finally:
        airflow.metadata.drop_database("airflow_empty")


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
@pytest.mark.parametrize("migrated", [True, False])
def test_metadata_in_sqlite(migrated: bool, options: tuple[str, ...], airflow: AirflowEnvironment, sqlite: str) -> None:
    address = sqlite if migrated else f"{sqlite}.absent"
    done = airflow.run(*BACKFILL, *options, again=True, **{CONNECTION: address})

    assert done.returncode == 1
    assert (
        f"error: Airflow's metadata database (named by {CONNECTION}) is sqlite: this command needs Postgres. "
        "Set [database] sql_alchemy_conn to a Postgres server"
    ) in done.stderr


def test_metadata_of_another_version(airflow: AirflowEnvironment) -> None:
    (before,) = airflow.query("SELECT version_num FROM alembic_version")[0]
    airflow.query("UPDATE alembic_version SET version_num = '82dbd68e6171'")
    try:
        done = airflow.run(*BACKFILL)
    finally:
        airflow.query("UPDATE alembic_version SET version_num = %s", before)

    assert done.returncode == 1
    assert "is of another version of Airflow. Run 'airflow db migrate'" in done.stderr


def test_another_airflows_configuration_is_not_taken(airflow: AirflowEnvironment, tmp_path: Path) -> None:
    other = tmp_path / "airflow.cfg"
    other.write_text("[core]\nexecutor = NoSuchExecutor\n")

    airflow.succeed(*BACKFILL, AIRFLOW_CONFIG=str(other))  # in its workers and tasks, too


def test_settings_of_another_airflow_are_named(airflow: AirflowEnvironment, tmp_path: Path) -> None:
    done = airflow.run(*BACKFILL, "--reset-dagruns", AIRFLOW__CORE__EXECUTOR="NoSuchExecutor")
    assert done.returncode == 1
    assert "AIRFLOW__CORE__EXECUTOR" in done.stderr, done.stderr

    (tmp_path / "empty").mkdir()
    done = airflow.run(*BACKFILL, AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path / "empty"))
    assert done.returncode == 2
    assert f"the folder {tmp_path / 'empty'} (named by AIRFLOW__CORE__DAGS_FOLDER) has no DAGs" in done.stderr


@pytest.mark.parametrize("options", [("--reset-dagruns",), ("--reset-dagruns", "--dry-run")])
def test_an_unusable_executor_is_refused_before_anything_is_changed(
    options: tuple[str, ...], airflow: AirflowEnvironment
) -> None:
    assert airflow.run(*BACKFILL).returncode == 0
    runs = "SELECT run_id, state, clear_number, conf::text, queued_at FROM dag_run WHERE dag_id = 'trivial'"
    before = airflow.query(runs)

    done = airflow.run(*BACKFILL, *options, again=True, AIRFLOW__CORE__EXECUTOR="CeleryExecutor")

    assert done.returncode == 1, done.stdout
    assert (
        "error: Airflow's executor can't be loaded: CeleryExecutor (named by AIRFLOW__CORE__EXECUTOR): "
        "No module named 'airflow.providers.celery'. Nothing was changed."
    ) in done.stderr, done.stderr
    assert airflow.query(runs) == before


def test_a_run_that_somebody_marked_as_failed(airflow: AirflowEnvironment) -> None:
    month = ("dags", "backfill", "-s", "2019-05-01", "trivial")
    assert airflow.run(*month).returncode == 0
    # What the web UI does with a run whose tasks have ended.
    airflow.query("UPDATE dag_run SET state = 'failed' WHERE dag_id = 'trivial' AND run_id LIKE '%%2019-05-01%%'")

    done = airflow.run(*month)

    assert done.returncode == 1
    assert (
        "2019-05 failed earlier: no task failed: the run was cancelled, somebody marked it as failed, " in done.stdout
    )
    assert "clearing" not in done.stdout


def test_settings_of_our_own_services_are_not_named(airflow: AirflowEnvironment) -> None:
    services = airflow.home / SERVICES_ENVIRONMENT
    services.parent.mkdir(exist_ok=True)
    settings = {"AIRFLOW__API__PORT": "8099", "AIRFLOW__API__BASE_URL": "http://127.0.0.1:8099"}
    services.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    try:
        done = airflow.run(
            *(*BACKFILL, "--reset-dagruns"),
            # Its parent has read the file, or has a port of its own.
            **{**settings, "AIRFLOW__API__PORT": "8100", "AIRFLOW__CORE__EXECUTOR": "NoSuchExecutor"},
        )
    finally:
        services.unlink()

    said = done.stderr.strip().splitlines()[-1]
    assert "AIRFLOW__CORE__EXECUTOR" in said
    assert "AIRFLOW__API__PORT" in said
    assert "AIRFLOW__API__BASE_URL" not in said


def test_a_log_folder_that_cannot_be_written(airflow: AirflowEnvironment, tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    done = airflow.run(*BACKFILL, AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(tmp_path / "logs"))

    assert done.returncode == 1
    assert str(tmp_path / "logs") in done.stderr.strip().splitlines()[-1]
