"""A step before publishing that one DAG has, in a real Airflow: one line and its function, on both warehouses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import wait_until
from tests.integration.gcp_airflow import gcp_airflow, stand_ins
from tests.integration.taxi_airflow import TaxiAirflow
from tests.loading import ids, lines_of, specified_ids, staging_tables, write_gzip

DAGS = Path(__file__).with_name("step_dags")
RUNS = Path(__file__).with_name("runs_of_dags.py")
MONTH = Month(2019, 1)
ROWS = 30
SAID = "check_sums: green 2019-01: fare_amount sums to zero. Nothing was published"
AGAIN = "check_sums: green 2019-01: no answer. The task is tried again"
TRIES = "SELECT try_number, state FROM task_instance WHERE task_id = 'check_sums'"


@pytest.fixture
def taxi(
    file: Path, tmp_path: Path, postgres_server: PostgresServer, bigquery: StandIn, cloud_storage: CloudStorage
) -> Iterator[TaxiAirflow]:
    """An Airflow that has the DAGs with one step more."""
    with (
        serve(tmp_path / "mirror") as mirror,
        gcp_airflow(postgres_server, tmp_path / "home", mirror.address, stand_ins(bigquery, cloud_storage)) as taxi,
    ):
        taxi.airflow.variables["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
        yield taxi


@pytest.fixture
def file(tmp_path: Path, green: Source) -> Path:
    """The month on the mirror, all of whose fares are zero."""
    path = tmp_path / "mirror" / green.file_path(MONTH)
    write_sample_month(green, MONTH, path, rows=ROWS)
    header, *lines = lines_of(path)
    position = [column.name for column in green.columns].index("fare_amount")
    rows = [line.split(",") for line in lines]
    return write_gzip(path, [header, *(",".join([*row[:position], "0", *row[position + 1 :]]) for row in rows)])


@dataclass
class Runs:
    """Runs of both DAGs for the month, and the same runs again.

    :param taxi: their Airflow
    :param process: runs them
    """

    taxi: TaxiAirflow
    process: subprocess.Popen[str]

    @classmethod
    def begin(cls, taxi: TaxiAirflow) -> Runs:
        date = f"{MONTH.first_day}T00:00:00+00:00"
        runs: list[Any] = [[dag_id, {}, date] for dag_id in ("taxi_green", "taxi_green_gcp")]
        with (taxi.airflow.home / "runs.log").open("w") as log:
            process = taxi.airflow.popen(
                str(DAGS), json.dumps([*runs, None, *runs]), program=RUNS, stdin=subprocess.PIPE, stdout=log
            )
        return cls(taxi, process)

    def again(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def ended(self, count: int) -> list[str]:
        """Wait for runs to end; return how they did."""
        log = self.taxi.airflow.home / "runs.log"

        def states() -> list[str]:
            return [line.split()[-1] for line in log.read_text().splitlines() if line.startswith("ENDED")]

        wait_until(
            lambda: len(states()) >= count or self.process.poll() is not None, timeout=300, what=f"{count} runs to end"
        )
        assert len(states()) >= count, log.read_text()[-5000:]
        return states()


def test_a_step_that_fails_publishes_nothing_and_its_retry_or_the_next_run_does(
    taxi: TaxiAirflow, file: Path, green: Source
) -> None:
    cloud = Cloud.connect().set_up()
    columns = "attempt, step, state, error"
    ledgers: list[Callable[[], list[Any]]] = [
        lambda: taxi.query(f"SELECT {columns} FROM taxiway.loads ORDER BY load_id"),
        lambda: cloud.query(f"SELECT {columns} FROM `$taxi.loads` ORDER BY load_number"),
    ]

    runs = Runs.begin(taxi)

    assert runs.ended(2) == ["failed"] * 2
    for ledger in ledgers:
        assert ledger() == [(1, "check_sums", "failed", SAID)]
    assert taxi.airflow.query(TRIES) == [(1, "failed")] * 2, "a retry can't fix it"
    with taxi.connect() as connection:
        assert ids(connection, green) == []
        assert staging_tables(connection) == []
    assert cloud.ids(green, str(MONTH)) == []
    assert cloud.staging_tables() == []

    # The file is corrected, and the runs are run again. Airflow tries the step again after a transient error.
    file.unlink()
    write_sample_month(green, MONTH, file, rows=ROWS)
    runs.again()

    assert runs.ended(4) == [*["failed"] * 2, *["success"] * 2]
    for ledger in ledgers:
        assert ledger() == [
            (1, "check_sums", "failed", SAID),
            (2, "check_sums", "failed", AGAIN),
            (3, "merge_month", "published", None),
        ]
    assert taxi.airflow.query(TRIES) == [(2, "success")] * 2
    with taxi.connect() as connection:
        published = sorted(row_id.replace("-", "") for row_id in ids(connection, green))
        assert staging_tables(connection) == []
    assert published == sorted(specified_ids(green, file))
    assert sorted(cloud.ids(green, str(MONTH))) == published
    assert cloud.staging_tables() == []
