"""What the fault tests share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source
from tests.conftest import PostgresServer
from tests.faults.cutting_proxy import CuttingProxy
from tests.faults.killable_server import LOGIN, KillableServer
from tests.faults.loading_by_operators import Loading
from tests.faults.served_months import ServedMonths
from tests.mirror_faults import FaultyMirror


@pytest.fixture(scope="session")
def killable_server(postgres_server: PostgresServer) -> Iterator[KillableServer]:
    """A server that a test may kill; it has to run again when the test ends."""
    with KillableServer() as server:
        yield server


@pytest.fixture(scope="session")
def served_months(tmp_path_factory: pytest.TempPathFactory) -> ServedMonths:
    """The files that tests put on mirrors."""
    return ServedMonths(tmp_path_factory.mktemp("months"))


@pytest.fixture
def loading(
    tmp_path: Path, killable_server: KillableServer, served_months: ServedMonths, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loading]:
    """A fresh warehouse behind a proxy, and a mirror; Airflow's connections name both."""
    with loading_on(killable_server, tmp_path, served_months, monkeypatch) as loading:
        yield loading


@contextmanager
def loading_on(
    server: KillableServer, folder: Path, files: ServedMonths, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loading]:
    """Lay out what :func:`loading` is on any server."""
    from airflow.sdk.bases.operator import ExecutorSafeguard

    from taxiway.orchestration import month_of_run

    sources = folder / "sources"
    sources.mkdir()
    lenient = (SOURCES_FOLDER / "green.yaml").read_text() + "max_rejected_share: 0.01\n"
    (sources / "green.yaml").write_text(lenient)
    monkeypatch.setattr(month_of_run, "SOURCES_FOLDER", sources)
    database = server.create_database()
    try:
        with FaultyMirror() as mirror, CuttingProxy(server.socket_folder / ".s.PGSQL.5432") as proxy:
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
            monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", str(folder / "cache"))
            # The steps are run one by one here, and not by Airflow's task runner.
            monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
            source = load_source(sources / "green.yaml")
            yield Loading(server, database, proxy, mirror, source, sources, files)
    finally:
        server.drop_database(database)
