"""Any mix of layouts, formats and values has the ids that plain Python gives to its rows, in every warehouse."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxiway.loads.load import Counts
from taxiway.loads.row_identity import unique_row_ids
from taxiway.sources.months import Month
from taxiway.sources.release import FORMATS
from taxiway.sources.source import Column, Source
from tests.conformance.harness import Harness
from tests.conformance.run import Run

EXAMPLES = {"postgres": 60, "bigquery": 25}
"""How many files: a load into BigQuery takes longer."""

MONTH = Month(2022, 1)
MIDNIGHT = time()
SPACES = st.sampled_from(("", " "))
FRACTIONS = st.sampled_from(("", ".0", ".000", ".000000"))
_NUMBERS = itertools.count(1)

# U+001F and line ends are rejected, and NUL is no text in Postgres. What is rejected has no id.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1f\n\r")
TEXTS = st.text(st.one_of(st.sampled_from(' ,"\\N.;\t\u00e9'), CHARACTERS), min_size=1, max_size=8)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-(2**31), 2**31 - 1) | st.integers(-9, 9),
    "numeric": st.decimals(-(10**20), 10**20, places=9) | st.decimals(-99, 99, places=2) | st.just(Decimal("-0.00")),
    "timestamp": st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)).map(
        lambda moment: moment.replace(microsecond=0)
    )
    | st.dates(datetime(1970, 1, 1).date(), datetime(2038, 1, 1).date()).map(
        lambda day: datetime.combine(day, MIDNIGHT)
    ),
    "text": TEXTS.filter(lambda text: text != "\\N"),
}


def canonical(value: Any) -> str:
    """Write a value as one of its spellings that every format can have."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def spelled(draw: Callable[..., Any], value: Any) -> str:
    """Write a value as other tools do: the ids are the same."""
    text = canonical(value)
    if isinstance(value, datetime):
        return text + str(draw(FRACTIONS))
    if value is None or isinstance(value, str):
        return text
    before, after, sign = draw(SPACES), draw(SPACES), draw(st.sampled_from(("", "+")))
    if isinstance(value, Decimal) and abs(value.adjusted()) < 90 and draw(st.booleans()):
        text = f"{value:e}"
    elif isinstance(value, int):
        text += draw(st.sampled_from(("", ".", ".0", ".000000")))
    return before + (sign + text if not text.startswith("-") else text) + after


def fields(draw: Callable[..., Any], row: list[Any]) -> str:
    """Write a row as a line of CSV; some fields are quoted that needn't be."""
    texts = [spelled(draw, value) for value in row]
    quoted = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    stream = io.StringIO()
    # An empty line isn't a row: a row of one NULL is quoted.
    csv.writer(stream, quoting=csv.QUOTE_ALL if texts == [""] else quoted, lineterminator="").writerow(texts)
    return stream.getvalue()


def fits(kind: pa.DataType, values: list[Any]) -> bool:
    """Say whether a type of Parquet holds values exactly."""
    given = [value for value in values if value is not None]
    if pa.types.is_floating(kind):
        return all(math.isfinite(float(value)) and Decimal(repr(float(value))) == value for value in given)
    try:
        return pa.array(values, kind).to_pylist() == values
    except (pa.ArrowException, OverflowError, ValueError):
        return False


NUMBERS = (pa.float64(), pa.int64(), pa.int32(), pa.decimal128(38, 9), pa.decimal128(12, 2))
KINDS: dict[str, tuple[pa.DataType, ...]] = {
    "integer": NUMBERS,
    "numeric": NUMBERS,
    "timestamp": (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("ms")),
    "text": (pa.string(), pa.large_string()),
}


def array(draw: Callable[..., Any], column: Column, values: list[Any]) -> pa.Array:
    """Write a column of a Parquet file in one of the types that it may drift to."""
    if all(value is None for value in values) and draw(st.booleans()):
        return pa.nulls(len(values))
    plain = [int(value) if isinstance(value, Decimal) and value == int(value) else value for value in values]
    kinds = [kind for kind in KINDS[column.type] if fits(kind, plain)]
    if column.type == "timestamp" and all(value is None or value.time() == MIDNIGHT for value in values):
        kinds.append(pa.date32())
    kind = draw(st.sampled_from([*kinds, None]))
    if kind is None:  # texts, as some tools write everything
        texts = [None if value is None else spelled(draw, value) for value in values]
        made = pa.array(texts, pa.string())
        return made.cast(pa.binary()) if draw(st.booleans()) else made.dictionary_encode()
    if pa.types.is_date(kind):
        return pa.array([value and value.date() for value in values], kind)
    numbers = [None if value is None else float(value) for value in values] if pa.types.is_floating(kind) else plain
    made = pa.array(numbers, kind)
    return made.cast(pa.timestamp("us", "UTC")) if kind == pa.timestamp("us") and draw(st.booleans()) else made


@dataclass(frozen=True)
class File:
    """A month's file, and what it must come to.

    :param columns: of the source, among them some that the file lacks
    :param ids: of its rows, as plain Python gives them, in order
    """

    columns: tuple[Column, ...]
    format: str
    body: bytes
    ids: list[str]


@st.composite
def files(draw: Callable[..., Any]) -> File:
    """A file of any layout, in any format, with any values."""
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=6))
    lacking = draw(st.lists(st.sampled_from(("has", "has", "optional", "lacks", "later")), min_size=6, max_size=6))
    columns = tuple(
        Column(
            f"C{place}",
            f"c{place}",
            kind,
            "",
            since=MONTH.next() if state == "later" and place else None,
            optional=state in ("optional", "lacks") and place > 0,
        )
        for place, (kind, state) in enumerate(zip(kinds, lacking, strict=False))
    )
    layout = [
        column
        for column, state in zip(columns, lacking, strict=False)
        if column.name == "c0" or state in ("has", "optional")
    ]
    # Few different rows, so that some are equal.
    different = draw(
        st.lists(st.tuples(*(st.none() | VALUES[column.type] for column in layout)), min_size=1, max_size=4)
    )
    rows = [list(row) for row in draw(st.lists(st.sampled_from(different), min_size=1, max_size=8))]
    ids = sorted(unique_row_ids(layout, [[canonical(value) for value in row] for row in rows]))
    order = draw(st.permutations(range(len(layout))))
    header = [draw(st.sampled_from((layout[place].header, layout[place].name))) for place in order]
    format_ = draw(st.sampled_from(FORMATS))
    if format_ == "parquet":
        arrays = [array(draw, layout[place], [row[place] for row in rows]) for place in order]
        stream = io.BytesIO()
        pq.write_table(
            pa.table(arrays, names=header),
            stream,
            row_group_size=draw(st.sampled_from((1, 3, 100))),
            compression=draw(st.sampled_from(("zstd", "gzip", "none"))),
        )
        return File(columns, format_, stream.getvalue(), ids)
    end = draw(st.sampled_from(("\n", "\r\n")))
    lines = [",".join(header), *(fields(draw, [row[place] for place in order]) for row in rows)]
    text = (end.join(lines) + draw(st.sampled_from(("", end, end * 3)))).encode()
    return File(columns, format_, gzip.compress(text) if format_ == "csv.gz" else text, ids)


def test_a_month_has_the_ids_that_plain_python_gives_it(harness: Harness, trips: Source, tmp_path: Path) -> None:
    (release,) = trips.releases

    @settings(
        max_examples=EXAMPLES[harness.name],
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(files())
    def load(file: File) -> None:
        name = f"mix_{next(_NUMBERS)}"
        released = replace(release, path=f"mix/{name}_{{month}}.{file.format}", format=file.format, last=None)
        source = replace(
            trips, name=name, main_table=name, releases=(released,), columns=file.columns, checks=(), timezone="UTC"
        )
        path = tmp_path / source.download_name(MONTH)
        path.write_bytes(file.body)
        run = Run.of(harness, source, MONTH, "manual__1")

        assert run.complete(path) == Counts(len(file.ids), 0, 0)

        assert harness.ids(run.load) == file.ids
        assert harness.rejects(run.load) == []

    load()
