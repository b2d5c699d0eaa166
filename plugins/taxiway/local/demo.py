"""The demo: a year of sample months, through a real mirror, a real Airflow and a real Postgres."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import requests
from rich.console import Console
from rich.table import Table

from taxiway.core.months import Month
from taxiway.core.paths import SOURCES_FOLDER
from taxiway.core.sources import Source, load_source
from taxiway.local import database
from taxiway.local.home import Home
from taxiway.local.mirror import serve
from taxiway.local.samples import write_sample_months
from taxiway.local.setup import airflow_command, airflow_environment

SOURCE = "green"
YEAR = 2019
COMMAND = ["dags", "backfill", "-s", f"{YEAR}-01-01", "-e", f"{YEAR}-12-31", f"taxi_{SOURCE}"]

_LOADED = """
SELECT DISTINCT ON (month)
    to_char(month, 'YYYY-MM') AS month, url, rows_read, rows_inserted, rows_deleted, rows_unchanged, rows_rejected,
    extract(epoch FROM finished_at - started_at)::double precision AS seconds, finished_at
FROM taxiway.loads
WHERE source = %s AND state IN ('published', 'unchanged') AND month BETWEEN %s AND %s
ORDER BY month, finished_at DESC
"""


class DemoError(Exception):
    """The demo can't go on; the message says what to do."""


def main() -> int:
    """Run the demo from the command line.

    :return: the exit code of ``airflow dags backfill``, or 2 where it wasn't run
    """
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--rows", type=int, default=5000, help="rows of a sample month")
    parser.add_argument(
        "--mirror", help="load from this address instead: <address>/green/green_tripdata_2019-01.csv.gz"
    )
    parser.add_argument("--replace", action="store_true", help="replace months that were loaded from elsewhere")
    arguments = parser.parse_args()
    home = Home.current()
    console = Console(highlight=False)
    try:
        return _demo(home, console, arguments.rows, arguments.mirror, replace=arguments.replace)
    except DemoError as error:
        console.print(f"The demo stops: {error}", style="red", markup=False)
        return 2


def _demo(home: Home, console: Console, rows: int, mirror: str | None, *, replace: bool) -> int:
    source = load_source(SOURCES_FOLDER / f"{SOURCE}.yaml")
    if rows < 1:
        raise DemoError(f"ROWS={rows}: a sample month has at least one row")
    if mirror is not None and urlsplit(mirror).scheme not in ("http", "https"):
        raise DemoError(f"MIRROR={mirror}: expected an address that begins with http:// or https://")
    if "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in os.environ:
        raise DemoError(
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN names a metadata database of your own, which the demo keeps out of: "
            "unset it, or take it out of .env while the demo runs"
        )
    server = database.find(home) or database.start(home)
    before = loaded_months(server, source)
    if mirror is None and not replace:
        refuse_to_replace(before)
    refuse_while_scheduled(server)
    if mirror is not None:
        _probe(mirror, source)
    started = datetime.now(timezone.utc)
    with _mirror(home, console, source, rows, mirror) as address:
        # A year that is there already is loaded again: unchanged files change nothing, others replace their month.
        again = ["--reprocess-behavior", "completed"] if _has_runs(server) else []
        console.print(f"\n$ airflow {' '.join([*COMMAND, *again])}\n", style="bold", markup=False, soft_wrap=True)
        code = run(
            [*airflow_command(), *COMMAND, *again],
            {
                **airflow_environment(home),
                # Connections of the environment come before stored ones: the demo leaves those alone, and
                # loads into embedded Postgres whatever they say.
                "AIRFLOW_CONN_TLC_MIRROR": json.dumps({"conn_type": "http", "host": address}),
                "AIRFLOW_CONN_TAXI_POSTGRES": json.dumps(server.airflow_connection()),
            },
        )
    loaded = [row for row in loaded_months(server, source) if row["finished_at"] >= started]
    if loaded:
        _show(console, source, loaded)
    if code and mirror is None:
        # The command's own advice leads to the connection tlc_mirror: the demo's mirror is gone.
        console.print("\nTo load the rest of the samples: make demo")
    if code == 0 and len(loaded) < 12:
        raise DemoError(f"only {len(loaded)} of 12 months are in the ledger, although the command succeeded")
    if code == 0:
        console.print(f"\nThe rows are in public.{source.main_table}, the ledger in taxiway.loads.")
        if mirror is None:
            console.print(
                f"They are samples, made on this machine. The real year in their place:\n"
                f"  bin/airflow {' '.join(COMMAND[:-1])} --reprocess-behavior completed {COMMAND[-1]}",
                soft_wrap=True,
            )
        for command, does in (
            ("psql", "looks at them"),
            ("up", "shows Airflow's web UI"),
            ("down", "stops everything"),
        ):
            console.print(f"  make {command:5} {does}")
    return code


def run(command: list[str], environment: dict[str, str]) -> int:
    """Run a command to its end. Ctrl-C is the command's: it puts its months in order, and we wait for that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with subprocess.Popen(command, env=environment, preexec_fn=_take_ctrl_c) as process:
            return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def _take_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def refuse_while_scheduled(server: database.Server) -> None:
    """A scheduler that runs the DAG takes its connections from Airflow, and doesn't know the demo's mirror."""
    with server.connect("airflow") as metadata:
        row = metadata.execute(
            "SELECT 1 FROM dag JOIN job ON job.job_type = 'SchedulerJob' AND job.state = 'running' AND "
            "job.latest_heartbeat > now() - interval '1 minute' WHERE dag.dag_id = %s AND NOT dag.is_paused",
            [f"taxi_{SOURCE}"],
        ).fetchone()
    if row:
        raise DemoError(
            f"taxi_{SOURCE} is unpaused and a scheduler runs it, which would load from the connection tlc_mirror. "
            f"Pause it (bin/airflow dags pause taxi_{SOURCE}), or stop Airflow (make down), and try again"
        )


def _has_runs(server: database.Server) -> bool:
    with server.connect("airflow") as metadata:
        row = metadata.execute("SELECT 1 FROM dag_run WHERE dag_id = %s LIMIT 1", [f"taxi_{SOURCE}"]).fetchone()
    return row is not None


def _probe(mirror: str, source: Source) -> None:
    """Ask the mirror for a file before twelve months do, each with its retries."""
    address = f"{mirror.rstrip('/')}/{source.file_path(Month(YEAR, 1))}"
    try:
        answer = requests.head(address, allow_redirects=True, timeout=20)
    except requests.RequestException as error:
        raise DemoError(
            f"MIRROR={mirror} doesn't answer for {address} ({type(error).__name__}): expected the files there, is the "
            f"address right, and does the mirror run?"
        ) from error
    if answer.status_code >= 400 and answer.status_code != 405:
        raise DemoError(
            f"MIRROR={mirror} answers {answer.status_code} for {address}, expected the file of {YEAR}-01 there"
        )


def refuse_to_replace(loaded: list[dict[str, Any]]) -> None:
    """The demo's own months come from this machine; anything else is somebody's data."""
    foreign = [row for row in loaded if urlsplit(str(row["url"])).hostname != "127.0.0.1"]
    if foreign:
        first = str(foreign[0]["url"])
        raise DemoError(
            f"{len(foreign)} months of {SOURCE} are loaded from elsewhere ({foreign[0]['month']} from {first}), and "
            f"the demo would replace them with samples. To do that: make demo REPLACE=1. To load them again from the "
            f"same place: make demo MIRROR={first.rsplit('/', 2)[0]}"
        )


@contextmanager
def _mirror(home: Home, console: Console, source: Source, rows: int, mirror: str | None) -> Iterator[str]:
    if mirror is not None:
        console.print(f"Loading from {mirror}", markup=False)
        yield mirror
        return
    months = [Month(YEAR, number) for number in range(1, 13)]
    folder = home.samples / f"{rows}-rows"
    console.print(f"Making 12 sample months of {rows} rows in {folder}", markup=False)
    write_sample_months([source], months, folder, rows=rows)
    with serve(folder) as server:
        console.print(f"Serving them at {server.address}", markup=False)
        yield server.address


def loaded_months(server: database.Server, source: Source) -> list[dict[str, Any]]:
    """Return the ledger's last good load of every month of the year."""
    with server.connect("taxi") as connection, connection.cursor() as cursor:
        if cursor.execute("SELECT to_regclass('taxiway.loads')").fetchone() == (None,):
            return []
        cursor.execute(_LOADED, [source.name, Month(YEAR, 1).first_day, Month(YEAR, 12).first_day])
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _show(console: Console, source: Source, loaded: list[dict[str, Any]]) -> None:
    part = "" if len(loaded) == 12 else f": {len(loaded)} of 12 months"
    table = Table(title=f"public.{source.main_table}, {YEAR}{part}")
    table.add_column("month")
    for name in ("rows read", "inserted", "deleted", "unchanged", "rejected", "seconds"):
        table.add_column(name, justify="right")
    total = [0, 0, 0, 0, 0]
    for row in loaded:
        counts = [
            row["rows_read"],
            row["rows_inserted"],
            row["rows_deleted"],
            row["rows_unchanged"],
            row["rows_rejected"],
        ]
        total = [whole + int(str(count)) for whole, count in zip(total, counts, strict=True)]
        table.add_row(str(row["month"]), *(f"{count:,}" for count in counts), f"{row['seconds']:.1f}")
    table.add_section()
    table.add_row("all", *(f"{count:,}" for count in total), "")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
