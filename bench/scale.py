"""How big a run of the benchmark is, how much disk it takes, and the months that it loads."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from itertools import accumulate, repeat
from math import ceil
from pathlib import Path
from typing import Literal

from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source, load_source
from taxiway_local.samples import write_sample_month

YELLOW = load_source(SOURCES_FOLDER / "yellow.yaml")
"""The source whose months are measured, but for those with text columns."""

FIRST_MONTH = Month(2019, 2)  # that is loaded: from here on every column has values, so all months weigh the same
COURSE_MONTHS = 3  # that the course's flow loads in a row; the last one is counted
TINY_ROWS = 100  # of a month whose load is nothing but orchestration
CORRECTED_EVERY = 100  # one row of so many differs in the corrected file
BIG_TIMES = 3.8  # the rows of a month has the big Parquet file: of a million rows, as many as a real month of yellow

SIZES = {
    "rows": (100, "rows of a month", ", because one row of a hundred is corrected"),
    "months": (2, "months in one table", ", because the last one is compared with the first"),
    "rounds": (1, "how often everything is measured", ""),
    "tiny_months": (1, f"months of {TINY_ROWS} rows that are backfilled", ""),
    "side_months": (2, "months that are loaded side by side, and one after another", ""),
    "transfer_mb": (1, "least size of the file that is downloaded, in MB", ""),
}
"""The sizes that can be asked for: the least that compares anything, what it is, why it can't be less."""

_SAVED = {"text": b'"%b"', "timestamp": b"%b.000000"}
_CORRECTED_VALUE = b"0.01"  # the last column's, congestion_surcharge: no sample row has this one
_BYTES_A_ROW = 20  # of a compressed sample row, a little less than it takes
_DISK_A_ROW = 310  # of a published or staged row with its part of the index, and twice in a compressed file
_LOG_BYTES = 6 << 30  # of write-ahead log that the server may keep: max_wal_size is 4 GB, and it may run over
_HOME_BYTES = 256 << 20  # of a server, and an Airflow with its logs, whatever they load


@dataclass(frozen=True)
class Files:
    """A set of months, in a folder of its own that is laid out as a mirror is.

    :param name: of the folder
    :param source: whose months they are
    """

    name: str
    source: Source
    first: Month = FIRST_MONTH

    def months(self, count: int) -> list[Month]:
        """Return so many months in a row, from the first on."""
        return list(accumulate(repeat(self.first, count), lambda month, _: month.next()))

    def path(self, month: Month = FIRST_MONTH) -> str:
        """Return the path of a month's file, with the set's folder."""
        return f"{self.name}/{self.source.file_path(month)}"


REAL, CORRECTED, TINY, TRANSFER = (Files(name, YELLOW) for name in ("real", "corrected", "tiny", "transfer"))
PARQUET = Files("parquet", replace(YELLOW, releases=(replace(YELLOW.releases[-1], first=FIRST_MONTH),)))
BIG = Files("big", YELLOW, YELLOW.releases[-1].first)
FHV = Files("fhv", load_source(SOURCES_FOLDER / "fhv.yaml"))
SAVED_AGAIN = Files("saved again", FHV.source)
"""``REAL`` has months of the run's rows, which all share that load big months. ``CORRECTED`` has the first of them with
some rows changed, and ``PARQUET`` the same rows in that format. ``TINY`` has months that are nothing but orchestration,
and ``TRANSFER`` one that is only downloaded. ``BIG`` has a Parquet file of :data:`BIG_TIMES` the rows in one row group,
of the source's first month in that format. ``FHV`` has a month with text columns, and ``SAVED_AGAIN`` the same one as a
tool may have saved it: texts in quotation marks, times with a fraction."""


def columns_of(source: Source) -> tuple[Column, ...]:
    """Return the columns that the measured months have: a source may have more in later months."""
    return source.layout_of(FIRST_MONTH).columns


@dataclass(frozen=True)
class Scale:
    """The size of a run, see :data:`SIZES`; the defaults are those of the whole ``budget``.

    :param name: ``budget`` runs every contender; ``year`` loads many months into one table, and watches the disk
    """

    name: Literal["budget", "year"] = "budget"
    rows: int = 1_000_000
    months: int = 24
    rounds: int = 5
    tiny_months: int = 12
    side_months: int = 4
    transfer_mb: int = 100

    def __post_init__(self) -> None:
        """Raise ValueError if a size is so small that nothing is compared."""
        for name, (least, _, reason) in SIZES.items():
            if (size := getattr(self, name)) < least:
                raise ValueError(f"{name.replace('_', '-')}: found {size}, expected {least} or more{reason}")

    @property
    def is_whole(self) -> bool:
        """Whether the project's own figures come from it: nothing is smaller than in :data:`SCALES`."""
        return all(getattr(self, size) >= getattr(SCALES[self.name], size) for size in SIZES)

    @property
    def files(self) -> int:
        """How many months :data:`REAL` has."""
        return max(self.months, self.side_months, COURSE_MONTHS)

    @property
    def corrected_rows(self) -> int:
        """How many rows differ in the corrected file."""
        return (self.rows + CORRECTED_EVERY // 2 - 1) // CORRECTED_EVERY

    @property
    def big_rows(self) -> int:
        """How many rows the big Parquet file has."""
        return int(self.rows * BIG_TIMES)

    @property
    def disk_bytes(self) -> int:
        """The disk at the run's peak, in bytes: published months, a staged one, the files, the write-ahead log."""
        rows = _DISK_A_ROW * (self.rows * (self.files + 1) + self.big_rows)
        return rows + min(_LOG_BYTES, self.rounds * 3 * rows) + _HOME_BYTES + 3_000_000 * self.transfer_mb


SCALES = {"budget": Scale(), "year": Scale("year", rows=7_000_000, months=12, rounds=1)}
"""The whole runs: the budget, and a year of yellow taxis at real size."""


def write_months(folder: Path, scale: Scale) -> None:
    """Make every month that a run needs, a folder a set; no row is a duplicate, as in the real files at hand."""
    wanted = [(REAL, scale.files, scale.rows)]
    if scale.name == "budget":
        wanted += [(TINY, scale.tiny_months, TINY_ROWS), (TRANSFER, 1, scale.transfer_mb * 1_000_000 // _BYTES_A_ROW)]
        wanted += [(files, 1, scale.rows) for files in (CORRECTED, PARQUET, FHV, SAVED_AGAIN, BIG)]
    for files, count, rows in wanted:
        for month in files.months(count):
            path = folder / files.path(month)
            write_sample_month(files.source, month, path, rows=rows, duplicates=False)
            if path.suffix == ".parquet":
                _write_one_group(path, scale.big_rows if files is BIG else rows)
            elif change := {CORRECTED.name: _correct, SAVED_AGAIN.name: _save_again}.get(files.name):
                header, *lines = gzip.decompress(path.read_bytes()).splitlines()
                path.write_bytes(gzip.compress(b"\n".join([header, *change(lines), b""]), 4))


def _write_one_group(path: Path, rows: int) -> None:
    """Write a Parquet file again, in one row group, and so often in a row that it has these rows; totals differ."""
    from pyarrow import compute, concat_tables, parquet

    table, name = parquet.read_table(path), "total_amount"
    at = table.schema.get_field_index(name)
    times = range(ceil(rows / table.num_rows))
    parts = [table.set_column(at, name, compute.add(table[name], 1000.0 * part)) if part else table for part in times]
    parquet.write_table(concat_tables(parts)[:rows], path, row_group_size=rows, compression="zstd")


def _correct(lines: list[bytes]) -> list[bytes]:
    for number in range(CORRECTED_EVERY // 2, len(lines), CORRECTED_EVERY):
        lines[number] = lines[number].rpartition(b",")[0] + b"," + _CORRECTED_VALUE
    return lines


def _save_again(lines: list[bytes]) -> list[bytes]:
    forms = [_SAVED.get(column.type, b"%b") for column in columns_of(FHV.source)]
    return [b",".join(forms) % (*line.split(b","),) for line in lines]
