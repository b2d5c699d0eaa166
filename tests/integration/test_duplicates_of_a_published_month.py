"""Duplicate rows of a file whose month is published already: found by the comparison, not by an index."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from taxiway.errors import BalanceError, MainTableError, TransientWarehouseError
from taxiway.loads.load import Counts
from taxiway.loads.row_identity import unique_row_ids
from taxiway.sources.months import Month
from taxiway.sources.source import Layout, Source
from taxiway.warehouses.postgres import partition, publish
from taxiway.warehouses.postgres.partition import Partition, PartitionState
from taxiway.warehouses.postgres.tables import LoadTables
from tests.conftest import Connect
from tests.loading import check_month, hash_rows, ids, load, merge_month, query, source_file, stage_month, write_gzip

ROW = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,{total},1,1,0"
PARTITION = "public.green_tripdata_2019_01"


def month_of(folder: Path, green: Source, totals: Sequence[int], *, flag: str = "N") -> Path:
    """Write a month with one row for each total amount: the same amount, the same row."""
    rows = [ROW.format(total=total).replace(",N,", f",{flag},") for total in totals]
    return write_gzip(
        folder / "green_tripdata_2019-01.csv.gz", [",".join(column.header for column in green.columns), *rows]
    )


@pytest.fixture
def green(green: Source) -> Source:
    """Its months here have a few rows, and any month replaces any other."""
    return replace(green, max_deleted_share=1.0)


def ready_to_merge(connection: psycopg.Connection[object], green: Source, path: Path) -> LoadTables:
    """Run every step of a second load but the last one."""
    tables = LoadTables(green, Month(2019, 1), "manual__2")
    hash_rows(connection, tables, stage_month(connection, tables, source_file(path)))
    check_month(connection, tables)
    return tables


def specified(green: Source, totals: Sequence[int]) -> list[str]:
    return sorted(unique_row_ids(green.columns, [ROW.format(total=total).split(",") for total in totals]))


def published(connection: psycopg.Connection[object], green: Source) -> list[str]:
    return sorted(row_id.replace("-", "") for row_id in ids(connection, green))


@pytest.mark.parametrize("flag", ["N", 'N""'], ids=["canonical", "text"])
@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ([1, 2, 2, 3], [1, 2, 2, 3], Counts(inserted=0, deleted=0, unchanged=4)),
        ([1, 2, 3], [1, 2, 2, 3], Counts(inserted=1, deleted=0, unchanged=3)),
        ([1, 2, 2, 3], [1, 2, 3], Counts(inserted=0, deleted=1, unchanged=3)),
        ([1, 2, 3], [1, 2, 3, 4, 4], Counts(inserted=2, deleted=0, unchanged=3)),
        ([1, 2, 2], [2, 3, 3, 3], Counts(inserted=3, deleted=2, unchanged=1)),
        # As many duplicates as rows that went: no count alone would tell.
        ([1, 2, 3], [1, 1, 2], Counts(inserted=1, deleted=1, unchanged=2)),
        ([1, 2], [3, 3], Counts(inserted=2, deleted=2, unchanged=0)),
    ],
)
def test_duplicates_get_ids_of_their_own(
    before: list[int],
    after: list[int],
    counts: Counts,
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
        totals = [chance.randrange(1, 12) for _ in range(chance.randrange(1, 20))]

        load(connection, green, "2019-01", month_of(tmp_path, green, totals), f"manual__{number}")

        assert published(connection, green) == specified(green, totals), totals


def test_a_partition_that_went_after_the_ids_were_made_is_made_anew_with_its_index(
    connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    load(connection, green, "2019-01", month_of(tmp_path, green, [1, 2]))
    tables = ready_to_merge(connection, green, month_of(tmp_path, green, [2, 2, 3]))
    indexed = f"SELECT indexrelid FROM pg_index WHERE indrelid = '{tables.rows_table}'::regclass"
    assert query(connection, indexed) == [], "the partition's index is enough"
    with connection.transaction():
        connection.execute(f"DROP TABLE {PARTITION}")

    assert merge_month(connection, tables) == Counts(inserted=3, deleted=0, unchanged=0)

    assert published(connection, green) == specified(green, [2, 2, 3])
    assert query(
        connection, f"SELECT indisunique, indisvalid FROM pg_index WHERE indrelid = '{PARTITION}'::regclass"
    ) == [(True, True)]


INDEXES = [
    None,
    "CREATE INDEX ON {} (unique_row_id)",
    "CREATE UNIQUE INDEX ON {} (unique_row_id, total_amount)",
    "CREATE UNIQUE INDEX ON {} (unique_row_id) INCLUDE (total_amount)",
    "CREATE UNIQUE INDEX ON {} (unique_row_id) WHERE total_amount > 100",
    "CREATE UNIQUE INDEX ON {} (MD5(unique_row_id::text))",
]
"""Indexes that don't keep ids unique, or don't say so in a way that can be relied on."""


def exchange_index(connection: psycopg.Connection[object], index: str | None) -> None:
    with connection.transaction():
        connection.execute(f"DROP INDEX {PARTITION}_unique_row_id")
        if index is not None:
            connection.execute(index.format(PARTITION))  # type: ignore[arg-type]


def copy_rows(connection: psycopg.Connection[object]) -> None:
    with connection.transaction():
        connection.execute(f"INSERT INTO {PARTITION} SELECT * FROM {PARTITION} WHERE total_amount < 3")


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("dropped_late", [False, True], ids=["before the ids are made", "after"])
def test_a_partition_without_an_index_that_keeps_ids_unique_gets_it_back(
    index: str | None, dropped_late: bool, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    load(connection, green, "2019-01", month_of(tmp_path, green, [1, 2]))
    if not dropped_late:
        exchange_index(connection, index)
    tables = ready_to_merge(connection, green, month_of(tmp_path, green, [2, 3, 3]))
    if dropped_late:
        exchange_index(connection, index)

    assert merge_month(connection, tables) == Counts(inserted=2, deleted=1, unchanged=1)
    assert published(connection, green) == specified(green, [2, 3, 3])
    of_partition = f"FROM pg_index WHERE indisunique AND indrelid = '{PARTITION}'::regclass"
    definitions = query(connection, f"SELECT pg_get_indexdef(indexrelid) {of_partition}")
    assert any(definition.endswith("btree (unique_row_id)") for (definition,) in definitions)


@pytest.mark.parametrize("index", [None, "CREATE INDEX ON {} (unique_row_id)"])
@pytest.mark.parametrize("dropped_late", [False, True], ids=["before the ids are made", "after"])
def test_a_row_that_was_copied_by_hand_is_told_and_nothing_is_changed(
    index: str | None, dropped_late: bool, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    load(connection, green, "2019-01", month_of(tmp_path, green, [1, 3]))

    def copy_a_row() -> None:
        exchange_index(connection, index)
        copy_rows(connection)

    if not dropped_late:
        copy_a_row()
    # As many rows as the partition has, and the same ids: only where they repeat tells them apart.
    tables = ready_to_merge(connection, green, month_of(tmp_path, green, [1, 1, 3]))
    if dropped_late:
        copy_a_row()
    before = published(connection, green)

    with pytest.raises(
        BalanceError,
        match=f"green 2019-01: .* rows of .*{PARTITION.partition('.')[2]} share an id.*clear the task stage_month",
    ):
        merge_month(connection, tables)

    assert published(connection, green) == before
    assert query(connection, "SELECT state FROM taxiway.loads ORDER BY load_id DESC LIMIT 1") == [("failed",)]


def test_nobody_else_writes_to_the_partition_while_it_is_compared_and_readers_go_on(
    connect: Connect, green: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, other = connect(), connect()
    load(connection, green, "2019-01", month_of(tmp_path, green, [1, 2, 3]))
    with other.transaction():
        other.execute("SET lock_timeout = '50ms'")
    refused: list[str] = []
    of_month = publish.sum_up

    def write_meanwhile(cursor: psycopg.Cursor[object], partition: Partition, layout: Layout) -> PartitionState:
        state = of_month(cursor, partition, layout)
        for statement in (f"DELETE FROM {PARTITION}", f"CREATE INDEX ON {PARTITION} (total_amount)"):
            with pytest.raises(psycopg.errors.LockNotAvailable), other.transaction():
                other.execute(statement)  # type: ignore[arg-type]
            refused.append(statement)
        assert published(other, green) == specified(green, [1, 2, 3])
        return state

    monkeypatch.setattr(publish, "sum_up", write_meanwhile)

    counts = load(connection, green, "2019-01", month_of(tmp_path, green, [1, 1, 2]), "manual__2")

    assert refused
    assert counts == Counts(inserted=1, deleted=1, unchanged=2)
    assert published(connection, green) == specified(green, [1, 1, 2])


def test_a_session_that_goes_on_writing_to_the_partition_is_told(
    connect: Connect, green: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, other = connect(), connect()
    load(connection, green, "2019-01", month_of(tmp_path, green, [1, 2]))
    monkeypatch.setattr("taxiway.warehouses.postgres.session.LOCK_TIMEOUT", "200ms")
    with other.transaction():
        other.execute(f"DELETE FROM {PARTITION}")
        with pytest.raises(
            TransientWarehouseError,
            match=rf"for the table .*{PARTITION.partition('.')[2]}, which another .* Sessions with locks of it: .*"
            rf"server process {other.info.backend_pid}\).* ends one that hangs$",
        ):
            load(connection, green, "2019-01", month_of(tmp_path, green, [1]), "manual__2")
        raise psycopg.Rollback

    assert published(connection, green) == specified(green, [1, 2])
    monkeypatch.undo()
    assert load(connection, green, "2019-01", month_of(tmp_path, green, [1]), "manual__2").deleted == 1


@pytest.mark.parametrize(
    "statement",
    [
        f"DROP TABLE {PARTITION}",
        f"ALTER TABLE {PARTITION} RENAME TO elsewhere",
        f"ALTER TABLE public.green_tripdata DETACH PARTITION {PARTITION}",
    ],
)
def test_a_partition_that_goes_or_moves_before_it_is_locked_is_found_out(
    statement: str, connect: Connect, green: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, other = connect(), connect()
    load(connection, green, "2019-01", month_of(tmp_path, green, [1, 2]))
    tables = ready_to_merge(connection, green, month_of(tmp_path, green, [2, 2]))
    find, statements = partition.find_partition, [statement]

    def find_and_lose(cursor: psycopg.Cursor[object], tables: LoadTables) -> partition.Partition | None:
        found = find(cursor, tables)
        while statements:
            with other.transaction():
                other.execute("SET LOCAL lock_timeout = '10s'")
                other.execute(statements.pop())  # type: ignore[arg-type]
        return found

    monkeypatch.setattr(partition, "find_partition", find_and_lose)

    if "DETACH" in statement:
        with pytest.raises(MainTableError, match="found a table"):
            merge_month(connection, tables)
    else:
        merge_month(connection, tables)
        assert published(connection, green) == specified(green, [2, 2])
    assert statements == []
