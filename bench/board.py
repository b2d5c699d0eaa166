"""The command `make bench-board`: measures the page of months in Airflow's web UI, and prints it against its budget.

The ledgers of Postgres and BigQuery have 1,200 months each, as five sources of twenty years have, and 50,000 attempts
together. Requests one after another mostly get answers that are kept; somebody who opens the page waits until Postgres
has been asked, so that is measured, too. BigQuery is its stand-in: what the board makes of its answer is measured, not
how long Google takes for it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg
import requests
from playwright.sync_api import Browser, Request, sync_playwright
from rich.console import Console
from rich.table import Table

from bench.servers import Airflow, Postgres
from taxiway.paths import ROOT
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.ledger import create_ledger
from taxiway.warehouses.bigquery.provisioning import Provisioner
from taxiway.warehouses.bigquery.settings import read_settings
from taxiway.warehouses.sql import render
from taxiway_local.demo_gcp import VARIABLES, client_of, start_stand_ins
from taxiway_local.exits import end
from taxiway_local.own_home import Say, clear_leftovers, forget_settings, own_home, stop_in_order
from taxiway_local.setup import airflow_command, airflow_environment

REQUESTS, ALONE, VISITS = 200, 30, 5
"""Requests one after another; requests that come alone; times that the browser opens the page, alone as well."""

PAUSE = 6.0
"""Seconds before a request that comes alone: the board gives no answer of Postgres that is older than five seconds."""

PATIENCE = 120.0
"""Seconds until both warehouses must have answered for the first time."""

SOURCES = ("fhv", "fhvhv", "green", "yellow")
MONTHS, ATTEMPTS = 300, 21
"""Months of each source, and attempts of each month; the months go on beyond today, for no source has twenty years."""

MOST_MILLISECONDS, MOST_KB, MOST_SECONDS = 150.0, 300.0, 1.5
"""The budget: data, 95th percentile; the page over the wire; until its cells are there."""

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ERROR = 12 * "an error of a few words. "
WARNING = "rows_like_neighbours: 3 times as many rows as in the months around it"

IN_POSTGRES = """
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
    CASE WHEN month %% 9 = 0 THEN %(warnings)s::text[] ELSE '{}' END,
    now() - interval '1 minute' * month, now() - interval '1 second' * month,
    CASE WHEN (attempt + month) %% 7 = 3 THEN %(error)s END
FROM unnest(%(sources)s::text[]) AS source, generate_series(0, %(months)s - 1) AS month,
    generate_series(1, %(attempts)s) AS attempt
"""

IN_BIGQUERY = """
INSERT INTO `{dataset}.load_events` (
    load_id, load_number, source, month, destination, run_id, attempt, try_number, step, state, filename, url, bytes,
    sha256, layout, rows_read, rows_rejected, rows_staged, publication, warnings, started_at, finished_at, error,
    recorded_at
)
SELECT
    CONCAT(source, '_', CAST(number AS STRING), '_', CAST(attempt AS STRING)), attempt, source, month, 'bigquery',
    CONCAT('scheduled__', CAST(attempt AS STRING), 'T09:00:00+00:00'), 1, 1, 'merge_month',
    IF(MOD(attempt + number, 7) = 3, 'failed', 'published'),
    CONCAT(source, '_tripdata_', CAST(number AS STRING), '.csv'), CONCAT('http://mirror.test/', source),
    12345678 + MOD(number * 7919, 99991), TO_HEX(SHA256(CONCAT(source, CAST(number AS STRING)))), '1215b44ac1f9',
    100000 + number, MOD(number, 3), 99997 + MOD(number * 31, 997), attempt,
    IF(MOD(number, 9) = 0, @warnings, @nothing), TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 MINUTE),
    CURRENT_TIMESTAMP(), IF(MOD(attempt + number, 7) = 3, @error, NULL), CURRENT_TIMESTAMP()
FROM UNNEST(@sources) AS source
CROSS JOIN UNNEST(@months) AS month WITH OFFSET AS number
CROSS JOIN UNNEST(@attempts) AS attempt
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
    console.print(compared(found))
    (folder / "benchmark-board.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


def compared(found: Mapping[str, Any]) -> Table:
    """Return the table of what was found, beside the budget.

    :param found: as :func:`measure` returns it
    """
    table = Table("", "found", "budget")
    for kind, how in (("kept", "one after another"), ("asked", "each of which asks Postgres")):
        took = found[kind]
        table.add_row(
            f"months of both warehouses, 95th percentile of {took['count']}, {how} (median {took['median_ms']:.0f} ms)",
            f"{took['p95_ms']:.0f} ms",
            f"{MOST_MILLISECONDS:.0f} ms",
        )
    table.add_row("the page and the data, over the wire", f"{found['kb']:.0f} KB", f"{MOST_KB:.0f} KB")
    table.add_row(
        f"until {found['cells']:,} cells are there, median of {found['visits']} visits (the longest "
        f"{found['longest_seconds']:.2f} s)",
        f"{found['seconds']:.2f} s",
        f"{MOST_SECONDS} s",
    )
    return table


def measure(folder: Path, say: Say) -> dict[str, Any]:
    """Set up an Airflow and two ledgers, and measure.

    :return: what was found: milliseconds, kilobytes (1,000 bytes), seconds, and how many cells and attempts there are
    """
    with own_home(folder, "bench", say) as home, start_stand_ins() as (bigquery, cloud):
        postgres = Postgres.start(home)
        say("setting Airflow up")
        Airflow(postgres).create()
        with postgres.connect() as connection:
            attempts = fill_postgres(connection, MONTHS, ATTEMPTS)
        settings, client = read_settings(VARIABLES.get), client_of(bigquery)
        Provisioner(settings, "bench-board").ensure_dataset(client)
        attempts += fill_bigquery(Jobs(client, settings, "bench-board", {}), MONTHS, ATTEMPTS)
        say(f"{attempts:,} attempts are in the ledgers")
        with _api_server(home, cloud) as address:
            login = {"username": "admin", "password": json.loads(home.passwords.read_text())["admin"]}
            token = requests.post(f"{address}/auth/token", json=login, timeout=60).json()["access_token"]
            say("asking")
            found: dict[str, Any] = {"attempts": attempts, **ask(address, token)}
            program = next(filter(None, map(shutil.which, CHROMIUM)), None)
            with sync_playwright() as playwright:
                chromium = playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])
                found |= browse(chromium, address, token)
                chromium.close()
            return found


def fill_postgres(connection: psycopg.Connection[Any], months: int, attempts: int) -> int:
    """Create the ledger of Postgres, and fill it.

    :param months: of each source
    :param attempts: of each month
    :return: how many attempts it has
    """
    values = {"sources": list(SOURCES), "months": months, "attempts": attempts, "error": ERROR, "warnings": [WARNING]}
    with connection.transaction():
        connection.execute(render("postgres/create_ledger.sql"))
        count = connection.execute(IN_POSTGRES, values).rowcount
    connection.execute("ANALYZE taxiway.loads")
    connection.commit()
    return count


def fill_bigquery(jobs: Jobs, months: int, attempts: int) -> int:
    """Create the ledger of BigQuery, and fill it as that of Postgres.

    :param jobs: BigQuery; the dataset is there
    :param months: of each source
    :param attempts: of each month
    :return: how many attempts it has
    """
    from google.cloud.bigquery import ArrayQueryParameter, QueryJobConfig, ScalarQueryParameter

    create_ledger(jobs)
    days = [date(2019 + number // 12, number % 12 + 1, 1) for number in range(months)]
    values = [
        ArrayQueryParameter("sources", "STRING", list(SOURCES)),
        ArrayQueryParameter("months", "DATE", days),
        ArrayQueryParameter("attempts", "INT64", list(range(1, attempts + 1))),
        ArrayQueryParameter("warnings", "STRING", [WARNING]),
        ArrayQueryParameter("nothing", "STRING", []),
        ScalarQueryParameter("error", "STRING", ERROR),
    ]
    statement = IN_BIGQUERY.format(dataset=jobs.settings.dataset_name)
    job = jobs.client.query(statement, job_config=QueryJobConfig(query_parameters=values))
    job.result()
    return int(job.num_dml_affected_rows or 0)


@contextmanager
def _api_server(home: Any, cloud: Mapping[str, str]) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    own = {"AIRFLOW__API__BASE_URL": address, "AIRFLOW__API__WORKERS": "1"}
    environment = {**airflow_environment(home), **cloud, **own}
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


def ask(
    address: str, token: str, *, count: int = REQUESTS, alone: int = ALONE, pause: float = PAUSE
) -> dict[str, dict[str, float]]:
    """Ask for the months of both warehouses, again and again.

    :param address: of the API server
    :param token: of a user
    :param count: how often one after another; two at least
    :param alone: how often alone; two at least
    :param pause: seconds before each that comes alone
    :return: milliseconds until both answers are in, of both kinds
    """
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"

        def answers() -> list[requests.Response]:
            return [
                session.get(f"{address}/taxiway/api/months?warehouse={name}", timeout=60)
                for name in ("postgres", "bigquery")
            ]

        def seconds(pause: float = 0.0) -> float:
            time.sleep(pause)
            began = time.perf_counter()
            for answer in answers():
                answer.raise_for_status()
            return time.perf_counter() - began

        deadline = time.monotonic() + PATIENCE
        while problems := [problem for answer in answers() if (problem := answer.json()["problem"])]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"found {'; '.join(problems)}, expected the months of both warehouses")
            time.sleep(0.5)
        took = {"kept": [seconds() for _ in range(count)], "asked": [seconds(pause) for _ in range(alone)]}
    return {
        kind: {
            "count": len(each),
            "median_ms": 1000 * median(each),
            "p95_ms": 1000 * quantiles(each, n=20, method="inclusive")[-1],
        }
        for kind, each in took.items()
    }


def browse(
    chromium: Browser, address: str, token: str, *, visits: int = VISITS, pause: float = PAUSE
) -> dict[str, float]:
    """Open the page, again and again.

    :param address: of the API server
    :param token: of a user
    :param visits: how often
    :param pause: seconds before each
    :return: seconds, kilobytes and cells
    """
    found = [_visit(chromium, address, token, pause) for _ in range(visits)]
    seconds = [took for took, _, _ in found]
    return {
        "visits": visits,
        "seconds": median(seconds),
        "longest_seconds": max(seconds),
        "kb": found[-1][1] / 1000,
        "cells": found[-1][2],
    }


def _visit(chromium: Browser, address: str, token: str, pause: float) -> tuple[float, int, int]:
    """Open the page with an empty cache, when Postgres has to be asked.

    :return: seconds until all cells are there, bytes over the wire, cells
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies([{"name": "_token", "value": token, "url": address}])
    page, received = context.new_page(), list[Request]()

    def note(request: Request) -> None:
        received.append(request)

    page.on("requestfinished", note)
    time.sleep(pause)
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


if __name__ == "__main__":
    end(main, "make bench-board")
