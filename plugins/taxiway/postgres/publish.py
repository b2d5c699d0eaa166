"""Publishes the rows of a month."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.core.errors import BalanceError, MainTableError, OvertakenError
from taxiway.core.sql import render
from taxiway.core.tables import LoadTables
from taxiway.postgres import ledger
from taxiway.postgres.ledger import Attempt, Published
from taxiway.postgres.main_table import let_reader_read
from taxiway.postgres.partition import Partition, find_partition, lock_partition
from taxiway.postgres.published import find_published
from taxiway.postgres.repeats import make_unique, number_repeated
from taxiway.postgres.run_tables import count_rows, require_table
from taxiway.postgres.session import lock, transaction


def merge_month(connection: psycopg.Connection[Any], tables: LoadTables) -> Published:
    """Publish the month in one transaction: whole, or not at all.

    A month that the main table doesn't hold yet arrives as a new partition. One that it
    holds is brought to the state of the file, row by row; rows that stay are not touched. Meanwhile
    it is read as ever, and written to by nobody else. Rows that repeat within its file get their ids here.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :return: rows that came, went and stayed
    :raises StagingMissingError: the rows are not there
    :raises BalanceError: the main table would not hold the rows that were staged, or an id twice
    :raises WarehouseBusyError: another session has the month's lock, or goes on writing to its partition
    :raises OvertakenError: a run that began later has published the month from another file, or found it published
    :raises MainTableError: a table that isn't the month's partition has its name, or one's index that of its index
    """
    source, month = tables.source, tables.month
    with ledger.step(connection, tables, "merge_month") as attempt, transaction(connection) as cursor:
        lock(cursor, "month", source.name, str(month), holder=tables.load_name)
        partition = lock_partition(cursor, tables)
        # A worker that was killed after publishing, and before it could say so, tries again.
        if attempt.published is not None and partition is not None:
            return attempt.published
        require_table(cursor, tables, tables.rows_table, left_by="hash_rows")
        _refuse_if_overtaken(cursor, tables, attempt)
        inserted: int | None = None  # all of them
        deleted = 0
        if partition is not None:
            inserted, deleted = _replace(cursor, tables, attempt, partition)
        else:
            _attach(cursor, tables)
        rows = _require_balance(cursor, tables, attempt)
        inserted = rows if inserted is None else inserted
        counts = Published(inserted, deleted, unchanged=rows - inserted)
        attempt.publish(cursor, counts)
    return counts


def _require_balance(cursor: psycopg.Cursor[Any], tables: LoadTables, attempt: Attempt) -> int:
    """Make sure, before it is committed, that the main table holds as many rows of the month as were staged.

    :return: these rows
    """
    partition = find_partition(cursor, tables)
    found = count_rows(cursor, partition.name) if partition else 0
    if found != attempt.rows_staged:
        raise BalanceError(
            f"{tables.source.name} {tables.month}: the month doesn't balance: public.{tables.source.main_table} would "
            f"hold {found} rows of {tables.source.filename(tables.month)}, expected the {attempt.rows_staged} that "
            f"were staged. Nothing was changed: look for triggers and rules on the partition, and clear the task "
            f"stage_month with its downstream tasks"
        )
    return found


def _refuse_if_overtaken(cursor: psycopg.Cursor[Any], tables: LoadTables, attempt: Attempt) -> None:
    """Of two runs of a month, the file of the one that fetched it later stays: another try makes a file no newer."""
    published = find_published(cursor, tables)
    if published is None or published.fetched_load_id <= attempt.fetched_load_id or published.sha256 == attempt.sha256:
        return
    raise OvertakenError(
        f"{tables.source.name} {tables.month}: a run that began later has published the month meanwhile, or found it "
        f"published, from another file (SHA-256 {published.sha256}); expected to publish {attempt.sha256}. Nothing was "
        f"changed: run the month again if this file is the right one"
    )


def _attach(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    for name in (tables.partition_name, tables.partition_index):
        _require_free(cursor, tables, f"public.{name}")
    # The rows are indexed, unless the month was published when they got their ids, and its partition went since.
    make_unique(cursor, tables)
    cursor.execute(
        render(
            "postgres/publish_month.sql",
            rows_table=tables.rows_table,
            rows_name=tables.rows_name,
            main_table=tables.source.main_table,
            partition_name=tables.partition_name,
            index_name=tables.index_name,
            partition_index=tables.partition_index,
        ),
        {"filename": tables.source.filename(tables.month)},
    )
    let_reader_read(cursor, f"public.{tables.partition_name}")


def _require_free(cursor: psycopg.Cursor[Any], tables: LoadTables, name: str) -> None:
    """Make sure that nothing has a name that the month's partition or its index needs.

    :param name: with its schema
    """
    (holder,) = cursor.execute(render("postgres/find_name_holder.sql"), {"table_name": name}).fetchone() or (None,)
    if holder is not None:
        raise MainTableError(
            f"{tables.source.name} {tables.month}: found a table {holder} that is not the partition of "
            f"{tables.source.filename(tables.month)}, and has the name {name} for itself or for its index; expected "
            f"that name to be free. Nothing was changed: attach it (ALTER TABLE public.{tables.source.main_table} "
            f"ATTACH PARTITION …), drop it, or rename it and the index {tables.partition_index}"
        )


def _replace(
    cursor: psycopg.Cursor[Any], tables: LoadTables, attempt: Attempt, partition: Partition
) -> tuple[int, int]:
    """Bring the partition to the state of the file; return how many rows came, and how many went."""
    if not partition.has_unique_ids:
        _restore_index(cursor, tables, partition)
    if not _compare(cursor, tables, attempt, partition):
        number_repeated(cursor, tables)
        _compare(cursor, tables, attempt, partition)
    row = cursor.execute(
        render("postgres/merge_month.sql", **_of_both(tables, partition), columns=tables.source.columns)
    ).fetchone()
    return row if row else (0, 0)


def _restore_index(cursor: psycopg.Cursor[Any], tables: LoadTables, partition: Partition) -> None:
    """Give the partition its unique index back, without which nothing shows whether an id stands twice."""
    try:
        with cursor.connection.transaction():
            cursor.execute(render("postgres/restore_index.sql", partition=partition.name))
    except psycopg.errors.UniqueViolation as error:
        raise BalanceError(
            f"{tables.source.name} {tables.month}: the month doesn't balance: rows of {partition.name} share an id, "
            f"expected each to have one of its own; the unique index on its unique_row_id, which saw to that, is gone. "
            f"Nothing was changed: delete the rows that were written to that table by hand, and clear the task "
            f"stage_month with its downstream tasks, which makes the index again"
        ) from error


def _compare(cursor: psycopg.Cursor[Any], tables: LoadTables, attempt: Attempt, partition: Partition) -> bool:
    """Find where the partition and the file differ; say whether no two rows of the file have the same id.

    An index would say so, too, but takes its time besides the comparison, which is needed anyway. The partition's ids
    being unique, those of the file are where as many of its rows were found in the partition as rows of the partition
    were found in the file, and those that weren't have different ids. That the rows are as many as were staged is
    what check_month has made sure.
    """
    published = count_rows(cursor, partition.name)
    cursor.execute(render("postgres/find_differences.sql", **_of_both(tables, partition)))
    counts = render("postgres/count_differences.sql", differences_table=tables.differences_table)
    gone, came, came_ids = cursor.execute(counts).fetchone() or (0, 0, 0)
    return came == came_ids and attempt.rows_staged == published - gone + came


def _of_both(tables: LoadTables, partition: Partition) -> dict[str, str]:
    return {
        "differences_table": tables.differences_table,
        "rows_table": tables.rows_table,
        "partition": partition.name,
    }
