"""A worker whose network vanishes while it stages: its sessions end by themselves, and the next try loads the month."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard

from taxiway.errors import TransientWarehouseError
from taxiway.orchestration.hooks.postgres_hook import WarehouseHook
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres import session
from taxiway.warehouses.postgres.session import KEEPALIVES, LOCK_TIMEOUT, connector_of
from taxiway_local.samples import write_sample_month
from tests.conftest import PostgresServer
from tests.faults.killable_server import LOGIN, KillableServer
from tests.faults.task_runner import execute_task
from tests.faults.vanishing_network import VanishingNetwork, why_not
from tests.integration.airflow_environment import wait_until
from tests.loading import ids, query, source_file

ROWS = 20_000
RUN_ID = "manual__1"
STAGE = """
import json, sys
from tests.faults.task_runner import execute_task
from airflow.sdk.bases.operator import ExecutorSafeguard
from taxiway.warehouses.postgres import session, stage

ExecutorSafeguard.test_mode = True
session.KEEPALIVES = json.loads(sys.argv[2])
whole_lines = stage.whole_lines

def held(blocks):
    for block in whole_lines(blocks):
        yield block
        print("STAGING", flush=True)
        sys.stdin.read()

stage.whole_lines = held
execute_task("stage_month", "green", "2019-01", "manual__1", 1, {"download_month": json.loads(sys.argv[1])})
"""
QUICK = {
    "tcp_keepalives_idle": "1",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "3000",
}
"""The worker is missed within seconds rather than a minute, whether or not the server has an answer under way to it."""
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'taxiway green 2019-01 manual__1'"
SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
COPYING = (
    "SELECT count(*) FROM pg_stat_activity JOIN pg_stat_progress_copy USING (pid)"
    " WHERE pg_stat_activity.datname = current_database() AND wait_event = 'ClientRead'"
)


@pytest.fixture
def network() -> Iterator[VanishingNetwork]:
    if reason := why_not():
        pytest.skip(reason)
    with VanishingNetwork() as network:
        yield network


@pytest.fixture
def server(network: VanishingNetwork, postgres_server: PostgresServer) -> Iterator[KillableServer]:
    """A server that the network reaches."""
    server = KillableServer(network.here)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def warehouse(server: KillableServer, network: VanishingNetwork, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    database = server.create_database()
    address = {"host": network.here, "login": LOGIN[0], "password": LOGIN[1], "schema": database}
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps({"conn_type": "postgres", **address}))
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    try:
        yield database
    finally:
        server.drop_database(database)


def let_worker_vanish(
    server: KillableServer, database: str, network: VanishingNetwork, download: dict[str, Any], keepalives: Any
) -> None:
    """Stage a month in a network of its own, until that vanishes with the worker in it."""
    worker = subprocess.Popen(
        network.command(sys.executable, "-c", STAGE, json.dumps(download), json.dumps(keepalives)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", "AIRFLOW_VAR_TAXIWAY_COPY_SESSIONS": "2"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdin is not None
    try:
        # Airflow may log something before.
        assert "STAGING\n" in iter(worker.stdout.readline, "")
        with closing(server.connect(database)) as watcher:
            wait_until(lambda: query(watcher, COPYING) == [(2,)], timeout=60, what="both sessions to copy")
            network.vanish()
            worker.kill()
            worker.wait()
            assert len(query(watcher, SESSIONS)) == 2
    finally:
        worker.kill()
        worker.wait()
        worker.stdin.close()
        worker.stdout.close()


@pytest.fixture
def download(green: Source, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / green.download_name(Month(2019, 1))
    write_sample_month(green, Month(2019, 1), path, rows=ROWS)
    return source_file(path).to_dict()


def run(task_id: str, **outputs: Any) -> Any:
    return execute_task(task_id, "green", "2019-01", RUN_ID, 2, outputs)


def load(server: KillableServer, database: str, green: Source, download: dict[str, Any]) -> None:
    """Do what Airflow does when it notices that the worker is gone."""
    run("hash_rows", download_month=download, stage_month=run("stage_month", download_month=download))
    run("check_month")
    run("merge_month")
    with closing(server.connect(database)) as connection:
        assert len(set(ids(connection, green))) == ROWS
        states = query(connection, "SELECT try_number, state FROM taxiway.loads ORDER BY load_id")
        assert (states[0], states[-1]) == ((1, "abandoned"), (2, "published"))


def test_its_sessions_end_by_themselves(
    server: KillableServer, warehouse: str, network: VanishingNetwork, download: dict[str, Any], green: Source
) -> None:
    let_worker_vanish(server, warehouse, network, download, QUICK)

    load(server, warehouse, green, download)


def test_who_waits_for_them_is_told_what_they_do_and_how_to_end_them(
    server: KillableServer,
    warehouse: str,
    network: VanishingNetwork,
    download: dict[str, Any],
    green: Source,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server doesn't notice: it is one without keepalives of its own, and was asked for none."""
    let_worker_vanish(server, warehouse, network, download, {})
    with monkeypatch.context() as patience:
        patience.setattr(session, "LOCK_TIMEOUT", "300ms")
        with pytest.raises(
            TransientWarehouseError,
            match=r"^green 2019-01: stage_month: waited 300ms for a table or a row that another session has locked\. "
            r"Sessions with such locks: taxiway green 2019-01 manual__1 \(role loader, server process \d+\) since 20.*"
            r", which waits for its worker; taxiway green .* ends one that hangs$",
        ) as told:
            run("stage_month", download_month=download)

    with closing(server.connect(warehouse, autocommit=True)) as connection:
        for pid in re.findall(r"server process (\d+)", str(told.value)):
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", [int(pid)])
    load(server, warehouse, green, download)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more addresses than one on its loopback interface")
def test_every_server_is_asked_to_look_for_its_workers(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
    server = KillableServer(address)
    fields = {"conn_type": "postgres", "host": address, "login": LOGIN[0], "password": LOGIN[1], "schema": "postgres"}
    try:

        def settings(**extra: str) -> dict[str, str]:
            monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps({**fields, "extra": extra}))
            with closing(WarehouseHook(postgres_conn_id="taxi_postgres").get_conn()) as connection:
                others = connector_of(connection)()
                with closing(others):
                    found = [dict(query(one, SETTINGS, [list(KEEPALIVES)])) for one in (connection, others)]
            assert found[0] == found[1]
            return found[0]

        assert settings() == KEEPALIVES
        assert settings(options="-c tcp_keepalives_idle=7 -c work_mem=9MB") == {
            **KEEPALIVES,
            "tcp_keepalives_idle": "7",
        }
        with server.connect(autocommit=True) as admin:
            admin.execute(f"ALTER ROLE {LOGIN[0]} SET tcp_keepalives_count = 9")
        assert settings() == {**KEEPALIVES, "tcp_keepalives_count": "9"}
    finally:
        server.close()


def test_a_worker_is_missed_before_the_wait_for_its_locks_ends() -> None:
    idle, interval, count = (int(KEEPALIVES[f"tcp_keepalives_{name}"]) for name in ("idle", "interval", "count"))
    assert f"{int(LOCK_TIMEOUT[:-1])}s" == LOCK_TIMEOUT
    assert max(idle + interval * count, int(KEEPALIVES["tcp_user_timeout"]) / 1000) < int(LOCK_TIMEOUT[:-1])
