"""The command `make bench-board`: measures the page of months in Airflow's web UI, and prints it against its budget.

The ledger has 50,000 attempts of 1,200 months, as five sources of twenty years have. Requests one after another mostly
get an answer that is kept; somebody who opens the page waits until the ledger has been asked, so that is measured, too.
BigQuery can't be measured offline, and its answers are kept for a minute: the browser is given Postgres's in their
place, so that the page has two warehouses.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import requests
from playwright.sync_api import Browser, Request, Route, sync_playwright
from rich.console import Console
from rich.table import Table

from bench.servers import Airflow, Postgres
from taxiway.paths import ROOT
from taxiway.warehouses.sql import render
from taxiway_local.exits import end
from taxiway_local.own_home import Say, clear_leftovers, forget_settings, own_home, stop_in_order
from taxiway_local.setup import airflow_command, airflow_environment

REQUESTS, ALONE, VISITS = 200, 30, 5
"""Requests one after another; requests that come alone; times that the browser opens the page, alone as well."""

PAUSE = 6.0
"""Seconds before a request that comes alone: the board gives no answer that is older than five seconds."""

SOURCES = ("fhv", "fhvhv", "green", "yellow")
MONTHS, ATTEMPTS = 300, 42
"""Months of each source, and attempts of each month; the months go on beyond today, for no source has twenty years."""

MOST_MILLISECONDS, MOST_KB, MOST_SECONDS = 150.0, 300.0, 1.5
"""The budget: data, 95th percentile; the page over the wire; until its cells are there."""

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

LEDGER = """
INSERT INTO taxiway.loads (
    source, month, destination, run_id, attempt, step, state, filename, url, bytes, sha256, layout, rows_read,
    rows_rejected, rows_staged, warnings, started_at, finished_at, error
)
SELECT
    source, (date '2019-01-01' + make_interval(months => month))::date, 'postgres',
    'scheduled__' || attempt || 'T09:00:00+00:00', 1, 'merge_month',
    CASE WHEN (attempt + month) %% 7 = 3 THEN 'failed' ELSE 'published' END,
    source || '_tripdata_' || month || '.csv', 'http://mirror.test/' || source, 12345678 + month * 7919 %% 99991,
    md5(source || month) || md5(month || source), '1215b44ac1f9', 100000 + month, month %% 3, 99997 + month * 31 %% 997,
    CASE WHEN month %% 9 = 0 THEN '{rows_like_neighbours: 3 times as many rows as in the months around it}'::text[]
    ELSE '{}' END,
    now() - interval '1 minute' * month, now() - interval '1 second' * month,
    CASE WHEN (attempt + month) %% 7 = 3 THEN repeat('an error of a few words. ', 12) END
FROM unnest(%s::text[]) AS source, generate_series(0, %s) AS month, generate_series(1, %s) AS attempt
"""


def main() -> int:
    """Measure, and print what was found.

    :return: the exit code: 0 whatever the figures, because they are a measurement, not a test
    :raises SystemExit: it was told to stop; above 128
    """
    forget_settings(os.environ)
    stop_in_order(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    folder, began, console = ROOT / ".taxiway", time.monotonic(), Console(highlight=False, width=120)

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - began:6.0f} s  {line}", markup=False, soft_wrap=True)

    clear_leftovers(folder, say)
    found = measure(folder, say)
    table = Table("", "found", "budget")
    for kind, count, how in (
        ("kept", REQUESTS, "one after another"),
        ("asked", ALONE, "each of which asks the ledger"),
    ):
        took = found[kind]
        table.add_row(
            f"months as JSON, 95th percentile of {count} requests {how} (median {took['median_ms']:.0f} ms)",
            f"{took['p95_ms']:.0f} ms",
            f"{MOST_MILLISECONDS:.0f} ms",
        )
    table.add_row(
        "the page and the data of two warehouses, over the wire", f"{found['kb']:.0f} KB", f"{MOST_KB:.0f} KB"
    )
    table.add_row(
        f"until {found['cells']} cells are there, median of {VISITS} (the longest {found['longest_seconds']:.2f} s)",
        f"{found['seconds']:.2f} s",
        f"{MOST_SECONDS} s",
    )
    console.print(table)
    (folder / "benchmark-board.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


def measure(folder: Path, say: Say) -> dict[str, Any]:
    """Set up an Airflow and a ledger, and measure.

    :return: what was found: milliseconds, kilobytes (1,000 bytes), seconds, and how many cells and attempts there are
    """
    with own_home(folder, "bench", say) as home:
        postgres = Postgres.start(home)
        say("setting Airflow up")
        Airflow(postgres).create()
        with postgres.connect() as connection:
            connection.execute(render("postgres/create_ledger.sql"))
            connection.execute(LEDGER, [list(SOURCES), MONTHS - 1, ATTEMPTS])
        with postgres.connect() as connection:
            connection.execute("ANALYZE taxiway.loads")
            ((attempts,),) = connection.execute("SELECT count(*) FROM taxiway.loads")
        say(f"{attempts:,} attempts are in the ledger")
        with _api_server(home) as address:
            login = {"username": "admin", "password": json.loads(home.passwords.read_text())["admin"]}
            token = requests.post(f"{address}/auth/token", json=login, timeout=60).json()["access_token"]
            say("asking")
            return {"attempts": attempts, **_ask(address, token), **_browse(address, token)}


@contextmanager
def _api_server(home: Any) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = {**airflow_environment(home), "AIRFLOW__API__BASE_URL": address, "AIRFLOW__API__WORKERS": "1"}
    command = [*airflow_command(), "api-server", "--host", "127.0.0.1", "--port", str(port)]
    with (home.root / "api-server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                requests.get(f"{address}/api/v2/version", timeout=5)
                break
            except requests.ConnectionError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _ask(address: str, token: str) -> dict[str, dict[str, float]]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"

        def ask(pause: float = 0.0) -> float:
            time.sleep(pause)
            began = time.perf_counter()
            answer = session.get(f"{address}/taxiway/api/months?warehouse=postgres", timeout=60)
            months = sum(len(source["months"]) for source in answer.json()["sources"])
            if months < MONTHS * len(SOURCES):
                raise RuntimeError(f"found {months} months, expected {MONTHS * len(SOURCES)}: {answer.text[:300]}")
            return (time.perf_counter() - began) * 1000

        took = {"kept": [ask() for _ in range(REQUESTS + 3)][3:], "asked": [ask(PAUSE) for _ in range(ALONE)]}
    return {
        kind: {"median_ms": median(each), "p95_ms": quantiles(each, n=20, method="inclusive")[-1]}
        for kind, each in took.items()
    }


def _browse(address: str, token: str) -> dict[str, float]:
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        visits = [_visit(chromium, address, token) for _ in range(VISITS)]
        chromium.close()
    seconds = [visit[0] for visit in visits]
    return {
        "seconds": median(seconds),
        "longest_seconds": max(seconds),
        "kb": visits[-1][1] / 1000,
        "cells": visits[-1][2],
    }


def _visit(chromium: Browser, address: str, token: str) -> tuple[float, int, int]:
    """Open the page with an empty cache, when the ledger has to be asked.

    :return: seconds until all cells are there, bytes over the wire, cells
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies([{"name": "_token", "value": token, "url": address}])
    page, received = context.new_page(), list[Request]()

    def note(request: Request) -> None:
        received.append(request)

    page.on("requestfinished", note)
    page.route("**/api/months?warehouse=bigquery*", _as_bigquery)
    time.sleep(PAUSE)
    began = time.perf_counter()
    page.goto(f"{address}/taxiway/board")
    page.locator(".warehouse[data-warehouse=postgres]:not([aria-busy])").wait_for()
    page.locator(".warehouse[data-warehouse=bigquery]:not([aria-busy])").wait_for()
    took = time.perf_counter() - began
    cells = page.locator(".grid [data-month]").count()
    size = sum(map(_wire_bytes, received))
    context.close()
    return took, size, cells


def _wire_bytes(request: Request) -> int:
    sizes = request.sizes()
    return sizes["responseBodySize"] + sizes["responseHeadersSize"]


def _as_bigquery(route: Route) -> None:
    """Answer for BigQuery as Postgres does, by the same server."""
    route.continue_(url=route.request.url.replace("warehouse=bigquery", "warehouse=postgres"))


if __name__ == "__main__":
    end(main, "make bench-board")
