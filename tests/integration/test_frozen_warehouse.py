"""A Postgres that is frozen while the board asks it: it keeps no time limit of its own, and its machine answers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import load_source
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.faults.killable_server import KillableServer
from tests.integration.airflow_environment import wait_until
from tests.integration.gcp_airflow import gcp_airflow, stand_ins
from tests.integration.test_board import MONTHS, Client
from tests.loading import load

GREEN = load_source(SOURCES_FOLDER / "green.yaml")
JANUARY = Month(2019, 1)
WAITING = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'taxiway' AND wait_event_type = 'Lock'"


class FreezableServer(KillableServer):
    """A server all of whose processes can be stopped, as those of a machine that is suspended."""

    def freeze(self) -> None:
        postmaster = self._postmasters[-1]
        for pid in (postmaster.pid, *(child.pid for child in psutil.Process(postmaster.pid).children(recursive=True))):
            os.kill(pid, signal.SIGSTOP)


@pytest.fixture
def server() -> Iterator[FreezableServer]:
    server = FreezableServer()
    try:
        yield server
    finally:
        server.close()


def test_it_is_a_sentence_and_the_other_warehouse_shows_and_the_api_server_stops(
    server: FreezableServer, tmp_path: Path, bigquery: StandIn, cloud_storage: CloudStorage
) -> None:
    path = tmp_path / GREEN.download_name(JANUARY)
    write_sample_month(GREEN, JANUARY, path, rows=30)
    Cloud.connect().set_up().load(GREEN, str(JANUARY), path)
    taxi = gcp_airflow(server, tmp_path / "home", "http://127.0.0.1:1", stand_ins(bigquery, cloud_storage))
    locking = taxi.connect()
    try:
        load(locking, GREEN, str(JANUARY), path)
        with taxi.airflow.services("api-server") as services:
            client = Client(taxi.airflow.base_url)
            assert client.json(MONTHS, "admin")["problem"] == ""
            locking.execute("LOCK TABLE taxiway.loads")
            wait_until(lambda: client.json(MONTHS, "admin") and taxi.query(WAITING), timeout=60, what="a question")
            server.freeze()

            said = wait_until(lambda: client.json(MONTHS, "admin")["problem"], timeout=60, what="a sentence")
            assert "Postgres" in said
            of_bigquery = MONTHS.replace("postgres", "bigquery")
            told = wait_until(
                lambda: found if (found := client.json(of_bigquery, "admin"))["sources"] else None,
                timeout=60,
                what="the months in BigQuery",
            )
            (green,) = [source for source in told["sources"] if source["name"] == "green"]
            assert green["months"][0]["rows"] == 30
            (note,) = told["notes"]
            assert note.startswith("Whether files have changed at their source isn't known: ")
            # The thread is free again: another question finds that nobody answers.
            wait_until(
                lambda: "connection timeout" in client.json(MONTHS, "admin")["problem"],
                timeout=60,
                what="another question",
            )

            os.killpg(services["api-server"].pid, signal.SIGTERM)
            try:
                services["api-server"].wait(30)
            except subprocess.TimeoutExpired:
                pytest.fail("the API server waits for Postgres")
    finally:
        server.kill()
        locking.close()
        taxi.airflow.close()
