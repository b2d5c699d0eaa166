"""``airflow dags backfill`` of DAGs with a time zone: across both changes of clocks, and on days of that zone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.airflow_environment import AirflowEnvironment, shared_metadata_server

DAGS = Path(__file__).with_name("zoned_dags")
ZONES = {"march": "America/New_York", "november": "America/New_York", "tokyo": "Asia/Tokyo"}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowEnvironment]:
    home = tmp_path_factory.mktemp("zoned") / "home"
    environment = AirflowEnvironment.create(shared_metadata_server(), home, dags=DAGS)
    try:
        yield environment
    finally:
        environment.close()


def local_runs(airflow: AirflowEnvironment, dag_id: str) -> list[tuple[str, str]]:
    """The runs of a DAG with their states, by the clocks of its zone."""
    rows = airflow.query(
        "SELECT to_char(logical_date AT TIME ZONE %s, 'YYYY-MM-DD HH24:MI'), state FROM dag_run "
        "WHERE dag_id = %s ORDER BY 1",
        ZONES[dag_id],
        dag_id,
    )
    return [(str(moment), str(state)) for moment, state in rows]


@pytest.mark.parametrize(
    ("dag_id", "first", "last", "expected", "said"),
    [
        (
            "march",
            "2019-02-10",
            "2019-04-10",
            ["2019-02-10 02:30", "2019-03-10 03:30", "2019-04-10 02:30"],
            "march: 3 months, 2019-02 to 2019-04: 3 to run",
        ),
        (
            "november",
            "2019-10-03",
            "2019-12-03",
            ["2019-10-03 01:30", "2019-11-03 01:30", "2019-12-03 01:30"],
            "november: 3 months, 2019-10 to 2019-12: 3 to run",
        ),
        (
            "tokyo",
            "2019-03-01",
            "2019-04-30",
            ["2019-03-01 00:00", "2019-04-01 00:00"],
            "tokyo: 2 months, 2019-03 to 2019-04: 2 to run",
        ),
    ],
)
def test_each_month_has_its_run(
    airflow: AirflowEnvironment, dag_id: str, first: str, last: str, expected: list[str], said: str
) -> None:
    done = airflow.run("dags", "backfill", "-s", first, "-e", last, dag_id)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == said
    assert local_runs(airflow, dag_id) == [(moment, "success") for moment in expected]
    # A run that is recorded as succeeded, and whose tasks are not, is named by its day in the DAG's zone.
    last_run = "(SELECT run_id FROM dag_run WHERE dag_id = %s ORDER BY logical_date DESC LIMIT 1)"
    airflow.query(
        f"UPDATE task_instance SET state = 'failed' WHERE dag_id = %s AND run_id = {last_run}", dag_id, dag_id
    )
    again = airflow.run("dags", "backfill", "-s", first, "-e", last, dag_id)
    assert "already succeeded" in again.stdout, again.stdout + again.stderr
    day = expected[-1][:10]
    assert (
        f"run it with airflow dags backfill -s {day} -e {day} --reprocess-behavior completed {dag_id}" in again.stdout
    )
    assert len(local_runs(airflow, dag_id)) == len(expected)


def test_a_day_of_the_zone_without_a_run_names_the_nearest(airflow: AirflowEnvironment) -> None:
    refused = airflow.run("dags", "backfill", "-s", "2019-05-31", "-e", "2019-05-31", "tokyo")

    assert refused.returncode != 0
    assert (
        "The nearest run is 2019-06: run it with airflow dags backfill -s 2019-06-01 -e 2019-06-01 tokyo"
        in refused.stderr
    ), refused.stdout + refused.stderr


def test_moments_are_named_with_their_offset(airflow: AirflowEnvironment) -> None:
    """An hour that comes twice has two names, and each of them names the run again."""
    twice = ("2019-11-03T01:00:00-04:00", "2019-11-03T01:00:00-05:00")
    dry = airflow.run("dags", "backfill", "-s", twice[0], "-e", twice[1], "--dry-run", "hourly")
    assert dry.stdout.splitlines() == [f"{moment}  create" for moment in twice], dry.stderr

    one = airflow.run("dags", "backfill", "-s", twice[1], "-e", twice[1], "--dry-run", "hourly")
    assert one.stdout.splitlines() == [f"{twice[1]}  create"], one.stderr
