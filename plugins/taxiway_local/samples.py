"""Sample months: files like the mirror's, made up here, the same rows wherever they are made.

Green and yellow months have the shape and the quirks of the real files. A source of any other layout gets plausible
values by type, so that you can try a new YAML file without a network. No row is a real trip.

What is the same everywhere are the rows as CSV. The bytes of a compressed file depend on the zlib at hand, and those of
a Parquet file on the Arrow at hand, so a sample has two digests.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime, time, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from taxiway.errors import InvalidArgumentError, TaxiwayError
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Column, Source, load_sources
from taxiway_local.exits import end
from taxiway_local.sample_draws import Row, random_numbers, spread
from taxiway_local.sample_parquet import parquet_writer
from taxiway_local.sample_trips import taxi_rows, taxi_system
from taxiway_local.sample_values import filled_columns, generic_rows
from taxiway_local.sample_zones import ZONES, is_zones, zone_rows

GENERATOR = 2
"""Version of the content, wherever it is made: raise it with every change of the rows, so that files are made anew."""

_COMPRESS_LEVEL = 4
_ROWS_A_WRITE = 4096
_MOST_CORRECTIONS = 20


@dataclass(frozen=True)
class SampleMonth:
    """One sample month, as it lies on disk.

    :param path: the file, in its release's format
    :param rows: rows in the file, the header not counted
    :param inserted: rows that revision 0 lacks, counted as a multiset
    :param deleted: rows of revision 0 that this one lacks, counted as a multiset
    :param unchanged: rows that both have
    :param file_bytes: the file's length, in bytes
    :param sha256: digest of the file's bytes, in hex; differs from one zlib, or Arrow, to another
    :param content_sha256: digest of the rows as CSV, in hex; the same everywhere
    :param written: false if the file lay there already
    """

    path: Path
    rows: int
    inserted: int
    deleted: int
    unchanged: int
    file_bytes: int
    sha256: str
    content_sha256: str
    written: bool


def write_sample_months(
    sources: Iterable[Source],
    months: Iterable[Month],
    folder: Path,
    rows: int = 5000,
    seed: int = 0,
    *,
    revision: int = 0,
) -> list[SampleMonth]:
    """Write sample months as the mirror lays them out: ``<folder>/<source.file_path(month)>``.

    :param sources: the sources, and
    :param months: the months of each; a file of no month is written once
    :param folder: created where it is missing
    :param rows: rows of each file, at least 1
    :param seed: another seed gives other trips
    :param revision: see :func:`write_sample_month`
    :return: the samples, source by source
    :raises InvalidArgumentError: see :func:`write_sample_month`
    """
    asked = list(months)
    return [
        write_sample_month(source, month, folder / source.file_path(month), rows=rows, seed=seed, revision=revision)
        for source in sources
        for month in ([WHOLE] if source.stands_alone else asked)
    ]


def write_sample_month(
    source: Source,
    month: Month,
    path: Path,
    *,
    rows: int = 5000,
    seed: int = 0,
    revision: int = 0,
    duplicates: bool = True,
) -> SampleMonth:
    """Write one sample month, or leave the file that the same arguments made before.

    The file appears whole or not at all. A hidden ``.json`` file beside it remembers what
    it was made from; a file that was touched since is made anew.

    :param source: its columns of the month, in their order, are the file's
    :param month: the month that the trips lie in, but for a few strays
    :param path: where the file goes
    :param rows: rows of revision 0, at least 1; of taxi zones, at most 265
    :param seed: another seed gives other trips
    :param revision: 0, or the number of a correction, which changes, drops and adds some rows of revision 0
    :param duplicates: whether a few rows of the file are duplicates, if it has 1000 or more
    :return: the sample, with its counts and digests
    :raises InvalidArgumentError: if rows or revision is out of range
    """
    if rows < 1:
        raise InvalidArgumentError(f"{source.name} {month}: rows is {rows}: expected at least 1")
    if revision < 0 or (revision and rows < 6):
        raise InvalidArgumentError(
            f"{source.name} {month}: revision is {revision} with {rows} rows: expected 0, "
            "or a correction's number above 0 and at least 6 rows to correct"
        )
    columns = source.layout_of(month).columns
    if is_zones(source):
        rows = min(rows, ZONES)
    made_from = {
        "generator": GENERATOR,
        "columns": [f"{column.header} {column.type}" for column in columns],
        **{"source": source.name, "month": str(month), "rows": rows, "seed": seed, "revision": revision},
        # Said only if it is so: samples that were made before it could be asked for stay valid.
        **({} if duplicates else {"duplicates": False}),
        **({"filled": filled} if (filled := filled_columns(source)) else {}),
    }
    memory = path.with_name(f".{path.name}.json")
    if sample := _remembered(memory, path, made_from):
        return sample
    draw = random_numbers(source, month, seed, "trips")
    in_layout = replace(source, columns=columns)
    if is_zones(source):
        trips = zone_rows(in_layout, rows)
    else:
        make_rows = taxi_rows if taxi_system(source) else generic_rows
        trips = make_rows(in_layout, month, rows, draw, duplicates=duplicates)
    corrections: dict[int, str] = {}
    if revision:
        some = min(_MOST_CORRECTIONS, max(1, rows // 1000))
        kinds = {"drop": some, "change": 2 * some, "add": 3 * some}
        corrections = spread(kinds, 0, rows, random_numbers(source, month, seed, f"revision {revision}"))
        trips = _corrected(trips, corrections, *_correction(in_layout, month, revision))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        count, content_sha256 = _write(part, in_layout, month, trips)
        done = list(corrections.values())
        sample = SampleMonth(
            path=path,
            rows=count,
            inserted=len(done) - done.count("drop"),
            deleted=len(done) - done.count("add"),
            unchanged=rows - len(done) + done.count("add"),
            file_bytes=part.stat().st_size,
            sha256=_sha256(part),
            content_sha256=content_sha256,
            written=True,
        )
        part.replace(path)
        entry = {**asdict(sample), "path": path.name, "made_from": made_from, "mtime_ns": path.stat().st_mtime_ns}
        part.write_text(json.dumps(entry, indent=1), encoding="utf-8")
        part.replace(memory)
    finally:
        part.unlink(missing_ok=True)
    return sample


def _remembered(memory: Path, path: Path, made_from: Mapping[str, object]) -> SampleMonth | None:
    """Return the sample at a path, where it is still what these arguments made."""
    try:
        entry = json.loads(memory.read_text(encoding="utf-8"))
        found = path.stat()
        same = entry.pop("made_from") == made_from
        if not same or (entry.pop("mtime_ns"), entry["file_bytes"]) != (found.st_mtime_ns, found.st_size):
            return None
        return SampleMonth(**{**entry, "path": path, "written": False})
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None  # nothing here, or a memory that another version left: the file is made anew


def _write(path: Path, source: Source, month: Month, rows: Iterator[Row]) -> tuple[int, str]:
    """Write a header and rows; return their count and the digest of the CSV."""
    zones = is_zones(source)
    end = "\r\n" if zones or taxi_system(source) == "lpep" else "\n"
    headers = [f'"{column.header}"' if zones else column.header for column in source.columns]
    digest, count = hashlib.sha256(), 0
    with path.open("xb") as raw, WRITERS[source.release_of(month).format](raw, source.columns) as file:
        lines = chain((",".join(headers),), map(",".join, rows))
        while block := list(islice(lines, _ROWS_A_WRITE)):
            content = (end.join(block) + end).encode()
            digest.update(content)
            file.write(content)
            count += len(block)
    return count - 1, digest.hexdigest()


WRITERS: Mapping[str, Callable[[BinaryIO, Sequence[Column]], AbstractContextManager[Any]]] = {
    # No name and no time in gzip's header: they would differ from file to file.
    "csv.gz": lambda raw, _: gzip.GzipFile("", "wb", _COMPRESS_LEVEL, raw, mtime=0),
    "csv": lambda raw, _: nullcontext(raw),
    "parquet": parquet_writer,
}
"""What writes CSV as a file of a format, by its name: from a file and its columns."""


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# --- Corrections ---------------------------------------------------------------------------------


def _correction(source: Source, month: Month, revision: int) -> tuple[int, str]:
    """Return which column a correction sets, and to what: a value that no row of revision 0 has."""
    values = {
        "numeric": f"{1000 + revision}.00",
        "text": f"corrected {revision}",
        "integer": str(1000 + revision),
        "timestamp": str(datetime.combine(month.next().first_day, time.min) + timedelta(10, revision)),
    }
    types = [column.type for column in source.columns]
    kind = next(kind for kind in values if kind in types)
    return types.index(kind), values[kind]


def _corrected(rows: Iterator[Row], corrections: Mapping[int, str], at: int, value: str) -> Iterator[Row]:
    for position, row in enumerate(rows):
        kind = corrections.get(position)
        if kind not in ("drop", "change"):
            yield row
        if kind in ("change", "add"):
            yield [*row[:at], value, *row[at + 1 :]]


# --- The command ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Write sample months from the command line.

    :param arguments: what follows the command's name; the process's own if none are given
    :return: the exit code: 0, or 2 where an argument can't be used
    """
    parser = argparse.ArgumentParser(
        prog="python -m taxiway_local.samples",
        description="Writes sample months, laid out as the mirror lays them out.",
    )
    parser.add_argument("--folder", type=Path, required=True, help="where they go")
    parser.add_argument("--rows", type=int, default=5000, help="rows of each month (default: %(default)s)")
    parser.add_argument("--first", required=True, help="first month, YYYY-MM")
    parser.add_argument("--last", help="last month, YYYY-MM (default: the first)")
    parser.add_argument("--source", action="append", help="a source's name; may be repeated (default: every source)")
    parser.add_argument("--seed", type=int, default=0, help="another number gives other trips (default: %(default)s)")
    parser.add_argument("--revision", type=int, default=0, help="above 0: corrected months (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        sources = {source.name: source for source in load_sources(SOURCES_FOLDER)}
        names = options.source or list(sources)
        if unknown := [name for name in names if name not in sources]:
            raise InvalidArgumentError(
                f"--source {unknown[0]}: no such source: expected one of {', '.join(sources)} (include/sources/*.yaml)"
            )
        month, last = Month.parse(options.first), Month.parse(options.last or options.first)
        if last < month:
            raise InvalidArgumentError(
                f"--last {last} is before --first {month}: expected the same month or a later one"
            )
        while month <= last:
            for sample in write_sample_months(
                [sources[name] for name in names],
                [month],
                options.folder,
                options.rows,
                options.seed,
                revision=options.revision,
            ):
                state = "written" if sample.written else "already there"
                print(f"{sample.path}: {sample.rows:,} rows, {sample.file_bytes:,} bytes, {state}")
            month = month.next()
    except TaxiwayError as error:
        print(f"samples: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    end(main, "samples")
