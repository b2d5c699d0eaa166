"""A Parquet file whose rows come with their ids loads as it does through CSV: the same rows, ids and rejects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from taxiway.errors import FileTooLargeError
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres import stage
from taxiway.warehouses.postgres.tables import LoadTables
from tests.conftest import Connect
from tests.loading import check_month, hash_rows, merge_month, query, source_file, stage_month

MONTH = Month(2019, 1)
ROWS = 60
MOMENTS = [datetime(2019, 1, 5, 0, 44, 2) + timedelta(minutes=37 * (row % 50)) for row in range(ROWS)]  # duplicates
SOUND = {
    "lpep_pickup_datetime": pa.array(MOMENTS, pa.timestamp("us")),
    "store_and_fwd_flag": pa.array(["N", "Y", None] * (ROWS // 3)),
    "PULocationID": pa.array([row % 5 or None for row in range(ROWS)], pa.int64()),
    "fare_amount": pa.array([0.1 + 0.2, -0.0, 1e-7, 1e22, 8.5, None] * (ROWS // 6)),
}


def with_value(name: str, change: Callable[[pa.Array], pa.Array]) -> dict[str, pa.Array]:
    return {**SOUND, name: change(SOUND[name])}


def one(value: Any) -> Callable[[pa.Array], pa.Array]:
    """Return a change of a column's last value."""
    return lambda array: pa.concat_arrays([array[:-1], pa.array([value], array.type)])


FILES: dict[str, tuple[bool, dict[str, pa.Array]]] = {
    "as its columns are": (True, SOUND),
    "in another order": (True, dict(reversed(SOUND.items()))),
    "nothing but nulls": (True, with_value("PULocationID", lambda array: pa.nulls(len(array)))),
    "integers as doubles": (True, with_value("PULocationID", lambda array: array.cast(pa.float64()))),
    "doubles as integers": (True, with_value("fare_amount", lambda array: pa.array(range(len(array)), pa.int32()))),
    "floats": (True, with_value("fare_amount", lambda array: array.cast(pa.float32()))),
    "texts of a dictionary": (True, with_value("store_and_fwd_flag", lambda array: array.dictionary_encode())),
    "large texts": (True, with_value("store_and_fwd_flag", lambda array: array.cast(pa.large_string()))),
    "times in a zone": (True, with_value("lpep_pickup_datetime", lambda a: pc.assume_timezone(a, "America/New_York"))),
    "a fraction of a second": (False, with_value("lpep_pickup_datetime", one(datetime(2019, 1, 5, microsecond=5)))),
    "a time that is null": (False, with_value("lpep_pickup_datetime", one(None))),
    "times as texts": (False, with_value("lpep_pickup_datetime", lambda a: pc.strftime(a, "%Y-%m-%d %H:%M:%S"))),
    "an empty text": (False, with_value("store_and_fwd_flag", one(""))),
    "the mark of NULL": (False, with_value("store_and_fwd_flag", one("\\N"))),
    "a comma in a text": (False, with_value("store_and_fwd_flag", one("N,Y"))),
    "a tab and a line end": (False, with_value("store_and_fwd_flag", one("N\t\n"))),
    "an accent": (False, with_value("store_and_fwd_flag", one("é"))),
    "a separator in a text": (False, with_value("store_and_fwd_flag", one("N\x1fY"))),
    "a fraction in an integer": (False, with_value("PULocationID", lambda a: one(1.5)(a.cast(pa.float64())))),
    "too large an integer": (False, with_value("PULocationID", one(2**40))),
    "integers as texts": (False, with_value("PULocationID", lambda array: array.cast(pa.string()))),
    "a zero before an integer": (False, with_value("PULocationID", lambda a: one("007")(a.cast(pa.string())))),
    "numbers as texts": (False, with_value("fare_amount", lambda array: pa.array(["8.50"] * len(array)))),
    "decimals": (False, with_value("fare_amount", lambda array: pa.array([Decimal("8.50")] * len(array)))),
    "not a number": (False, with_value("fare_amount", one(float("nan")))),
    "infinity": (False, with_value("fare_amount", one(float("inf")))),
}  # fmt: skip


@pytest.fixture
def source(green: Source) -> Source:
    names = {name.lower() for name in SOUND}
    columns = tuple(column for column in green.columns if column.name in names)
    release = replace(green.releases[0], path="green/green_tripdata_{month}.parquet", format="parquet")
    return replace(green, columns=columns, releases=(release,), checks=(), max_rejected_share=1.0)


def loaded(connection: psycopg.Connection[Any], source: Source, path: Path) -> list[Any]:
    """Load a file into an empty warehouse; return what came of it."""
    with connection.transaction():
        connection.execute("DROP TABLE IF EXISTS public.green_tripdata CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS taxiway CASCADE")
    tables = LoadTables(source, MONTH, "manual__1")
    hash_rows(connection, tables, stage_month(connection, tables, source_file(path)))
    check_month(connection, tables)
    counts = merge_month(connection, tables)
    rows = f"SELECT row_to_json(rows)::text FROM {source.main_table} AS rows ORDER BY 1"
    rejects = "SELECT line_number, raw_line, reason FROM taxiway.rejected_rows ORDER BY 1"
    ledger = "SELECT rows_read, rows_rejected, rows_staged FROM taxiway.loads"
    return [counts, *(query(connection, what) for what in (rows, rejects, ledger))]


@pytest.mark.parametrize("name", FILES)
def test_rows_with_ids_are_those_that_csv_gives(
    name: str, connect: Connect, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comes_with_ids, columns = FILES[name]
    path = tmp_path / "green_tripdata_2019-01.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=25)
    connection, copy = connect(), stage._copy_with_ids
    quick = list[bool]()

    def watched(*given: Any) -> stage.Staged | None:
        staged = copy(*given)
        quick.append(staged is not None)
        return staged

    with monkeypatch.context() as patch:
        patch.setattr(stage, "_copy_with_ids", watched)
        found = loaded(connection, source, path)
        assert quick == [comes_with_ids]
        patch.setattr(stage, "_copy_with_ids", lambda *_: None)
        assert loaded(connection, source, path) == found


def test_a_file_that_unpacks_to_more_than_allowed_is_refused_as_before(
    connect: Connect, source: Source, tmp_path: Path
) -> None:
    path = tmp_path / "green_tripdata_2019-01.parquet"
    pq.write_table(pa.table(SOUND), path)

    with pytest.raises(FileTooLargeError):
        loaded(connect(), replace(source, max_unpacked_size=1000), path)
