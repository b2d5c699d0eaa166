"""Rows that repeat within a file whose month is published already: found by the comparison, not by an index."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from taxiway.core.months import Month
from taxiway.core.row_identity import unique_row_ids
from taxiway.core.sources import Source
from taxiway.core.tables import LoadTables
from taxiway.postgres.check import check_month
from taxiway.postgres.hash import hash_rows
from taxiway.postgres.ledger import Published
from taxiway.postgres.publish import merge_month
from taxiway.postgres.stage import stage_month
from tests.conftest import Connect
from tests.loading import ids, load, query, source_file, write_gzip

ROW = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,{fare},1,1,0"
PARTITION = "public.green_tripdata_2019_01"


def month_of(folder: Path, green: Source, fares: Sequence[int], *, flag: str = "N") -> Path:
    """Write a month with one row for each fare: the same fare, the same row."""
    rows = [ROW.format(fare=fare).replace(",N,", f",{flag},") for fare in fares]
    return write_gzip(
        folder / "green_tripdata_2019-01.csv.gz", [",".join(column.header for column in green.columns), *rows]
    )


def specified(green: Source, fares: Sequence[int]) -> list[str]:
    return sorted(unique_row_ids(green.columns, [ROW.format(fare=fare).split(",") for fare in fares]))


def published(connection: psycopg.Connection[object], green: Source) -> list[str]:
    return sorted(row_id.replace("-", "") for row_id in ids(connection, green))


@pytest.mark.parametrize("flag", ["N", '"N"'], ids=["plain", "text"])
@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ([1, 2, 2, 3], [1, 2, 2, 3], Published(inserted=0, deleted=0, unchanged=4)),
        ([1, 2, 3], [1, 2, 2, 3], Published(inserted=1, deleted=0, unchanged=3)),
        ([1, 2, 2, 3], [1, 2, 3], Published(inserted=0, deleted=1, unchanged=3)),
        ([1, 2, 3], [1, 2, 3, 4, 4], Published(inserted=2, deleted=0, unchanged=3)),
        ([1, 2, 2], [2, 3, 3, 3], Published(inserted=3, deleted=2, unchanged=1)),
        # As many repeats as rows that went: no count alone would tell.
        ([1, 2, 3], [1, 1, 2], Published(inserted=1, deleted=1, unchanged=2)),
        ([1, 2], [3, 3], Published(inserted=2, deleted=2, unchanged=0)),
    ],
)
def test_repeats_get_ids_of_their_own(
    before: list[int],
    after: list[int],
    counts: Published,
    flag: str,
    connect: Connect,
    green: Source,
    tmp_path: Path,
) -> None:
    connection = connect()
    load(connection, green, "2019-01", month_of(tmp_path, green, before))

    assert load(connection, green, "2019-01", month_of(tmp_path, green, after, flag=flag), "manual__2") == counts
    assert published(connection, green) == specified(green, after)


def test_any_month_after_any_other_has_the_ids_of_the_specification(
    connect: Connect, green: Source, tmp_path: Path
) -> None:
    chance = random.Random(5)
    connection = connect()
    for number in range(40):
        fares = [chance.randrange(1, 12) for _ in range(chance.randrange(1, 20))]

        load(connection, green, "2019-01", month_of(tmp_path, green, fares), f"manual__{number}")

        assert published(connection, green) == specified(green, fares), fares


def test_a_partition_that_went_after_the_ids_were_made_is_made_anew_with_its_index(
    connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    load(connection, green, "2019-01", month_of(tmp_path, green, [1, 2]))
    tables = LoadTables(green, Month(2019, 1), "manual__2")
    file = source_file(month_of(tmp_path, green, [2, 2, 3]))
    hash_rows(connection, tables, stage_month(connection, tables, file))
    check_month(connection, tables)
    indexed = f"SELECT indexrelid FROM pg_index WHERE indrelid = '{tables.rows_table}'::regclass"
    assert query(connection, indexed) == [], "the partition's index is enough"
    with connection.transaction():
        connection.execute(f"DROP TABLE {PARTITION}")

    assert merge_month(connection, tables) == Published(inserted=3, deleted=0, unchanged=0)

    assert published(connection, green) == specified(green, [2, 2, 3])
    assert query(
        connection, f"SELECT indisunique, indisvalid FROM pg_index WHERE indrelid = '{PARTITION}'::regclass"
    ) == [(True, True)]


@pytest.mark.parametrize(
    "index",
    [
        None,
        "CREATE INDEX ON {} (unique_row_id)",
        "CREATE UNIQUE INDEX ON {} (unique_row_id, fare_amount)",
        "CREATE UNIQUE INDEX ON {} (unique_row_id) WHERE fare_amount > 100",
        "CREATE UNIQUE INDEX ON {} (MD5(unique_row_id::text))",
    ],
)
@pytest.mark.parametrize("dropped_late", [False, True], ids=["before the ids are made", "after"])
def test_where_the_partition_has_no_index_of_its_ids_the_rows_get_one(
    index: str | None, dropped_late: bool, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    load(connection, green, "2019-01", month_of(tmp_path, green, [1, 2]))
    tables = LoadTables(green, Month(2019, 1), "manual__2")

    def change_index() -> None:
        with connection.transaction():
            connection.execute(f"DROP INDEX {PARTITION}_unique_row_id")
            if index is not None:
                connection.execute(index.format(PARTITION))  # type: ignore[arg-type]

    if not dropped_late:
        change_index()
    file = source_file(month_of(tmp_path, green, [2, 3, 3]))
    hash_rows(connection, tables, stage_month(connection, tables, file))
    check_month(connection, tables)
    if dropped_late:
        change_index()

    assert merge_month(connection, tables) == Published(inserted=2, deleted=1, unchanged=1)
    assert published(connection, green) == specified(green, [2, 3, 3])
