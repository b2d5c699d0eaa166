"""The command `make bench`: measures what a month costs, and prints it against its budget."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from bench import report
from bench.budget import BUDGET
from bench.contenders import Contenders
from bench.rounds import run_rounds
from bench.scale import SCALES, SIZES, Scale, write_months
from bench.servers import Airflow, Postgres, mirror
from taxiway.messages import printable
from taxiway.paths import ROOT
from taxiway_local.exits import EXIT_USAGE, end
from taxiway_local.own_home import Say, clear_leftovers, forget_settings, own_home, stop_in_order

WARM_UP = Scale(rows=300, months=2, rounds=1, tiny_months=1, side_months=2, transfer_mb=1)
"""What everything is run at once before it is measured: imports, caches and compiled templates are there then."""

GIB = 1 << 30


def whole_number(text: str) -> int:
    """Read a size as it was typed."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {printable(text, 40)!r}, expected a whole number") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the results.

    :param arguments: what follows the command's name; by default the process's own
    :return: the exit code: 0 whatever the figures, because they are a measurement, not a test; 2 if it can't begin
    :raises SystemExit: it was told to stop; above 128
    """
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, exit_on_error=False)
    parser.add_argument("--scale", choices=SCALES, default="budget", help="which whole run (default: %(default)s)")
    for name, (_, what, _) in SIZES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=whole_number, help=f"{what} (default: the scale's)")
    parser.add_argument("--document", type=Path, help="where the tables go, between marks")
    where = "a folder on the disk to measure; the results go there, too (default: %(default)s)"
    parser.add_argument("--folder", type=Path, default=ROOT / ".taxiway", help=where)
    try:
        options = parser.parse_args(arguments)
        asked = {name: size for name in SIZES if (size := getattr(options, name)) is not None}
        scale = replace(SCALES[options.scale], **asked)
        document = options.document or (report.DOCUMENT if scale.is_whole else None)
        if shutil.which("curl") is None:
            raise ValueError("curl is not here, and the download is compared with it: install it")
        if document is not None:
            report.write_between(document, report.MARKS[scale.name])
    except (argparse.ArgumentError, ValueError) as error:
        # In one sentence, without the usage: the caller has typed variables of make.
        print(f"{parser.prog}: {str(error).removeprefix('argument --')}", file=sys.stderr)
        return EXIT_USAGE
    places = report.places(scale, options.folder)
    console, began, found = Console(highlight=False, width=120), time.monotonic(), None

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - began:6.0f} s  {line}", markup=False, soft_wrap=True)

    forget_settings(os.environ)
    stop_in_order(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        clear_leftovers(options.folder, say)
        options.folder.mkdir(parents=True, exist_ok=True)
        needed, free = scale.disk_bytes / GIB, shutil.disk_usage(options.folder).free / GIB
        say(f"needs about {needed:.1f} GiB of disk in {options.folder}; {free:.1f} GiB are free")
        if needed > free:
            say("that is not enough: take fewer rows or months, or another disk (python -m bench --folder …)")
            return EXIT_USAGE
        with closing(measure(scale, say, options.folder)) as rounds:
            for found in rounds:
                report.write_results(found, places[0])
    except SystemExit:
        results = f"the rounds before it are in {places[0]}" if found else "no results were written"
        with suppress(OSError):  # the terminal may be gone
            console.print(f"Stopped and cleared up: {results}", markup=False, soft_wrap=True)
        raise
    assert found is not None  # noqa: S101 - there is a round at least
    text = report.markdown(found)
    console.print(Markdown(text))
    for place in places[1:]:
        report.write_results(found, place)
    if document is not None:
        report.write_between(document, report.MARKS[scale.name], text)
    written = map(str, filter(None, [*places, document]))
    console.print(f"Written: {', '.join(written)}", markup=False, soft_wrap=True)
    return 0


def measure(scale: Scale, say: Say, folder: Path) -> Generator[dict[str, Any]]:
    """Run all rounds on a server and an Airflow of their own.

    :param say: is told how it goes
    :param folder: a folder on the disk to measure
    :return: after each round, what goes into ``bench/results.json``
    """
    with own_home(folder, "bench", say) as home:
        postgres, months = Postgres.start(home), home.root / "months"
        airflow, warm_up = Airflow(postgres), replace(WARM_UP, name=scale.name)
        for name, size in {"measured": scale, "warm-up": warm_up}.items():
            say(f"making {size.files} months of {size.rows:,} rows")
            write_months(months / name, size)
        if scale.name == "budget":
            say("setting Airflow up")
            airflow.create()
        with mirror(home, months) as address:
            say("warming up")
            first = Contenders(warm_up, postgres, airflow, months / "warm-up", f"{address}/warm-up")
            for contender in first.all(airflow=False).values():
                contender()
            contenders = Contenders(scale, postgres, airflow, months / "measured", f"{address}/measured")
            for measured in run_rounds(contenders.all(), scale.rounds, say, BUDGET if scale.is_whole else ()):
                yield report.results(contenders, measured)


if __name__ == "__main__":
    end(main, "make bench")
