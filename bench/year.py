"""The command `make bench-year`: a year of yellow at real size into one table, and what bounds it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import disk, machine, month_files, warehouse
from bench import taxiway_load as taxiway
from bench.command_line import OneSentenceParser, whole_number
from bench.report import DOCUMENT, machine_words, markdown, require_marks, write_between
from bench.run_folder import Stopped, clear_leftovers, say_stopped, stand_alone
from bench.scale import FIRST_MONTH, months_from
from bench.watch import PeakWatch
from taxiway.paths import ROOT
from taxiway.sources.months import Month

REAL_ROWS, REAL_MONTHS = 7_000_000, 12
"""A year of yellow taxis at real size."""

MARKS = ("<!-- year: written by make bench-year -->", "<!-- end of year -->")
"""What stands around the year's table in ``docs/performance.md``."""

MIB, GIB = 1 << 20, disk.GIB


@dataclass(frozen=True)
class MonthCost:
    """What one month took.

    :param month: which one
    :param times: of the steps
    :param client_cpu: processor time of this process, in seconds
    :param server_cpu: processor time of the server, in seconds
    :param wal: write-ahead log, in bytes
    :param wal_folder: what the server keeps of it afterwards, in bytes
    :param file: the ``.csv.gz``, in bytes
    :param beyond: disk beyond the file and the published table at its peak, in bytes
    :param published: the published month, in bytes
    """

    month: Month
    times: taxiway.StepTimes
    client_cpu: float
    server_cpu: float
    wal: int
    wal_folder: int
    file: int
    beyond: int
    published: int


def load_year(server: warehouse.Warehouse, rows: int, months: Sequence[Month], console: Console) -> list[MonthCost]:
    """Load months one after another into one table; each file is made before its month and deleted after it.

    :param rows: of each month
    """
    source, costs = month_files.yellow(), []
    with server.fresh("year") as own, own.connect() as connection:
        taxiway.make_tables(connection, source)
        folders = own.data_folders()

        def used() -> int:
            return sum(warehouse.folder_bytes(folder) for folder in folders)

        for month in months:
            path = server.home.root / source.filename(month)
            month_files.write_month(source, month, path, rows)
            file = month_files.downloaded(path)
            server.query("CHECKPOINT")
            before, wal, server_cpu = used(), own.wal_bytes(), own.cpu_seconds()
            with PeakWatch(used, seconds=0.1) as watch:
                client_cpu = time.process_time()
                times = taxiway.load(connection, source, month, file, "year")
                client_cpu = time.process_time() - client_cpu
            published = used() - before
            costs.append(
                MonthCost(
                    month=month,
                    times=times,
                    client_cpu=client_cpu - watch.cpu_seconds,
                    server_cpu=own.cpu_seconds() - server_cpu,
                    wal=own.wal_bytes() - wal,
                    wal_folder=own.wal_folder_bytes(),
                    file=file.size,
                    beyond=watch.peak - before - published,
                    published=published,
                )
            )
            path.unlink()
            console.print(f"{month}: {times.total:.1f} s", highlight=False)
        expected = rows * len(months)
        if (found := taxiway.count_rows(connection, f"public.{source.main_table}")) != expected:
            raise RuntimeError(f"the year holds {found} rows, expected {expected}")
    return costs


HEADINGS = (
    *("month", "seconds", "stage", "hash", "check", "merge", "client CPU", "server CPU"),
    *("WAL MiB", "table MiB", "beyond"),
)
"""Headings of the year's table: times in seconds; the last is the disk beyond file and table, to the table."""


def table_rows(costs: Sequence[MonthCost]) -> list[tuple[str, ...]]:
    """Return the year month by month, as texts."""
    return [
        (
            str(cost.month),
            *(f"{seconds:.1f}" for seconds in (cost.times.total, cost.times.stage, cost.times.hash)),
            *(f"{seconds:.1f}" for seconds in (cost.times.check, cost.times.merge, cost.client_cpu, cost.server_cpu)),
            *(f"{size / MIB:,.0f}" for size in (cost.wal, cost.published)),
            f"{cost.beyond / cost.published:.2f}",
        )
        for cost in costs
    ]


def summary(costs: Sequence[MonthCost], rows: int) -> str:
    """Return the year in words."""
    seconds = sum(cost.times.total for cost in costs)
    published, peak = 0, 0
    for cost in costs:
        published += cost.published
        peak = max(peak, published + cost.beyond + cost.file + cost.wal_folder)
    return (
        f"{len(costs)} months of {rows:,} rows in {seconds:,.0f} s, {rows * len(costs) / seconds:,.0f} rows a second; "
        f"last month to first {costs[-1].times.total / costs[0].times.total:.2f}; "
        f"{published / GIB:.1f} GiB published, {peak / GIB:.1f} GiB of disk at the peak, with the file, the staging "
        f"tables and the write-ahead log that the server keeps"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Load the year, print what it took, and write it into the document.

    :param arguments: what follows the command's name; the process's own where none are given
    :return: the exit code: 0; 2 where there isn't enough disk; above 128 where it was told to stop
    """
    parser = OneSentenceParser(prog="make bench-year", description=__doc__)
    parser.add_argument("--rows", type=whole_number, default=REAL_ROWS, help="rows of a month (default: %(default)s)")
    parser.add_argument("--months", type=whole_number, default=REAL_MONTHS, help="months (default: %(default)s)")
    parser.add_argument("--document", type=Path, help="where the table goes (docs/performance.md, at real size only)")
    parser.add_argument("--folder", type=Path, default=ROOT / ".taxiway", help="a folder on the disk to load on")
    options = parser.parse_args(arguments)
    for name in ("rows", "months"):
        if (size := getattr(options, name)) < 1:
            parser.error(f"{name}: found {size}, expected 1 or more")
    real_size = options.rows >= REAL_ROWS and options.months >= REAL_MONTHS
    document = options.document or (DOCUMENT if real_size else None)
    try:
        if document is not None:
            require_marks(document, MARKS)
    except ValueError as error:
        parser.error(str(error))
    stand_alone()
    console = Console(highlight=False, width=120)

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    try:
        clear_leftovers(options.folder, say)
        needed = disk.needed(options.rows, options.months, files=2, written=options.months)
        if not disk.is_enough(options.folder, needed, console):
            return 2
        with warehouse.running(options.folder, say) as server:
            costs = load_year(server, options.rows, months_from(FIRST_MONTH, options.months), console)
            words = machine_words(machine.describe(server.version()))
    except Stopped as stopped:
        say_stopped(console, "no results were written")
        return stopped.exit_code
    table = Table(*HEADINGS, title=summary(costs, options.rows))
    for row in table_rows(costs):
        table.add_row(*row)
    console.print(table)
    if document is not None:
        write_between(
            document, MARKS, [f"{summary(costs, options.rows)}. {words}.", markdown(HEADINGS, table_rows(costs))]
        )
        console.print(f"Written: {document}", markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
