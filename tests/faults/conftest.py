"""What the fault tests share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxiway.core.sources import Source
from tests.conftest import PostgresServer
from tests.faults.cutting_proxy import CuttingProxy
from tests.faults.killable_server import LOGIN, KillableServer
from tests.faults.loading_by_operators import Loading
from tests.mirror_faults import FaultyMirror


@pytest.fixture(scope="session")
def killable_server(postgres_server: PostgresServer) -> Iterator[KillableServer]:
    """A server that a test may kill; it has to run again when the test ends."""
    server = KillableServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def loading(
    tmp_path: Path, killable_server: KillableServer, green: Source, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loading]:
    """A fresh warehouse behind a proxy, and a mirror; Airflow's connections name both."""
    from airflow.sdk.bases.operator import ExecutorSafeguard

    database = killable_server.create_database()
    try:
        with FaultyMirror() as mirror, CuttingProxy(killable_server.socket_folder / ".s.PGSQL.5432") as proxy:
            warehouse = {
                "conn_type": "postgres",
                "host": "127.0.0.1",
                "port": proxy.port,
                "login": LOGIN[0],
                "password": LOGIN[1],
                "schema": database,
            }
            monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps(warehouse))
            monkeypatch.setenv("AIRFLOW_CONN_TLC_MIRROR", json.dumps({"conn_type": "http", "host": mirror.url}))
            monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", str(tmp_path / "cache"))
            # The steps are run one by one here, and not by Airflow's task runner.
            monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
            yield Loading(killable_server, database, proxy, mirror, green, tmp_path)
    finally:
        killable_server.drop_database(database)
