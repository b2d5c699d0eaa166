"""A warehouse that refuses the connection, in a real Airflow: one try, the reason in the summary, and the way on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_months
from tests.conftest import PostgresServer
from tests.integration.taxi_airflow import TaxiAirflow


@pytest.fixture
def taxi(tmp_path: Path, postgres_server: PostgresServer, green: Source) -> Iterator[TaxiAirflow]:
    write_sample_months([green], [Month(2019, 1)], tmp_path / "mirror", rows=50)
    with (
        serve(tmp_path / "mirror") as mirror,
        TaxiAirflow.create(postgres_server, tmp_path / "home", mirror.address) as taxi,
    ):
        yield taxi


def test_a_stored_connection_is_corrected_as_the_error_advises(taxi: TaxiAirflow) -> None:
    """It names a database that is absent, and then it is of another type."""
    right = json.loads(taxi.airflow.variables.pop("AIRFLOW_CONN_TAXI_POSTGRES"))
    stored = {**right, "connection_id": "taxi_postgres", "schema": "absent"}
    taxi.airflow.rest("/connections", "POST", stored)
    code, said = taxi.backfill("2019-01-01", "2019-01-31", "taxi_green")
    assert code == 1, said
    summary = " ".join(said.split())
    assert "green 2019-01: download_month, connection taxi_postgres: Postgres says: " in summary, said
    assert 'database "absent" does not exist (SQLSTATE 3D000)' in summary, said
    assert "the server has no such database: correct the connection taxi_postgres" in summary, said
    tries = "SELECT task_id, try_number FROM task_instance WHERE state = 'failed' ORDER BY 1"
    assert ("download_month", 1) in taxi.airflow.query(tries)
    assert {number for _, number in taxi.airflow.query(tries)} == {1}

    another = {"connection_id": "taxi_postgres", "conn_type": "http", "host": "db.example"}
    taxi.airflow.rest("/connections/taxi_postgres", "PATCH", another)
    code, said = taxi.backfill("2019-01-01", "2019-01-31", "taxi_green", "--reprocess-behavior", "failed")
    assert code == 1, said
    summary = " ".join(said.split())
    assert "the connection taxi_postgres can't be used: found the type http, expected postgres: correct it" in summary

    found = re.search(r"or by: \S+ (connections delete \S+); \S+ (connections add .*?)\. Then run", summary)
    assert found is not None, said
    for command in found.groups():
        given = [
            {"HOST": right["host"], "LOGIN": right["login"], "DATABASE": right["schema"]}.get(word, word)
            for word in command.split()
        ]
        taxi.airflow.succeed(*given)
    code, said = taxi.backfill("2019-01-01", "2019-01-31", "taxi_green", "--reprocess-behavior", "failed")
    assert code == 0, said
    assert taxi.query("SELECT count(*) FROM green_tripdata") == [(50,)]
