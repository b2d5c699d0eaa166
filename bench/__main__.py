"""The command `make bench`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import machine, month_files, report, warehouse
from bench.airflow_home import AirflowHome
from bench.contenders import Contenders
from bench.rounds import run_rounds
from bench.scale import Scale
from taxiway.core.paths import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the results.

    :param arguments: what follows the command's name; the process's own where none are given
    :return: the exit code: 0 whatever the figures, for they are a measurement, not a test
    """
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of a month (default: %(default)s)")
    parser.add_argument("--months", type=int, default=24, help="months in one table (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often all is measured (default: %(default)s)")
    parser.add_argument("--tiny-months", type=int, default=12, help="months of 100 rows (default: %(default)s)")
    parser.add_argument("--side-months", type=int, default=4, help="months side by side (default: %(default)s)")
    parser.add_argument("--transfer-mb", type=float, default=100, help="size of the downloaded file, in MB")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results.json", help="where the results go")
    parser.add_argument(
        "--document", type=Path, help="where the tables go, between marks (docs/performance.md, for a whole run only)"
    )
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure (default: .taxiway)")
    options = parser.parse_args(arguments)
    counts = (options.rows, options.months, options.rounds, options.tiny_months, options.side_months)
    if min(*counts, options.transfer_mb) <= 0:
        parser.error("rows, months, rounds and sizes must be above 0")
    if options.rows < 100:
        parser.error("rows: expected 100 or more, for one row of a hundred is corrected")
    scale = Scale(
        rows=options.rows,
        months=options.months,
        rounds=options.rounds,
        tiny_months=options.tiny_months,
        side_months=options.side_months,
        transfer_bytes=int(options.transfer_mb * 1e6),
    )
    stand_alone()
    console = Console(highlight=False, width=120)
    found = measure(scale, console, options.folder)
    report.write_results(found, options.results)
    document = options.document or (report.DOCUMENT if scale.is_whole else None)
    if document is not None:
        report.write_document(found, document)
    report.show(found, console)
    written = ", ".join(str(path) for path in (options.results, document) if path is not None)
    console.print(f"Written: {written}", markup=False, soft_wrap=True)
    return 0


def measure(scale: Scale, console: Console, folder: Path | None) -> dict[str, object]:
    """Run all rounds on a server and an Airflow of their own.

    :param folder: a folder on the disk to measure
    :return: what goes into ``bench/results.json``
    """
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - began:6.0f} s  {line}", markup=False, soft_wrap=True)

    with warehouse.running(folder) as server:
        say(f"making months of {scale.rows:,} rows")
        files = month_files.write_months(server.home.root / "months", scale)
        say("setting Airflow up")
        airflow = AirflowHome.create(server)
        with month_files.mirror(files.folder) as mirror:
            contenders = Contenders(scale, server, files, airflow, mirror)
            measured = run_rounds(contenders.all(), scale.rounds, say)
        return report.results(scale, machine.describe(server.version()), measured, contenders.contents.to_dict())


def stand_alone() -> None:
    """Keep this machine's Airflow out of it, and stop the servers when the benchmark is told to end."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW"))]:
        del os.environ[name]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


if __name__ == "__main__":
    sys.exit(main())
