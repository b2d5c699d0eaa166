"""The demo: a year of sample months, through a real mirror, a real Airflow and a real Postgres."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

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
    extract(epoch FROM finished_at - started_at)::double precision AS seconds
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
    before = _loaded(home, source)
    if mirror is None and not replace:
        _refuse_to_replace(before)
    with _mirror(home, console, source, rows, mirror) as address:
        # A year that is there already is loaded again: unchanged files change nothing, others replace their month.
        again = ["--reprocess-behavior", "completed"] if before else []
        console.print(f"\n$ airflow {' '.join([*COMMAND, *again])}\n", style="bold", markup=False, soft_wrap=True)
        done = subprocess.run(
            [*airflow_command(home), *COMMAND, *again],
            env={
                **airflow_environment(home),
                # Connections of the environment come before stored ones: the demo leaves those alone.
                "AIRFLOW_CONN_TLC_MIRROR": json.dumps({"conn_type": "http", "host": address}),
            },
            check=False,
        )
    _show(console, home, source)
    if done.returncode == 0:
        console.print(f"\nThe rows are in public.{source.main_table}, the ledger in taxiway.loads.")
        console.print(
            "  make psql   looks at them\n  make up     shows Airflow's web UI\n  make down   stops everything"
        )
    return done.returncode


def _refuse_to_replace(loaded: list[dict[str, object]]) -> None:
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


def _loaded(home: Home, source: Source) -> list[dict[str, object]]:
    with _warehouse(home) as connection, connection.cursor() as cursor:
        if cursor.execute("SELECT to_regclass('taxiway.loads')").fetchone() == (None,):
            return []
        cursor.execute(_LOADED, [source.name, Month(YEAR, 1).first_day, Month(YEAR, 12).first_day])
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _warehouse(home: Home):  # type: ignore[no-untyped-def]
    if "AIRFLOW_CONN_TAXI_POSTGRES" in os.environ:
        raise DemoError(
            "AIRFLOW_CONN_TAXI_POSTGRES names a warehouse of your own, which the demo keeps out of: unset it"
        )
    server = database.find(home) or database.start(home)
    return server.connect("taxi")


def _show(console: Console, home: Home, source: Source) -> None:
    table = Table(title=f"public.{source.main_table}, {YEAR}")
    table.add_column("month")
    for name in ("rows read", "inserted", "deleted", "unchanged", "rejected", "seconds"):
        table.add_column(name, justify="right")
    total = [0, 0, 0, 0, 0]
    for row in _loaded(home, source):
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
