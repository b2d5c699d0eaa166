"""The demo: a year of sample months, or a sample of a file of no month, through a real mirror, Airflow and Postgres."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import requests
from rich.console import Console
from rich.table import Table

from taxiway.download.mirror_address import IN_PASSWORDS, SCHEMES, mirror_address, shown_address
from taxiway.errors import SettingError, SourceConfigError, TaxiwayError
from taxiway.loads.deletions import ACCEPTING_CONF
from taxiway.messages import CALL_VARIABLE, counted
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source, find_source
from taxiway_local import database
from taxiway_local.exits import end
from taxiway_local.home import Home
from taxiway_local.known_samples import is_sample, note_samples
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_months
from taxiway_local.setup import airflow_command, airflow_environment, is_migrated

SOURCE = "green"
"""The source that is loaded unless another one is asked for."""

YEAR = 2019
"""The year that is loaded unless another one is asked for."""

DEFAULT_ROWS = 5000

OUR_LINES = r"\[airflow\.task\.operators\.taxiway"
"""What the operators of Taxiway log."""

_AROUND_A_MESSAGE = r"^\S+ \[\w+ *\] | +\[airflow\.task\..*"
"""In a line of Airflow's log: time and level before a message, the logger and more behind it."""

_LOADED = """
SELECT DISTINCT ON (month)
    month, url, sha256,
    rows_read, rows_inserted, rows_deleted, rows_unchanged, rows_rejected,
    extract(epoch FROM finished_at - started_at)::double precision AS seconds, finished_at
FROM taxiway.loads
WHERE source = %s AND state IN ('published', 'unchanged') AND month BETWEEN %s AND %s
ORDER BY month, finished_at DESC
"""


class DemoError(TaxiwayError):
    """The demo can't go on; the message says what to do."""


def main() -> int:
    """Run the demo from the command line.

    :return: the exit code of ``airflow dags backfill``, or 2 where it wasn't run
    """
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--rows", default=str(DEFAULT_ROWS), help="rows of a sample month")
    parser.add_argument("--source", default=SOURCE, help="name of a file in include/sources (default: %(default)s)")
    parser.add_argument("--year", default=str(YEAR), help="the year that is loaded (default: %(default)s)")
    parser.add_argument(
        "--mirror", help="load from this address instead: <address>/green/green_tripdata_2019-01.csv.gz"
    )
    parser.add_argument("--replace", action="store_true", help="replace months that were loaded from elsewhere")
    arguments = parser.parse_args()
    home = Home.current()
    console = line_console()
    try:
        source, year, rows = source_of(arguments.source), year_of(arguments.year), sample_rows(arguments.rows)
        return _demo(home, console, source, year, rows, arguments.mirror, replace=arguments.replace)
    except DemoError as error:
        console.print(f"The demo stops: {error}", style="red", markup=False)
        return 2


def line_console() -> Console:
    """Return a console that leaves lines whole: a command that is broken over two can't be copied."""
    return Console(highlight=False, soft_wrap=True)


def sample_rows(text: str) -> int:
    """Read ROWS as it was typed.

    :raises DemoError: it is not a number, or too small
    """
    try:
        rows = int(text)
    except ValueError as error:
        raise DemoError(f"ROWS={text}: expected a whole number") from error
    if rows < 1:
        raise DemoError(f"ROWS={rows}: a sample month has at least one row")
    return rows


def source_of(name: str) -> Source:
    """Read the source that was asked for.

    :raises DemoError: the source is not known, or its file is wrong
    """
    try:
        return find_source(SOURCES_FOLDER, name)
    except SourceConfigError as error:
        names = ", ".join(sorted(path.stem for path in SOURCES_FOLDER.glob("*.yaml")))
        raise DemoError(f"SOURCE={name}: expected one of {names}: {error}") from error


def year_of(text: str) -> int:
    """Read YEAR as it was typed.

    :raises DemoError: it is not a year
    """
    try:
        return Month.parse(f"{text}-01").year
    except TaxiwayError as error:
        raise DemoError(f"YEAR={text}: expected a year, such as {YEAR}") from error


def months_of(source: Source, year: int = YEAR) -> list[Month]:
    """Return the months of a year that a source has and a backfill runs; of a file of no month, its period."""
    if source.stands_alone:
        return [WHOLE]
    months = (Month(year, number) for number in range(1, 13))
    return [month for month in months if not source.why_unavailable(month) and source.is_due(month)]


def load_command(source: Source, year: int, *more: str, conf: str | None = None) -> list[str]:
    """Return the arguments of ``airflow`` that load what the demo loads.

    :param more: further arguments of a backfill
    :param conf: of the runs
    """
    with_conf = ["-c", conf] if conf else []
    if source.stands_alone:
        return ["dags", "test", f"taxi_{source.name}", *with_conf]
    days = ["-s", f"{year}-01-01", "-e", f"{year}-12-31"]
    return ["dags", "backfill", *days, *more, *with_conf, f"taxi_{source.name}"]


def make_call(
    target: str,
    rows: int,
    mirror: str | None = None,
    *,
    source: str = SOURCE,
    year: int = YEAR,
    replace: bool = False,
) -> str:
    """Return the call of ``make`` that asks for the same demo again; no password is in it."""
    words = ["make", target, *(["REPLACE=1"] if replace else [])]
    words += [f"SOURCE={source}"] if source != SOURCE else []
    words += [f"YEAR={year}"] if year != YEAR else []
    words += [f"ROWS={rows}"] if rows != DEFAULT_ROWS else []
    return shlex.join([*words, *([f"MIRROR={shown_address(mirror)}"] if mirror is not None else [])])


def _count(months: list[dict[str, Any]]) -> str:
    return counted(len(months), "month")


def _demo(
    home: Home, console: Console, source: Source, year: int, rows: int, mirror: str | None, *, replace: bool
) -> int:
    months = months_of(source, year)
    call = make_call("demo", rows, mirror, source=source.name, year=year, replace=replace)
    if not months:
        raise DemoError(
            f"SOURCE={source.name} YEAR={year}: it has no month of {year} whose file should be there: {source.months}. "
            f"Ask for another year"
        )
    if mirror is not None:
        mirror = _address(mirror)
    if "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in os.environ:
        raise DemoError(
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN names a metadata database of your own, which the demo keeps out of: "
            "unset it, or take it out of .env while the demo runs"
        )
    server = database.find(home) or database.start(home)
    if not is_migrated(server):
        raise DemoError("Airflow's metadata isn't there, and the demo needs it for its runs: make setup makes it")
    before = loaded_months(server, source, months)
    real = [row for row in before if not _is_sample(home, source, row)]
    if real and not replace:
        raise DemoError(_would_replace(source, year, real, rows, mirror))
    connections = ", ".join(sorted({release.connection for release in source.releases}))
    would = f"load from the connection {connections}"
    refuse_while_scheduled(server, f"taxi_{source.name}", would)
    if mirror is not None:
        _probe(mirror, source, months[0])
    if real:
        said = f"REPLACE=1: replacing {_count(real)} loaded from {shown_address(str(real[0]['url']))}"
        console.print(said, markup=False)
    elif before:
        of = "" if source.stands_alone else f" of {year}"
        console.print(f"Replacing the samples in {_count(before)}{of}")
    started = datetime.now(timezone.utc)
    with _mirror(home, console, source, months, rows, mirror) as address:
        # A year that is there already is loaded again: unchanged files change nothing, others replace their month.
        again = ["--reprocess-behavior", "completed"] if _has_runs(server, source) else []
        # REPLACE=1 has said that real months may go; samples may anyway.
        load = load_command(source, year, *again, conf=ACCEPTING_CONF if real else None)
        console.print(f"\n$ airflow {shlex.join(load)}\n", style="bold", markup=False)
        code = (dags_test if source.stands_alone else run)(
            [*airflow_command(), *load],
            {
                **airflow_environment(home),
                # Connections of the environment come before stored ones: the demo leaves those alone, and
                # loads into embedded Postgres whatever they say.
                **connections_to(source, address),
                "AIRFLOW_CONN_TAXI_POSTGRES": json.dumps(server.airflow_connection()),
                CALL_VARIABLE: call,
            },
        )
    loaded = [row for row in loaded_months(server, source, months) if row["finished_at"] >= started]
    if loaded:
        _show(console, source, year, len(months), loaded)
    if code == 0 and len(loaded) < len(months):
        found = f"{len(loaded)} of {counted(len(months), 'month')}"
        raise DemoError(f"the ledger has only {found}, although the command succeeded")
    if code == 0:
        console.print(f"\nThe rows are in public.{source.main_table}, the ledger in taxiway.loads.")
        if mirror is None:
            console.print(
                f"They are samples, made on this machine. The real {'file' if source.stands_alone else 'year'} in "
                f"their place:\n"
                f"  bin/airflow {' '.join(load_command(source, year, '--reprocess-behavior', 'completed'))}"
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


def connections_to(source: Source, address: str) -> dict[str, str]:
    """Return the environment's variables that lead the connections of a source's releases to one address."""
    connection = json.dumps({"conn_type": "http", "host": address})
    return {f"AIRFLOW_CONN_{release.connection.upper()}": connection for release in source.releases}


def dags_test(command: list[str], environment: Mapping[str, str], shown: str = OUR_LINES) -> int:
    """Run ``airflow dags test``, which tells everything: show what our own tasks said, or all of it if it fails.

    :param shown: a pattern of the lines to show
    """
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    failed = done.returncode != 0 or any("DagRun Finished" in line and "state=failed" in line for line in lines)
    for line in lines:
        if failed:
            print(line)
        elif re.search(shown, line):
            print(re.sub(_AROUND_A_MESSAGE, "", line).strip())
    sys.stdout.flush()
    return done.returncode or int(failed)


def refuse_while_scheduled(server: database.Server, dag_id: str, would: str) -> None:
    """A scheduler that runs the DAG takes its connections from Airflow, and doesn't know the demo's servers.

    :param would: what the scheduler would do
    :raises DemoError: the DAG is unpaused, and a scheduler runs
    """
    with server.connect("airflow") as metadata:
        row = metadata.execute(
            "SELECT 1 FROM dag JOIN job ON job.job_type = 'SchedulerJob' AND job.state = 'running' AND "
            "job.latest_heartbeat > now() - interval '1 minute' WHERE dag.dag_id = %s AND NOT dag.is_paused",
            [dag_id],
        ).fetchone()
    if row:
        raise DemoError(
            f"{dag_id} is unpaused and a scheduler runs it, which would {would}. Pause it "
            f"(bin/airflow dags pause {dag_id}), or stop Airflow (make down), and try again"
        )


def _has_runs(server: database.Server, source: Source) -> bool:
    with server.connect("airflow") as metadata:
        row = metadata.execute("SELECT 1 FROM dag_run WHERE dag_id = %s LIMIT 1", [f"taxi_{source.name}"]).fetchone()
    return row is not None


def _probe(mirror: str, source: Source, month: Month) -> None:
    """Ask the mirror for a file before twelve months do, each with its retries."""
    address = f"{mirror}/{source.file_path(month)}"
    asked, file = shown_address(mirror), shown_address(address)
    try:
        answer = requests.head(address, allow_redirects=True, timeout=20)
    except (requests.RequestException, ValueError, TypeError) as error:  # the last two for a malformed proxy
        raise DemoError(
            f"MIRROR={asked} doesn't answer for {file} ({type(error).__name__}): expected the files there. Look "
            f"whether the address is right and the mirror runs"
        ) from error
    if answer.status_code >= 400 and answer.status_code != 405:
        raise DemoError(f"MIRROR={asked} answers {answer.status_code} for {file}, expected the file of {month} there")


def _address(mirror: str) -> str:
    """Return the address that MIRROR means, with its scheme and without a slash at the end."""
    try:
        address = mirror_address(None, mirror)
        parts = urlsplit(address)
    except (SettingError, ValueError):
        address, parts = mirror, urlsplit("")
    if parts.scheme not in SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise DemoError(
            f"MIRROR={shown_address(mirror)}: expected http:// or https://, a host and possibly a path; {IN_PASSWORDS}"
        )
    return address


def _is_sample(home: Home, source: Source, row: dict[str, Any]) -> bool:
    return is_sample(home, source, row["month"], row["sha256"], row["rows_read"])


def _would_replace(source: Source, year: int, real: list[dict[str, Any]], rows: int, mirror: str | None) -> str:
    """Say which months hold real data, and the call that replaces them."""
    first = real[0]
    instead = "by samples" if mirror is None else f"by what {shown_address(mirror)} has"
    call = make_call("demo", rows, mirror, source=source.name, year=year, replace=True)
    return (
        f"real data is in {_count(real)} of {source.name} ({first['month']} from {first['url']}), and the demo would "
        f"replace it {instead}. To do that: {call}. To look "
        f"at it: make psql. To load the months that are missing: bin/airflow {' '.join(load_command(source, year))}"
    )


@contextmanager
def _mirror(
    home: Home, console: Console, source: Source, months: list[Month], rows: int, mirror: str | None
) -> Iterator[str]:
    if mirror is not None:
        console.print(f"Loading from {shown_address(mirror)}", markup=False)
        yield mirror
        return
    folder = home.samples / f"{rows}-rows"
    made = "a sample" if source.stands_alone else f"{counted(len(months), 'sample month')} of {counted(rows, 'row')}"
    console.print(f"Making {made} in {folder}", markup=False)
    note_samples(home, write_sample_months([source], months, folder, rows=rows))
    with serve(folder) as server:
        console.print(f"Serving them at {server.address}", markup=False)
        yield server.address


def loaded_months(server: database.Server, source: Source, months: list[Month]) -> list[dict[str, Any]]:
    """Return the ledger's last good load of every month of the year."""
    with server.connect("taxi") as connection, connection.cursor() as cursor:
        if cursor.execute("SELECT to_regclass('taxiway.loads')").fetchone() == (None,):
            return []
        cursor.execute(_LOADED, [source.name, months[0].first_day, months[-1].first_day])
        names = [column.name for column in cursor.description or ()]
        rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return [{**row, "month": Month.of(row["month"])} for row in rows]


def _show(console: Console, source: Source, year: int, months: int, loaded: list[dict[str, Any]]) -> None:
    part = "" if len(loaded) == months else f": {len(loaded)} of {counted(months, 'month')}"
    of = "" if source.stands_alone else f", {year}"
    table = Table(title=f"public.{source.main_table}{of}{part}")
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
    console.print(table, soft_wrap=False)


if __name__ == "__main__":
    end(main, "make demo")
