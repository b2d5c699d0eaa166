"""Sample months: files like the mirror's, made up here, the same rows wherever they are made.

Green and yellow months have the shape and the quirks of the real files; a source of
any other layout gets plausible values by type, so that a new YAML file can be tried
without a network. No row is a real trip.

What is the same everywhere is the uncompressed content. The compressed bytes depend on
the zlib at hand, so a sample has two digests.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import secrets
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from itertools import accumulate, chain, islice, pairwise
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import TypeVar

from taxiway.core.errors import InvalidArgumentError, TaxiwayError
from taxiway.core.months import Month
from taxiway.core.paths import SOURCES_FOLDER
from taxiway.core.sources import Column, Source, load_sources

GENERATOR = 1
"""Version of the content: raise it with every change of the rows, so that older files are made anew."""

Row = Sequence[str]
T = TypeVar("T")

_COMPRESS_LEVEL = 4
_ROWS_A_WRITE = 4096
_MOST_CORRECTIONS = 20


@dataclass(frozen=True)
class SampleMonth:
    """One sample month, as it lies on disk.

    :param path: the ``.csv.gz`` file
    :param rows: rows in the file, the header not counted
    :param inserted: rows that revision 0 lacks, counted as a multiset
    :param deleted: rows of revision 0 that this one lacks, counted as a multiset
    :param unchanged: rows that both have
    :param file_bytes: the file's length, in bytes
    :param sha256: digest of the file's bytes, in hex; differs from one zlib to another
    :param content_sha256: digest of the uncompressed bytes, in hex; the same everywhere
    :param written: false where the file lay there already
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
    :param months: the months of each
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
        for month in asked
    ]


def write_sample_month(
    source: Source, month: Month, path: Path, *, rows: int = 5000, seed: int = 0, revision: int = 0
) -> SampleMonth:
    """Write one sample month, or leave the file that the same arguments made before.

    The file appears whole or not at all. A hidden ``.json`` file beside it remembers what
    it was made from; a file that was touched since is made anew.

    :param source: its columns, in their order, are the file's
    :param month: the month that the trips lie in, but for a few strays
    :param path: where the file goes
    :param rows: rows of revision 0, at least 1
    :param seed: another seed gives other trips
    :param revision: 0, or the number of a correction, which changes, drops and adds some rows of revision 0
    :return: the sample, with its counts and digests
    :raises InvalidArgumentError: where rows or revision is out of range
    """
    if rows < 1:
        raise InvalidArgumentError(f"{source.name} {month}: rows is {rows}: expected at least 1")
    if revision < 0 or (revision and rows < 6):
        raise InvalidArgumentError(
            f"{source.name} {month}: revision is {revision} with {rows} rows: expected 0, "
            "or a correction's number above 0 and at least 6 rows to correct"
        )
    made_from = {
        "generator": GENERATOR,
        "columns": [f"{column.header} {column.type}" for column in source.columns],
        **{"source": source.name, "month": str(month), "rows": rows, "seed": seed, "revision": revision},
    }
    memory = path.with_name(f".{path.name}.json")
    if sample := _remembered(memory, path, made_from):
        return sample
    draw = _random(source, month, seed, "trips")
    trips = _taxi_rows(source, month, rows, draw) if _taxi_system(source) else _plain_rows(source, month, rows, draw)
    corrections: dict[int, str] = {}
    if revision:
        some = min(_MOST_CORRECTIONS, max(1, rows // 1000))
        kinds = {"drop": some, "change": 2 * some, "add": 3 * some}
        corrections = _spread(kinds, 0, rows, _random(source, month, seed, f"revision {revision}"))
        trips = _corrected(trips, corrections, *_correction(source, month, revision))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        count, content_sha256 = _write(part, source, trips)
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


def _write(path: Path, source: Source, rows: Iterator[Row]) -> tuple[int, str]:
    """Write a header and rows; return their count and the digest of what was compressed."""
    end = "\r\n" if _taxi_system(source) == "lpep" else "\n"
    digest, count = hashlib.sha256(), 0
    # No name and no time in gzip's header: they would differ from file to file.
    with path.open("xb") as raw, gzip.GzipFile("", "wb", _COMPRESS_LEVEL, raw, mtime=0) as file:
        lines = chain((",".join(column.header for column in source.columns),), map(",".join, rows))
        while block := list(islice(lines, _ROWS_A_WRITE)):
            content = (end.join(block) + end).encode()
            digest.update(content)
            file.write(content)
            count += len(block)
    return count - 1, digest.hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _random(source: Source, month: Month, seed: int, purpose: str) -> Random:
    """Return the random numbers of one purpose.

    Only ``getrandbits`` may be asked of them: how the other methods use the generator
    has changed between Python's versions.
    """
    return Random(int.from_bytes(hashlib.sha256(f"{source.name} {month} {seed} {purpose}".encode()).digest(), "big"))  # noqa: S311


def _below(draw: Random, limit: int) -> int:
    return (draw.getrandbits(32) * limit) >> 32


def _spread(kinds: Mapping[str, int], first: int, count: int, draw: Random) -> dict[int, str]:
    """Give so many rows of each kind a position of their own, evenly spread and never side by side.

    :param kinds: how many of each kind
    :param first: no position is below this one
    :param count: nor at or above this one
    :return: position → kind
    """
    order = sorted((draw.getrandbits(64), kind) for kind, many in kinds.items() for _ in range(many))
    stride = (count - first) // max(1, len(order))
    return {first + place * stride + _below(draw, max(1, stride - 1)): kind for place, (_, kind) in enumerate(order)}


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


# --- Time ----------------------------------------------------------------------------------------

# Pickups by hour of the day, as shares of a day: nights are quiet, the evening is the busiest.
_HOURS = (30, 22, 15, 10, 8, 10, 24, 42, 50, 48, 46, 48, 51, 51, 54, 56, 52, 60, 66, 62, 54, 52, 48, 40)


def _hours(month: Month, rows: int) -> Iterator[tuple[int, int]]:
    """Yield each hour of the month, counted from 0, and how many of the rows are picked up in it."""
    first = month.first_day
    days = (month.next().first_day - first).days
    shares = [
        share * (9 if (first.weekday() + day) % 7 >= 5 else 10)  # weekends are a little quieter
        for day in range(days)
        for share in _HOURS
    ]
    whole, before = sum(shares), 0
    for hour, share in enumerate(accumulate(shares)):
        until = rows * share // whole
        yield hour, until - before
        before = until


# --- Taxi trips ----------------------------------------------------------------------------------

# So many thousandths of the trips are at most this long, in hundredths of a mile and in seconds:
# read off real months of 2020 and 2021.
_LENGTHS = (
    *((0, 0, 20), (20, 0, 90), (50, 45, 130), (250, 100, 300), (500, 185, 510), (750, 355, 840)),
    *((950, 1200, 1700), (990, 2000, 2400), (1000, 3500, 4500)),
)
_RIDES = 2048
_PARTIES = 4096
_ZONES = 1024
_TIPS = (0, *(15, 18, 25, 30), *(20,) * 8, *(100, 200, 300))  # percent; from 100 on, cents
_TOLLS = (*(0,) * 10, *(612,) * 4, 1224, 280)  # cents, of a trip long enough to cross a bridge
_FLAGS, _RATES = {"N": 985, "Y": 15}, {"1": 965, "2": 18, "3": 2, "4": 2, "5": 12, "99": 1}
_AMOUNTS = (
    *("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount"),
    *("improvement_surcharge", "total_amount", "congestion_surcharge"),
)
_UNMETERED = dict.fromkeys(
    (
        *("vendorid", "store_and_fwd_flag", "ratecodeid", "passenger_count", "payment_type", "trip_type"),
        "congestion_surcharge",
    ),
    "",
)


@dataclass(frozen=True)
class _System:
    """What differs between the two taxi systems: shares of values, and where more trips begin and end."""

    vendors: Mapping[str, int]
    payments: Mapping[str, int]
    passengers: Mapping[str, int]
    congestion: Mapping[int, int]  # of 256
    busy_zones: tuple[int, ...]
    unmetered_percent: int


_SYSTEMS = {
    "lpep": _System(
        vendors={"1": 15, "2": 85},
        payments={"1": 500, "2": 489, "3": 8, "4": 3},
        passengers={"0": 4, "1": 880, "2": 70, "3": 15, "4": 5, "5": 16, "6": 10},
        congestion={0: 210, 275: 44, 250: 2},
        busy_zones=(7, 41, 42, 43, 65, 66, 74, 75, 82, 95, 97, 116, 129, 130, 166, 181, 223, 244),
        unmetered_percent=33,
    ),
    "tpep": _System(
        vendors={"1": 33, "2": 67},
        payments={"1": 690, "2": 295, "3": 9, "4": 6},
        passengers={"0": 20, "1": 705, "2": 155, "3": 45, "4": 20, "5": 30, "6": 25},
        congestion={250: 234, 0: 22},
        busy_zones=(48, 68, 79, 132, 138, 141, 142, 161, 162, 163, 170, 186, 230, 234, 236, 237, 238, 239, 263),
        unmetered_percent=0,
    ),
}


def _taxi_system(source: Source) -> str:
    """Return ``lpep`` for a file laid out like green's, ``tpep`` for yellow's, else nothing."""
    names = (column.name.removesuffix("_pickup_datetime") for column in source.columns)
    return next((name for name in names if name in _SYSTEMS), "")


def _taxi_rows(source: Source, month: Month, rows: int, draw: Random) -> Iterator[Row]:
    """Yield a month of trips in the source's column order; columns that trips lack are made up by their type."""
    prefix = _taxi_system(source)
    names = [column.name.removeprefix(f"{prefix}_") for column in source.columns]
    unmetered = rows * _SYSTEMS[prefix].unmetered_percent // 100
    trips = chain(
        _quirky(_trips(month, rows - unmetered, _SYSTEMS[prefix], draw), rows, rows - unmetered, month, draw),
        _trips(month, unmetered, _SYSTEMS[prefix], draw, metered=False),
    )
    example = next(_trips(month, 1, _SYSTEMS[prefix], _random(source, month, 0, "example")))
    columns = zip(names, source.columns, strict=True)
    makers = {name: _maker(column, month, draw) for name, column in columns if name not in example}
    pick: Callable[[dict[str, str]], Row] = itemgetter(*names) if len(names) > 1 else lambda trip: [trip[names[0]]]
    for trip in trips:
        for name, make in makers.items():
            if name not in trip:  # a row that repeats a trip has it already
                trip[name] = make(_below(draw, 28 * 86_400))
        yield pick(trip)


def _trips(month: Month, rows: int, system: _System, draw: Random, *, metered: bool = True) -> Iterator[dict[str, str]]:
    """Yield trips by the hour of their pickup: column without its prefix → text.

    :param metered: false for the kind that stands at the end of green months: times at full
        minutes, fares at odd cents, and neither vendor nor rate nor payment
    """
    money, distances, clock, hours = _money_texts(), _distance_texts(), _clock_texts(), _hour_texts(month)
    rides, zones = _rides(), _zones(system, draw)
    choices = [_shares(shares) for shares in (system.vendors, _FLAGS, _RATES, system.passengers, system.payments)]
    parties = [[values[_below(draw, len(values))] for values in choices] for _ in range(_PARTIES)]
    # The State's congestion surcharge is levied, and has a value at all, from 2019-02 on.
    levied = _shares(system.congestion) if month >= Month(2019, 2) else []
    for hour, count in _hours(month, rows):
        weekend = (month.first_day.weekday() + hour // 24) % 7 >= 5
        evening, night = 16 <= hour % 24 < 20 and not weekend, hour % 24 >= 20 or hour % 24 < 6
        surcharge = 100 if evening else 50 if night else 0
        # Seven random numbers of 16 bits a row; the choices below take theirs from different bits of them.
        numbers = draw.getrandbits(112 * count).to_bytes(14 * count, "little")
        for a, b, c, d, e, f, g in struct.iter_unpack("<7H", numbers):
            vendor, flag, rate, passengers, payment = parties[b & 4095]
            miles, seconds = rides[a & 2047]
            begin, seconds = c * 3600 >> 16, seconds * (160 + (d & 255)) >> 8
            fare, extra, tax, kind = 250 + 50 * (miles // 20 + seconds // 150), surcharge, 50, "1"
            tip, tolls, congestion = 0, _TOLLS[g >> 12] if miles > 500 else 0, levied[d >> 8] if levied else 0
            if not metered:
                begin, seconds = begin // 60 * 60, max(60, seconds // 60 * 60)
                fare, extra, tax, congestion = 500 + miles * 11 // 4 + (b >> 8), 0, 0, 0
                tip = 275 if g & 15 < 10 else 0
            elif rate == "2":
                fare, extra = 5200, 0
            elif rate == "5":
                extra, tax, kind = 0, 0, "2"
            total = fare + extra + tax + tolls + congestion + 30
            if metered and payment == "1":
                tip = _TIPS[g & 15]
                tip = tip if tip >= 100 else total * tip // 100
            end = begin + seconds
            trip = {
                "vendorid": vendor,
                "pickup_datetime": hours[hour] + clock[begin],
                "dropoff_datetime": hours[hour + end // 3600] + clock[end % 3600],
                "store_and_fwd_flag": flag,
                "ratecodeid": rate,
                "pulocationid": "132" if rate == "2" else zones[e & 1023],  # rate 2 is JFK's
                "dolocationid": zones[f & 1023],
                "passenger_count": passengers,
                "trip_distance": distances[miles + (a >> 13) if miles else 0],
                "fare_amount": money[fare],
                "extra": money[extra],
                "mta_tax": money[tax],
                "tip_amount": money[tip],
                "tolls_amount": money[tolls],
                "ehail_fee": "",
                "improvement_surcharge": "0.3",
                "total_amount": money[total + tip],
                "payment_type": payment,
                "trip_type": kind,
                "congestion_surcharge": money[congestion] if levied else "",
            }
            if not metered:
                trip.update(_UNMETERED)
            yield trip


def _quirky(
    trips: Iterator[dict[str, str]], rows: int, metered: int, month: Month, draw: Random
) -> Iterator[dict[str, str]]:
    """Put the rare rows of real months in the place of some trips; a file below 1000 rows has none of them."""
    kinds = {
        **{"refund": rows // 200, "repeat": 3 + rows // 250_000, "retaxed": 2 + rows // 250_000},
        **{"far": 1 + rows // 500_000, "eve": 1 + rows // 50_000, "2008": 1, "2009": 1 + rows // 100_000},
    }
    quirks = _spread(kinds, 1, metered, draw) if rows >= 1000 else {}
    days = {"eve": month.first_day - timedelta(1), "2008": date(2008, 12, 31), "2009": date(2009, 1, 1)}
    before: dict[str, str] = {}
    for position, trip in enumerate(trips):
        kind = quirks.get(position)
        if kind is None:
            before = trip
            yield trip
        elif kind == "repeat":
            yield dict(before)
        elif kind == "refund":  # the trip before, taken back: no charge, or in dispute
            negated = {name: f"-{before[name]}" for name in _AMOUNTS if before[name] not in ("", "0")}
            yield {**before, **negated, "payment_type": "3" if before["payment_type"] == "2" else "4"}
        elif kind == "retaxed":  # the trip before with another tax: only that and the total tell the two apart
            tax, change = ("0", -50) if before["mta_tax"] == "0.5" else ("0.5", 50)
            yield {
                **before,
                "mta_tax": tax,
                "total_amount": _money(round(100 * Decimal(before["total_amount"])) + change),
            }
        elif kind == "far":
            yield {**trip, "trip_distance": "205654.12"}
        else:
            pickup, dropoff = (datetime.fromisoformat(trip[name]) for name in ("pickup_datetime", "dropoff_datetime"))
            moved = datetime.combine(days[kind], pickup.time())
            yield {**trip, "pickup_datetime": str(moved), "dropoff_datetime": str(moved + (dropoff - pickup))}


def _shares(shares: Mapping[T, int]) -> list[T]:
    """Return each value as often as its share, so that an index drawn at random picks by share."""
    return [value for value, share in shares.items() for _ in range(share)]


def _zones(system: _System, draw: Random) -> list[str]:
    """Return the zones to draw from: every one of the 265, and about as often one of the busy ones."""
    busy = system.busy_zones
    fill = (str(busy[_below(draw, len(busy))]) for _ in range(_ZONES - 2 * 265))
    return [*(str(zone) for zone in range(1, 266)), *(str(zone) for zone in range(1, 266)), *fill]


@cache
def _rides() -> tuple[tuple[int, int], ...]:
    """Return lengths to draw from, each with its hundredths of a mile and its usual seconds."""
    rides = []
    for number in range(_RIDES):
        share = number * 1000
        (low, miles, seconds), (high, more_miles, more_seconds) = next(
            (before, after) for before, after in pairwise(_LENGTHS) if share < after[0] * _RIDES
        )
        part, whole = share - low * _RIDES, (high - low) * _RIDES
        rides.append((miles + (more_miles - miles) * part // whole, seconds + (more_seconds - seconds) * part // whole))
    return tuple(rides)


@cache
def _money_texts() -> tuple[str, ...]:
    return tuple(_money(cents) for cents in range(40_000))


@cache
def _distance_texts() -> tuple[str, ...]:
    return tuple(f"{hundredths // 100 or ''}.{hundredths % 100:02d}" for hundredths in range(3600))


@cache
def _clock_texts() -> tuple[str, ...]:
    return tuple(f"{second // 60:02d}:{second % 60:02d}" for second in range(3600))


def _hour_texts(month: Month) -> list[str]:
    """Return what stands before minutes and seconds, for each hour of the month and a few of the next."""
    hours = (month.next().first_day - month.first_day).days * 24 + 4
    return [f"{month.first_day + timedelta(hour // 24)} {hour % 24:02d}:" for hour in range(hours)]


def _money(cents: int) -> str:
    """Write dollars as the real files do: ``8``, ``6.5``, ``2.75``."""
    dollars, rest = divmod(cents, 100)
    return f"{dollars}.{rest:02d}".rstrip("0") if rest else str(dollars)


# --- Rows of any other layout --------------------------------------------------------------------


def _plain_rows(source: Source, month: Month, rows: int, draw: Random) -> Iterator[Row]:
    """Yield rows of a source that isn't laid out as a taxi's: a value by its type in each column."""
    makers = [_maker(column, month, draw) for column in source.columns]
    repeats = _spread({"repeat": 3 + rows // 250_000}, 1, rows, draw) if rows >= 1000 else {}
    row: Row = ()
    position = 0
    for hour, count in _hours(month, rows):
        for _ in range(count):
            moment = hour * 3600 + _below(draw, 3600)
            if position not in repeats:
                row = [make(moment) for make in makers]
            yield row
            position += 1


def _maker(column: Column, month: Month, draw: Random) -> Callable[[int], str]:
    """Return what makes a column's values, each for a moment in seconds since the month began."""
    start = datetime.combine(month.first_day, time.min)
    if column.type == "timestamp":
        longest = 2700 if "dropoff" in column.name or "end" in column.name else 0
        return lambda moment: str(start + timedelta(seconds=moment + (60 + _below(draw, longest) if longest else 0)))
    if column.type == "integer":
        first, count = (1, 265) if column.name.endswith("locationid") else (0, 100)
        return lambda moment: str(first + _below(draw, count)) if _below(draw, 16) else ""
    if column.type == "numeric":
        return lambda moment: _money(_below(draw, 10_000)) if _below(draw, 16) else ""
    return lambda moment: f"{chr(65 + _below(draw, 26))}{_below(draw, 100_000):05d}" if _below(draw, 16) else ""


# --- The command ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Write sample months from the command line.

    :param arguments: what follows the command's name; the process's own where none are given
    :return: the exit code: 0, or 2 where an argument can't be used
    """
    parser = argparse.ArgumentParser(
        prog="python -m taxiway.local.samples",
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
    sys.exit(main())
