"""A file that a tool saved again loads as it does with its fields staged as text: the same rows, ids and rejects."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from taxiway.loads.row_identity import unique_row_ids
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.postgres import stage
from taxiway.warehouses.postgres.tables import LoadTables
from tests.conftest import Connect
from tests.loading import check_month, hash_rows, ids, merge_month, query, source_file, stage_month, write_gzip

NAMES = ("lpep_pickup_datetime", "store_and_fwd_flag", "pulocationid", "fare_amount")
TIMES = ("2019-01-05 00:44:02", "2019-01-31 23:59:59", "2019-02-01 00:00:00")
FILES = 45
SEED = 13

SAVED: dict[str, Sequence[str]] = {
    "timestamp": ["{}", "{}.000000", '"{}"', '"{}.0"', "{}.000000000"],
    "text": ["{}", '"{}"', '"{}"Y', '"{},\u00e9"', "{} ", " ", "a text that is longer"],
    "integer": ["{}", '"{}"', "{}.0", '"{}.000"', "{}."],
    "numeric": ["{}", '"{}"', "{}0", "0{}"],
}
"""Ways to write a value that stays the same."""

ODD: dict[str, Sequence[str]] = {
    "timestamp": ["", '""', "{}.5", "{}.0000000000", "{}Z", "2019-01-05", "2019-02-30 00:00:00.000000", '"{}', "{}\r"],
    "text": ['N""', '"N""Y"', '"N,Y"', '"N\n"', "\u00e9", " N", "n", '"N', "\\N", "NOT AS SHORT AS A TIME", "\ufeff"],
    "integer": [".0", "1.5", "-", "+1.0", " 1.0", "2147483648.0", "1e1", "-0.0", '1"1"', "99999999999999999999.0"],
    "numeric": ["NaN", "1e5", "1e-200", '"1,5"', "0x1A", "1_000", " 1", "Infinity", "."],
}
"""Fields that are read in the slower way, or not at all."""


@pytest.fixture
def source(green: Source) -> Source:
    columns = tuple(column for column in green.columns if column.name in NAMES)
    return replace(green, columns=columns, checks=(), max_rejected_share=1.0, allow_empty=True)


def loaded(connection: psycopg.Connection[Any], source: Source, path: Path) -> tuple[bool, list[Any]]:
    """Load a file into an empty warehouse; return whether it took the quick way, and what came of it."""
    with connection.transaction():
        connection.execute("DROP TABLE IF EXISTS public.green_tripdata CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS taxiway CASCADE")
    tables = LoadTables(source, Month(2019, 1), "manual__1")
    staged = stage_month(connection, tables, source_file(path))
    hash_rows(connection, tables, staged)
    check_month(connection, tables)
    counts = merge_month(connection, tables)
    rows = f"SELECT row_to_json(rows)::text FROM {source.main_table} AS rows ORDER BY 1"
    rejects = "SELECT line_number, raw_line, reason FROM taxiway.rejected_rows ORDER BY 1"
    ledger = "SELECT rows_read, rows_rejected, rows_staged FROM taxiway.loads"
    return staged["stage_month"]["canonical"], [counts, *(query(connection, what) for what in (rows, rejects, ledger))]


def both_ways(connection: psycopg.Connection[Any], source: Source, path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Load a file, and load it again with its fields staged as text; return whether it took the quick way at first."""
    quick, found = loaded(connection, source, path)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "_stage_typed", lambda *_: None)
        assert loaded(connection, source, path) == (False, found), path.read_bytes()
    return quick


def row(draw: Random, source: Source, odd: bool) -> str:
    values = {"timestamp": draw.choice(TIMES), "text": "N", "integer": str(draw.randrange(300)), "numeric": "1.5"}
    kinds = [column.type for column in source.columns]
    ways = {kind: [SAVED[kind]] for kind in kinds}
    if odd:
        ways[draw.choice(kinds)] = [ODD[draw.choice(kinds)]]
    return ",".join(draw.choice(draw.choice(ways[kind])).format(values[kind]) for kind in kinds)


def test_any_file_loads_as_its_fields_as_text_do(
    connect: Connect, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, draw, quick = connect(), Random(SEED), list[bool]()
    header = ",".join(f'"{column.header}"' for column in source.columns)
    for number in range(FILES):
        lines = [row(draw, source, odd=False) for _ in range(12)]
        if number % 3:
            lines[draw.randrange(12)] = row(draw, source, odd=True)
        lines[draw.randrange(12) : 0] = draw.choice(([], [""], ["", ""]))
        end = draw.choice(("\n", "\r\n"))
        path = write_gzip(tmp_path / "green_tripdata_2019-01.csv.gz", [header, *lines], end)

        quick.append(both_ways(connection, source, path, monkeypatch))

    assert all(quick[::3])
    assert not all(quick)


def test_a_block_that_is_not_canonical_among_many_stands_for_itself(
    connect: Connect, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of several blocks, of which only one needs to be written anew."""
    rows = [["2019-01-05 00:44:02", "N", str(number), "1.5"] for number in range(60_000)]
    lines = [",".join(fields) for fields in rows]
    lines[40_000] = lines[40_000].replace(",N,", ',"N",')
    path = write_gzip(tmp_path / "green_tripdata_2019-01.csv.gz", [",".join(NAMES), *lines])
    connection = connect()

    quick, (counts, *_) = loaded(connection, source, path)

    assert quick
    assert counts.inserted == len(rows)
    expected = sorted(unique_row_ids(source.columns, rows))
    assert sorted(row_id.replace("-", "") for row_id in ids(connection, source)) == expected


def test_a_real_file_that_was_saved_again_takes_the_quick_way(
    connect: Connect, tlc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fhv = replace(load_source(SOURCES_FOLDER / "fhv.yaml"), main_table="green_tripdata", checks=())
    path = tmp_path / "fhv_tripdata_2019-01.csv.gz"
    path.write_bytes(gzip.compress((tlc / "resaved" / "fhv_tripdata_2020-04.1000rows.csv").read_bytes()))

    assert both_ways(connect(), fhv, path, monkeypatch)
