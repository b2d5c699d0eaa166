"""A warehouse that refuses the connection, in a real Airflow: one try, the reason in the summary, and the way on."""

from __future__ import annotations

import json
from pathlib import Path

from taxiway.core.months import Month
from taxiway.core.sources import Source
from taxiway.local.mirror import serve
from taxiway.local.samples import write_sample_months
from tests.conftest import PostgresServer
from tests.integration.taxi_airflow import TaxiAirflow

NAME = "AIRFLOW_CONN_TAXI_POSTGRES"


def test_an_absent_database_fails_the_month_at_the_first_try(
    tmp_path: Path, postgres_server: PostgresServer, green: Source
) -> None:
    write_sample_months([green], [Month(2019, 1)], tmp_path / "mirror", rows=50)
    with serve(tmp_path / "mirror") as mirror:
        taxi = TaxiAirflow.create(postgres_server, tmp_path / "home", mirror.address)
        try:
            right = taxi.airflow.variables[NAME]
            taxi.airflow.variables[NAME] = json.dumps({**json.loads(right), "schema": "absent"})
            code, said = taxi.backfill("2019-01-01", "2019-01-31", "taxi_green")
            assert code == 1, said
            summary = " ".join(said.split())
            assert "green 2019-01: download_month, connection taxi_postgres: Postgres says: " in summary, said
            assert 'database "absent" does not exist (SQLSTATE 3D000)' in summary, said
            assert "the server has no such database: correct the connection taxi_postgres" in summary, said
            tries = "SELECT task_id, try_number FROM task_instance WHERE state = 'failed' ORDER BY 1"
            assert ("download_month", 1) in taxi.airflow.query(tries)
            assert {number for _, number in taxi.airflow.query(tries)} == {1}

            taxi.airflow.variables[NAME] = right
            code, said = taxi.backfill("2019-01-01", "2019-01-31", "taxi_green", "--reprocess-behavior", "failed")
            assert code == 0, said
            assert taxi.query("SELECT count(*) FROM green_tripdata") == [(50,)]
        finally:
            taxi.close()
