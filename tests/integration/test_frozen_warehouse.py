"""Warehouses that don't answer the board: a BigQuery that is slow, or away, and a Postgres that is frozen.

A frozen server keeps no time limit of its own, and its machine answers.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import load_source
from taxiway_local.samples import write_sample_month
from tests.browser import start_browser
from tests.cloud_loading import Cloud
from tests.faults.killable_server import KillableServer
from tests.integration.airflow_environment import PATIENCE, wait_until
from tests.integration.gcp_airflow import gcp_airflow, stand_ins
from tests.integration.web_client import Client, open_page
from tests.loading import load

GREEN = load_source(SOURCES_FOLDER / "green.yaml")
JANUARY = Month(2019, 1)
POSTGRES, BIGQUERY = (f"/taxiway/api/months?warehouse={name}" for name in ("postgres", "bigquery"))
SILENT = (
    "BigQuery hasn't answered within 6 seconds: wait a moment, and load the page again. If that goes on, look whether "
    "BigQuery works, and at the connection taxi_gcp"
)
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


def test_each_is_a_sentence_while_the_other_shows_and_the_api_server_stops(
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

            # A job of BigQuery takes its time. Postgres shows, also on the page.
            held = bigquery.faults.hold_next_job()
            assert problem(client, BIGQUERY) == SILENT
            held.wait_until_running()
            assert rows_of_january(answer(client, POSTGRES)) == 30
            with start_browser() as chromium:
                page = open_page(chromium, client, "/taxiway/board")
                shown = page.locator("[data-warehouse=bigquery]")
                expect(shown.locator(".sentence")).to_have_text([SILENT])
                expect(shown.locator("[data-month]")).to_have_count(0)
                expect(page.locator("[data-warehouse=postgres] [data-month='2019-01']").first).to_be_visible()
                assert page.said == []  # type: ignore[attr-defined]

            # Its connections are lost, that of the question among them.
            bigquery.faults.answer("drop", times=10_000)
            bigquery.faults.answer("drop", path_containing="/tables/", times=10_000)
            held.release()
            lost = "board, the ledger: no answer from Google Cloud (ConnectionError), expected one. Load the page again"
            wait_until(lambda: problem(client, BIGQUERY).endswith(lost), timeout=60, what="another sentence")
            assert rows_of_january(answer(client, POSTGRES)) == 30

            # A Postgres that is frozen keeps no time limit. BigQuery is asked again, and shows.
            locking.execute("LOCK TABLE taxiway.loads")
            wait_until(lambda: client.json(POSTGRES, "admin") and taxi.query(WAITING), timeout=60, what="a question")
            server.freeze()
            bigquery.faults.clear()
            said = wait_until(lambda: problem(client, POSTGRES), timeout=60, what="a sentence")
            assert "Postgres" in said
            answered = answer(client, BIGQUERY)
            assert rows_of_january(answered) == 30
            (note,) = answered["notes"]
            assert note.startswith("Whether files have changed at their source isn't known: ")
            # The thread is free again: another question finds that nobody answers.
            wait_until(lambda: "connection timeout" in problem(client, POSTGRES), timeout=60, what="another question")

            # The API server stops while both keep it waiting.
            held = bigquery.faults.hold_next_job()
            assert problem(client, f"/taxiway/api/months/taxi_green_gcp/{JANUARY}") == SILENT
            held.wait_until_running()
            os.killpg(services["api-server"].pid, signal.SIGTERM)
            try:
                services["api-server"].wait(PATIENCE * 30)
            except subprocess.TimeoutExpired:
                pytest.fail("the API server waits for a warehouse")
    finally:
        server.kill()
        locking.close()
        taxi.airflow.close()


def problem(client: Client, path: str) -> str:
    return str(client.json(path, "admin")["problem"])


def answer(client: Client, path: str) -> dict[str, Any]:
    """Ask until the warehouse answers within its time limit: on a slow machine it may miss that."""

    def ask() -> dict[str, Any] | None:
        found: dict[str, Any] = client.json(path, "admin")
        return None if found["problem"] else found

    return wait_until(ask, timeout=60, what=f"the months of {path}")


def rows_of_january(answered: dict[str, Any]) -> int:
    (green,) = [source for source in answered["sources"] if source["name"] == "green"]
    return int(green["months"][0]["rows"])
