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

FIRST_MONTH = Month(2019, 2)
"""The first month that is loaded: from here on every column has values, so all months weigh the same."""

COURSE_MONTHS = 3
"""Months that the course's flow loads in a row; the last one is counted."""

TINY_ROWS = 100
"""Rows of a month whose load is nothing but orchestration."""

CORRECTED_EVERY = 100
"""One row of so many differs in the corrected file."""

REAL, CORRECTED, TINY, TRANSFER, SAVED_AGAIN, BIG = "real", "corrected", "tiny", "transfer", "saved again", "big"
"""Sets of months, each in a folder that is laid out as a mirror is. ``REAL`` has months of the run's rows, which all
share that load big months. ``CORRECTED`` has the first of them with some rows changed, ``TINY`` months that are
nothing but orchestration, and ``TRANSFER`` one that is only downloaded. ``SAVED_AGAIN`` has the first month as a tool
may have saved it: texts in quotation marks, times with a fraction. ``BIG`` has a Parquet file of :data:`BIG_TIMES` the
rows in one row group, of the source's first month in that format."""

BIG_TIMES = 3.8
"""How many times the rows of a month the big Parquet file has: of a million rows, as many as a real month of yellow."""

FHV = load_source(SOURCES_FOLDER / "fhv.yaml")
"""The source of months with text columns."""

_SAVED = {"text": b'"%b"', "timestamp": b"%b.000000"}
_CORRECTED_VALUE = b"0.01"  # the last column's, congestion_surcharge: no sample row has this one
_BYTES_A_ROW = 20  # of a compressed sample row, a little less than it takes

SIZES = {
    "rows": (100, "rows of a month", ", because one row of a hundred is corrected"),
    "months": (2, "months in one table", ", because the last one is compared with the first"),
    "rounds": (1, "how often everything is measured", ""),
    "tiny_months": (1, f"months of {TINY_ROWS} rows that are backfilled", ""),
    "side_months": (2, "months that are loaded side by side, and one after another", ""),
    "transfer_mb": (1, "least size of the file that is downloaded, in MB", ""),
}
"""The sizes that can be asked for: the least that compares anything, what it is, why it can't be less."""

_ROW_BYTES = 260  # of a published row with its part of the index, and a little more; a staged one takes no more
_FILE_ROW_BYTES = 25  # of a row in the compressed file, and the same in the cache
_LOG_BYTES = 6 << 30  # of write-ahead log that the server may keep: max_wal_size is 4 GB, and it may run over
_HOME_BYTES = 256 << 20  # of a server, and an Airflow with its logs, whatever they load


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
        """How many months of ``rows`` rows are made; all that load big months share them."""
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
        rows = self.rows * (self.files + 1) + self.big_rows
        log = min(_LOG_BYTES, self.rounds * 3 * rows * _ROW_BYTES)
        return rows * (_ROW_BYTES + 2 * _FILE_ROW_BYTES) + log + _HOME_BYTES + 3_000_000 * self.transfer_mb


SCALES = {"budget": Scale(), "year": Scale("year", rows=7_000_000, months=12, rounds=1)}
"""The whole runs: the budget, and a year of yellow taxis at real size."""


def months_from(first: Month, count: int) -> list[Month]:
    """Return so many months in a row, from the first on."""
    return list(accumulate(repeat(first, count), lambda month, _: month.next()))


def as_parquet(source: Source) -> Source:
    """Return a source whose files are Parquet."""
    release = replace(source.releases[0], last=None, path=f"{source.name}/{{month}}.parquet", format="parquet")
    return replace(source, releases=(release,))


def first_parquet_month(source: Source) -> Month:
    """Return the first month of a source that comes as Parquet."""
    return next(release.first for release in source.releases if release.format == "parquet")


def write_months(folder: Path, source: Source, scale: Scale) -> None:
    """Make every month that a run needs, a folder a set; no row is a duplicate, as in the real files at hand."""
    wanted = [(REAL, source, month, scale.rows) for month in months_from(FIRST_MONTH, scale.files)]
    if scale.name == "budget":
        wanted += [(TINY, source, month, TINY_ROWS) for month in months_from(FIRST_MONTH, scale.tiny_months)]
        kinds = [(CORRECTED, source), (REAL, as_parquet(source)), (REAL, FHV), (SAVED_AGAIN, FHV)]
        wanted += [(name, kind, FIRST_MONTH, scale.rows) for name, kind in kinds]
        wanted += [(TRANSFER, source, FIRST_MONTH, scale.transfer_mb * 1_000_000 // _BYTES_A_ROW)]
        wanted += [(BIG, source, first_parquet_month(source), scale.rows)]
    for name, kind, month, rows in wanted:
        path = folder / name / kind.file_path(month)
        write_sample_month(kind, month, path, rows=rows, duplicates=False)
        if path.suffix == ".parquet":
            _write_one_group(path, scale.big_rows if name == BIG else rows)
        elif change := {CORRECTED: _correct, SAVED_AGAIN: _save_again}.get(name):
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
    forms = [_SAVED.get(column.type, b"%b") for column in columns_of(FHV)]
    return [b",".join(forms) % (*line.split(b","),) for line in lines]
