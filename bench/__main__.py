"""The command `make bench`."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import course_flow, machine, mirror, month_files, report, warehouse
from bench.airflow_home import AirflowHome
from bench.command_line import OneSentenceParser, number, whole_number
from bench.contenders import Contenders
from bench.disk import is_enough
from bench.rounds import run_rounds
from bench.run_folder import Say, Stopped, clear_leftovers, say_stopped, stand_alone
from bench.scale import Scale
from taxiway.paths import ROOT

WARM_UP = Scale(rows=300, months=2, rounds=1, tiny_months=1, side_months=2, transfer_bytes=100_000)
"""What everything is run at once before it is measured: imports, caches and compiled templates are there then."""

PROGRAMS = ("curl", "gzip")
"""What the download is compared with."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the results.

    :param arguments: what follows the command's name; the process's own where none are given
    :return: the exit code: 0 whatever the figures, for they are a measurement, not a test; 2 where it can't begin;
        above 128 where it was told to stop
    """
    whole = Scale()
    parser = OneSentenceParser(prog="make bench", description=__doc__)
    parser.add_argument("--rows", type=whole_number, default=whole.rows, help="rows of a month (default: %(default)s)")
    parser.add_argument(
        "--months", type=whole_number, default=whole.months, help="months in one table (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=whole_number, default=whole.rounds, help="how often all is measured (%(default)s)"
    )
    parser.add_argument(
        "--tiny-months", type=whole_number, default=whole.tiny_months, help="months of 100 rows (%(default)s)"
    )
    parser.add_argument(
        "--side-months", type=whole_number, default=whole.side_months, help="months side by side (%(default)s)"
    )
    parser.add_argument(
        "--transfer-mb", type=number, default=whole.transfer_bytes / 1e6, help="size of the downloaded file, in MB"
    )
    parser.add_argument(
        "--results",
        type=Path,
        help="where the results go (.taxiway/benchmark.json, and bench/results.json if it is a whole run)",
    )
    parser.add_argument(
        "--document", type=Path, help="where the tables go, between marks (docs/performance.md, if it is a whole run)"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".taxiway", help="a folder on the disk to measure")
    options = parser.parse_args(arguments)
    try:
        scale = Scale(
            rows=options.rows,
            months=options.months,
            rounds=options.rounds,
            tiny_months=options.tiny_months,
            side_months=options.side_months,
            transfer_bytes=int(options.transfer_mb * 1e6),
        )
        document = options.document or (report.DOCUMENT if scale.is_whole else None)
        require_ready(document)
    except ValueError as error:
        parser.error(str(error))
    places = report.places(scale, options.results)
    kept: list[Path] = []

    def keep(found: Mapping[str, Any]) -> None:
        report.write_results(found, places[0])
        kept[:] = places[:1]

    stand_alone()
    console = Console(highlight=False, width=120)
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - began:6.0f} s  {line}", markup=False, soft_wrap=True)

    try:
        clear_leftovers(options.folder, say)
        if not is_enough(options.folder, scale.disk_bytes, console):
            return 2
        found = measure(scale, say, options.folder, keep)
        report.show(found, console)
        for place in places[1:]:
            report.write_results(found, place)
        if document is not None:
            report.write_document(found, document)
    except Stopped as stopped:
        say_stopped(console, f"the rounds before it are in {kept[0]}" if kept else "no results were written")
        return stopped.exit_code
    console.print(report.written_words(scale, places, document), markup=False, soft_wrap=True)
    return 0


def require_ready(document: Path | None) -> None:
    """Make sure that nothing is missed when all is measured.

    :param document: where the tables go
    :raises ValueError: a program is absent, or the tables can't be written into the document
    """
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise ValueError(f"{program} is not here, and the download is compared with it: install it")
    if document is not None:
        report.require_marks(document, report.MARKS)
        if not os.access(document, os.W_OK):
            raise ValueError(f"{document} can't be written to, expected that it can: the results go there")


def measure(scale: Scale, say: Say, folder: Path, keep: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Run all rounds on a server and an Airflow of their own.

    :param say: is told how it goes
    :param folder: a folder on the disk to measure
    :param keep: is given the results after each round
    :return: what goes into ``bench/results.json``
    """
    found: dict[str, Any] = {}
    with warehouse.running(folder, say) as server:
        root = server.home.root / "months"
        say(f"making {scale.files} months of {scale.rows:,} rows")
        files = month_files.write_months(root / "measured", scale)
        say("setting Airflow up")
        airflow = AirflowHome.create(server)
        with mirror.serving(root) as address:
            warm_up(server, airflow, root / "warm-up", f"{address}/warm-up", say)
            contenders = Contenders(scale, server, files, airflow, f"{address}/measured")
            for measured in run_rounds(contenders.all(), scale.rounds, say):
                found = report.results(
                    scale,
                    machine.describe(server.version()),
                    course_flow.locale(server),
                    measured,
                    contenders.contents.to_dict(),
                )
                keep(found)
    return found


def warm_up(server: warehouse.Warehouse, airflow: AirflowHome, folder: Path, address: str, say: Say) -> None:
    """Run every contender once on a few rows, and forget what it measured; of Airflow, only read its DAG files."""
    say(f"warming up on {WARM_UP.rows} rows")
    files = month_files.write_months(folder, WARM_UP)
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(airflow.warm_up)
        for contender in Contenders(WARM_UP, server, files, airflow, address).without_airflow().values():
            contender()
        reading.result()


if __name__ == "__main__":
    sys.exit(main())
