"""Mutations of a Parquet file by a seeded fuzzer: each loads exactly, or fails with a reason and changes nothing."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from taxiway.download.cache import Cache
from taxiway.download.download import Download, download_month
from taxiway.errors import TaxiwayError
from taxiway.loads.row_identity import unique_row_ids
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source
from tests.conformance.forked_checks import forked_checks
from tests.conformance.harness import Harness
from tests.conformance.run import Run
from tests.mirror_faults import FaultyMirror

CASES = {"postgres": 100, "bigquery": 26}
"""How many files. A load into BigQuery takes longer, and reads a file by the same code."""

SEED = 13
MONTH = Month(2020, 4)
ROWS = 200
CODECS = ("gzip", "zstd", "snappy", "none")

Change = Callable[[pa.Table, Random], pa.Table]


def original(source: Source) -> pa.Table:
    """The first rows of the real month; in a plain clone, rows of the same types."""
    path = ROOT.parent / "shared" / "tlc" / "parquet" / f"green_tripdata_{MONTH}.parquet"
    if path.is_file():
        return pq.read_table(path).slice(0, ROWS)
    times = [datetime(2020, 4, 1) + timedelta(minutes=number) for number in range(ROWS)]
    values: dict[str, pa.Array] = {
        "integer": pa.array([float(number % 9) if number % 7 else None for number in range(ROWS)]),
        "numeric": pa.array([number / 4 for number in range(ROWS)]),
        "timestamp": pa.array(times),
        "text": pa.array(["N", None] * (ROWS // 2)),
    }
    return pa.table({column.header: values[column.type] for column in source.layout_of(MONTH).columns})


def column_of(table: pa.Table, draw: Random, *kinds: Callable[[pa.DataType], bool]) -> int:
    fitting = [place for place, field in enumerate(table.schema) if any(kind(field.type) for kind in kinds)]
    return draw.choice(fitting or range(table.num_columns))


def with_values(table: pa.Table, place: int, values: pa.Array) -> pa.Table:
    return table.set_column(place, table.schema.names[place], values)


def with_value(table: pa.Table, draw: Random, kind: Callable[[pa.DataType], bool], value: object) -> pa.Table:
    place = column_of(table, draw, kind)
    values = table.column(place).to_pylist()
    for _ in range(draw.choice((1, 1, 30))):
        values[draw.randrange(len(values))] = value
    return with_values(table, place, pa.array(values, table.schema.types[place]))


def renamed(table: pa.Table, draw: Random) -> pa.Table:
    names, place = table.schema.names, draw.randrange(table.num_columns)
    names[place] = draw.choice((names[place].upper(), names[place] + "_new", "", "a,b"))
    return table.rename_columns(names)


def reordered(table: pa.Table, draw: Random) -> pa.Table:
    names = table.schema.names
    draw.shuffle(names)
    return table.select(names)


def dropped(table: pa.Table, draw: Random) -> pa.Table:
    return table.remove_column(draw.randrange(table.num_columns))


def doubled(table: pa.Table, draw: Random) -> pa.Table:
    place = draw.randrange(table.num_columns)
    return table.append_column(table.schema.names[place], table.column(place))


def retyped(table: pa.Table, draw: Random) -> pa.Table:
    place = draw.randrange(table.num_columns)
    values = table.column(place).combine_chunks()
    wanted = [
        pa.string(),
        pa.large_string(),
        pa.float64(),
        pa.int64(),
        pa.int32(),
        pa.decimal128(20, 4),
        pa.date32(),
        pa.timestamp("s"),
        pa.timestamp("ns"),
        pa.timestamp("us", "UTC"),
        pa.binary(),
        pa.bool_(),
        pa.null(),
    ]
    draw.shuffle(wanted)
    for kind in wanted:
        try:
            return with_values(table, place, pa.nulls(len(values)) if kind == pa.null() else values.cast(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    return table


def nan(table: pa.Table, draw: Random) -> pa.Table:
    return with_value(table, draw, pa.types.is_floating, math.nan)


def infinite(table: pa.Table, draw: Random) -> pa.Table:
    return with_value(table, draw, pa.types.is_floating, draw.choice((math.inf, -math.inf)))


def fraction(table: pa.Table, draw: Random) -> pa.Table:
    return with_value(table, draw, pa.types.is_floating, draw.choice((0.5, 1e-9, 1e22, 2.0**31, -0.0)))


def odd_day(table: pa.Table, draw: Random) -> pa.Table:
    place = column_of(table, draw, pa.types.is_timestamp)
    if not pa.types.is_timestamp(table.schema.types[place]):
        return table
    values = table.column(place).cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()
    values[draw.randrange(len(values))] = draw.choice((2**62, -(2**62), 253402300800 * 10**6, -62135596801 * 10**6, 1))
    return with_values(table, place, pa.array(values, pa.int64()).cast(pa.timestamp("us")))


def odd_text(table: pa.Table, draw: Random) -> pa.Table:
    text = draw.choice(("", "\\N", "a\nb", 'a"b', "a,b", "\x1f", "Zoë", "a\rb", " N ", "\\."))
    return with_value(table, draw, pa.types.is_string, text)


VALUES: tuple[Change, ...] = (retyped, nan, infinite, fraction, odd_day, odd_text)
CHANGES: tuple[Change, ...] = (renamed, reordered, dropped, doubled, *VALUES)


def written(table: pa.Table, draw: Random) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression=draw.choice(CODECS), row_group_size=draw.choice((50, 150, 1000)))
    return stream.getvalue()


def other_bytes(body: bytes, draw: Random, start: int, end: int) -> bytes:
    """Change bytes from one place up to another: one byte, one bit, or some left out; or cut the file there."""
    changed = bytearray(body)
    for _ in range(draw.choice((1, 1, 3, 10))):
        place = min(draw.randrange(start, end), len(changed) - 1)
        action = draw.randrange(4)
        if action == 0:
            changed[place] = draw.randrange(256)
        elif action == 1:
            changed[place] ^= 1 << draw.randrange(8)
        elif action == 2:
            del changed[place : place + draw.randrange(1, 40)]
        else:
            del changed[place:]
        if len(changed) < 20:
            break
    return bytes(changed)


def footer_of(body: bytes) -> int:
    return len(body) - 8 - int.from_bytes(body[-8:-4], "little")


def pages(body: bytes, draw: Random) -> bytes:
    return other_bytes(body, draw, 4, footer_of(body))


def footer(body: bytes, draw: Random) -> bytes:
    return other_bytes(body, draw, footer_of(body), len(body) - 8)


def end(body: bytes, draw: Random) -> bytes:
    """The length of the footer, and the magic."""
    return other_bytes(body, draw, len(body) - 8, len(body))


BYTES = (pages, footer, pages, footer, pages, footer, end)


@dataclass(frozen=True)
class Mutation:
    """One mutated file.

    :param name: which case, and what was done
    :param share: of rows that may be rejected
    """

    name: str
    body: bytes
    share: float


def mutations(table: pa.Table, count: int) -> list[Mutation]:
    """Of bytes and of the table by turns; some of the tables are changed twice."""
    draw, made = Random(SEED), []
    for case in range(count):
        share = draw.choice((0.001, 0.3))
        if case % 2:
            change = BYTES[case // 2 % len(BYTES)]
            made.append(Mutation(f"{case} {change.__name__}", change(written(table, draw), draw), share))
            continue
        changes = [CHANGES[case // 2 % len(CHANGES)], *draw.choices(VALUES, k=draw.choice((0, 0, 1)))]
        changed = table
        for each in changes:
            changed = each(changed, draw)
        names = ", ".join(each.__name__ for each in changes)
        made.append(Mutation(f"{case} {names}", written(changed, draw), share))
    return made


def text_of(column: Column, value: Any, kind: pa.DataType, *, places: int) -> str | None:
    """Write a value as a field; None if it can't be read as the column's type.

    :param places: how many decimal places a number may have
    """
    if value is None or value in ("", b""):
        return ""
    if isinstance(value, bytes):
        value = value.decode()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if column.type != "timestamp" or not -62135596800 * 10**6 <= value < 253402300800 * 10**6 or value % 10**6:
            return None
        return str(datetime(1970, 1, 1) + timedelta(microseconds=value))
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    text = value if isinstance(value, str) else f"{Decimal(repr(value) if isinstance(value, float) else value):f}"
    if column.type == "integer":
        fits = re.fullmatch(r" *[+-]?0*[0-9]{1,18}([.]0*)? *", text) and -(2**31) <= int(Decimal(text)) < 2**31
        return text if fits else None
    if column.type == "numeric":
        fits = re.fullmatch(r" *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})? *", text)
        return text if fits and -int(Decimal(text).normalize().as_tuple().exponent) <= places else None
    if column.type == "timestamp":
        match = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})([.]0+)?", text)
        return match and match[1]
    return None if text == "\\N" or set(text) & {"\x1f", "\n"} else text


def expected_of(source: Source, body: bytes, *, places: int) -> tuple[list[str], list[int]]:
    """The ids of the rows that can be read, and the line numbers of the others; of a file that Arrow reads at once."""
    table = pq.ParquetFile(io.BytesIO(body)).read()
    names = [name.lower() for name in table.schema.names]
    columns = source.layout_of(MONTH).columns
    fields = []
    for column in columns:
        values = table.column(names.index(column.name))
        kind = values.type
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            values = values.cast(pa.timestamp("us")).cast(pa.int64())
        fields.append([text_of(column, value, kind, places=places) for value in values.to_pylist()])
    rows, rejected = list[list[str]](), list[int]()
    for number, row in enumerate(zip(*fields, strict=True), start=2):
        if None in row:
            rejected.append(number)
        else:
            rows.append([text or "" for text in row])
    return sorted(unique_row_ids(columns, rows)), rejected


@pytest.fixture
def mirror() -> Iterator[FaultyMirror]:
    with FaultyMirror() as mirror, forked_checks():
        yield mirror


def test_a_hundred_mutations(harness: Harness, green: Source, mirror: FaultyMirror, tmp_path: Path) -> None:
    release = replace(green.releases[0], path="green/green_tripdata_{month}.parquet", format="parquet")
    green = replace(green, releases=(release,), checks=(), max_deleted_share=1.0)
    green = replace(green, name="mutated", main_table="mutated_trips")
    places = {"postgres": 10**6, "bigquery": 9}[harness.name]
    table, cases = original(green), CASES[harness.name]
    cache = Cache(tmp_path / "cache", 10**9)
    outcomes: Counter[str] = Counter()

    def load(source: Source, run_id: str, body: bytes) -> Run:
        run = Run.of(harness, source, MONTH, run_id)
        mirror.put(f"/{green.file_path(MONTH)}", body)

        def fetch() -> Download:
            with requests.Session() as session:
                return download_month(session, mirror.url, source, MONTH, cache)

        try:
            run.download(fetch, force=True)
            run.finish()
        finally:
            run.drop()
        return run

    sound = written(table, Random(SEED))
    published = load(green, "unchanged", sound)
    before = harness.ids(published.load)
    assert (before, []) == expected_of(green, sound, places=places)
    for mutation in mutations(table, cases):
        source, name, said = replace(green, max_rejected_share=mutation.share), mutation.name, ""
        try:
            load(source, name, mutation.body)
            outcome = "loads"
        except TaxiwayError as error:
            outcome, said = type(error).__name__, str(error)
            assert said.startswith(f"{published.load.where}: "), (name, said[:500])
            assert len(said) < 2_000, (name, said[:500])
        after = harness.ids(published.load)
        outcomes[outcome] += 1
        if outcome in ("loads", "RejectLimitError"):
            ids, rejected = expected_of(source, mutation.body, places=places)
            found = harness.ask(
                "SELECT line_number FROM $taxi.rejected_rows WHERE load_id IN (SELECT load_id FROM $taxi.loads "
                f"WHERE source = '{source.name}' AND run_id = '{name}') ORDER BY line_number"
            )
            assert [line for (line,) in found] == rejected, name
            assert (outcome == "loads") == (len(rejected) <= mutation.share * (len(ids) + len(rejected))), name
        if outcome == "loads":
            assert after == ids, name
            before = after
        else:
            assert after == before, name
            entry = harness.attempts(published.load)[-1]
            assert (entry.run_id, entry.state, said[:200] in str(entry.error)) == (name, "failed", True), (name, said)
        assert harness.left_behind(published.load) == [], name
    # The fuzzer has found its way to all of them, and not to the door only.
    assert sum(outcomes.values()) == cases
    assert outcomes["loads"] >= cases // 10, outcomes
    assert set(outcomes) >= {"InvalidFileError", "HeaderError", "RejectLimitError"}, outcomes


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_of_a_table_changes_it(change: Change, green: Source) -> None:
    table = original(green)
    changed = [change(table, Random(seed)) for seed in range(10)]
    # NaN equals nothing, not even itself.
    assert any(each.schema != table.schema or not each.equals(table) for each in changed)
