"""The demo of Google Cloud, offline: three sample months through the real DAGs into stand-ins, and compared.

It has an Airflow and a Postgres of its own, which it removes. Else the checkout's own Airflow would take runs into
stand-ins for months in BigQuery.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from taxiway.messages import CALL_VARIABLE, counted
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local import database, demo
from taxiway_local.exits import end
from taxiway_local.home import Home
from taxiway_local.mirror_server import serve
from taxiway_local.own_home import clear_leftovers, forget_settings, lay_out, own_home, stop_in_order
from taxiway_local.samples import write_sample_months
from taxiway_local.setup import airflow_command, airflow_environment, setup

NAME = "demo-gcp"
MOST_MONTHS = 3
VARIABLES = {
    "GCP_PROJECT_ID": "taxiway-demo",
    "GCP_LOCATION": "europe-west1",
    "GCP_BUCKET_NAME": "taxiway-demo-bucket",
    "GCP_DATASET": "taxi",
}


def main() -> int:
    """Run the demo from the command line.

    :return: the exit code of the command that failed, 0, 2 where the demo could not begin, or 130 after Ctrl-C
    """
    parser = argparse.ArgumentParser(prog="make demo-gcp", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", default=str(demo.DEFAULT_ROWS), help="rows of a sample month")
    parser.add_argument("--source", default=demo.SOURCE, help="name of a file in include/sources")
    typed = parser.parse_args()
    console = demo.line_console()
    try:
        rows, source = demo.sample_rows(typed.rows), demo.source_of(typed.source)
        checkout = Home.current()
        with _own_home(checkout) as home:
            code = _demo(home, checkout.samples / f"{rows}-rows", console, source, rows)
    except demo.DemoError as error:
        console.print(f"The demo stops: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        code = 130
    if code == 130:
        console.print("\nThe demo was stopped; nothing of it is left. To see it again: make demo-gcp", markup=False)
    return code


@contextmanager
def _own_home(checkout: Home) -> Iterator[Home]:
    """Set up an Airflow and a Postgres for this demo, which end with it.

    :raises DemoError: another demo runs
    """
    if any(path.name.startswith(NAME) for path in clear_leftovers(checkout.state, print)):
        raise demo.DemoError("another make demo-gcp is running: wait for its end")
    stop_in_order(signal.SIGTERM, signal.SIGHUP)
    with own_home(checkout.state, NAME, print) as home:
        lay_out(home)
        # What the person has set for Airflow, in .env too, is meant for the checkout's.
        forget_settings(os.environ)
        os.environ["AIRFLOW_HOME"] = str(home.root)
        setup(home)
        yield home


def _demo(home: Home, folder: Path, console: Console, source: Source, rows: int) -> int:
    months = demo.months_of(source)[:MOST_MONTHS]
    if not months:
        raise demo.DemoError(f"SOURCE={source.name}: it has no month of {demo.YEAR}: {source.months}")
    server = database.start(home)
    made = "a sample" if source.stands_alone else f"{counted(len(months), 'sample month')} of {counted(rows, 'row')}"
    console.print(f"Making {made} in {folder}", markup=False)
    write_sample_months([source], months, folder, rows=rows)
    load = ["test"] if source.stands_alone else ["backfill", "-s", f"{months[0]}-01", "-e", f"{months[-1]}-28"]
    with serve(folder) as mirror, start_stand_ins() as (bigquery, cloud):
        console.print(f"Stand-ins: BigQuery at {bigquery.url}, Cloud Storage at {cloud['STORAGE_EMULATOR_HOST']}")
        environment = {
            **airflow_environment(home),
            **demo.connections_to(source, mirror.address),
            "AIRFLOW_CONN_TAXI_POSTGRES": json.dumps(server.airflow_connection()),
            **cloud,
            CALL_VARIABLE: demo.make_call("demo-gcp", rows, source=source.name),
        }
        for command in (
            ["dags", "test", "gcp_setup"],
            ["dags", *load, f"taxi_{source.name}_gcp"],
            ["dags", *load, f"taxi_{source.name}"],
            ["dags", "test", "taxi_compare", "-c", json.dumps({"source": source.name})],
        ):
            console.print(f"\n$ airflow {shlex.join(command)}\n", style="bold", markup=False)
            run = demo.dags_test if command[1] == "test" else demo.run
            if code := run([*airflow_command(), *command], environment):
                return code
        _show(console, source, bigquery)
    console.print("\nNothing of it is left. The same on the real cloud: docs/bigquery.md")
    return 0


@contextmanager
def start_stand_ins() -> Iterator[tuple[Any, Mapping[str, str]]]:
    """Start the stand-ins; return BigQuery's, and what Airflow's processes need to find them and :data:`VARIABLES`.

    :raises DemoError: their libraries are absent
    """
    sys.path.insert(0, str(ROOT))  # they lie beside plugins/, wherever the command was called
    try:
        from stand_ins.bigquery import StandIn, service_account_key
        from stand_ins.cloud_storage import CloudStorage
    except ImportError as error:
        install = "bin/make-venv requirements-dev.txt"
        raise demo.DemoError(f"the stand-ins' packages aren't installed ({error}). Install them: {install}") from error
    with CloudStorage() as bucket, StandIn() as bigquery:
        # Load jobs fetch their objects from this process.
        os.environ["STORAGE_EMULATOR_HOST"] = bucket.url
        key = service_account_key(bigquery.url, VARIABLES["GCP_PROJECT_ID"])
        connection = {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": json.dumps(key)}}
        yield (
            bigquery,
            {
                "BIGQUERY_EMULATOR_HOST": bigquery.url,
                "STORAGE_EMULATOR_HOST": bucket.url,
                "AIRFLOW_CONN_TAXI_GCP": json.dumps(connection),
                **{f"AIRFLOW_VAR_{name}": value for name, value in VARIABLES.items()},
            },
        )


def client_of(bigquery: Any) -> Any:
    """Return Google's client of the stand-in."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.bigquery import Client

    os.environ["BIGQUERY_EMULATOR_HOST"] = bigquery.url
    return Client(
        project=VARIABLES["GCP_PROJECT_ID"],
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        location=VARIABLES["GCP_LOCATION"],
    )


def _show(console: Console, source: Source, bigquery: Any) -> None:
    """Show the ledger of the dataset."""
    from google.cloud.bigquery import QueryJobConfig

    dataset = f"{VARIABLES['GCP_PROJECT_ID']}.{VARIABLES['GCP_DATASET']}"
    statement = """
        SELECT month, rows_read, rows_inserted, rows_deleted, rows_unchanged, rows_rejected
        FROM loads WHERE state = 'published' ORDER BY month
    """
    rows = client_of(bigquery).query_and_wait(statement, job_config=QueryJobConfig(default_dataset=dataset))
    table = Table(title=f"{dataset}.{source.main_table}")
    table.add_column("month")
    for name in ("rows read", "inserted", "deleted", "unchanged", "rejected"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(str(Month.of(row["month"])), *(f"{count:,}" for count in list(row.values())[1:]))
    console.print(table, soft_wrap=False)


if __name__ == "__main__":
    end(main, "make demo-gcp")
