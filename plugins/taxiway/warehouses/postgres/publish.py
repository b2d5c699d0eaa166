"""Publishes the rows of a month."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from taxiway.errors import BalanceError
from taxiway.loads.attempts import Attempt
from taxiway.loads.deletions import DeletionGuard, Deletions
from taxiway.loads.load import Counts
from taxiway.loads.publication import BEFORE, Difference, Published, require_latest
from taxiway.messages import counted
from taxiway.warehouses.postgres import ledger
from taxiway.warehouses.postgres.duplicates import index_ids, make_unique, number_duplicates
from taxiway.warehouses.postgres.main_table import let_reader_read, require_current
from taxiway.warehouses.postgres.main_table_objects import (
    firing,
    lock_main_table,
    login_search_path,
    must_insert,
    naming_the_constraint,
    require_no_obstacle,
    take_over,
)
from taxiway.warehouses.postgres.partition import Partition, PartitionState, find_partition, lock_partition, sum_up
from taxiway.warehouses.postgres.published import counts_alone_agree, difference_to, find_published
from taxiway.warehouses.postgres.run_tables import require_table
from taxiway.warehouses.postgres.session import lock, transaction
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render

LONGEST_TURN = "30min"
"""Longest wait until other months of the same main table are attached."""

_TURN_ADVICE = (
    "It attaches another month of the same table, and inserts its rows one by one if a trigger or a publication waits "
    "for them: let it end. A backfill with --max-active-runs 1 loads one month after another"
)

log = logging.getLogger(__name__)


def merge_month(
    connection: psycopg.Connection[Any], tables: LoadTables, attempt: Attempt, guard: DeletionGuard
) -> Counts:
    """Publish the month in one transaction: whole, or not at all.

    A month that the main table doesn't hold yet arrives as a new partition. One that it
    holds is brought to the state of the file, row by row; rows that stay are not touched. Meanwhile
    it is read as ever, and written to by nobody else. Duplicate rows of its file get their ids here.
    If somebody else has changed the partition since it was published, its rows' values are compared, too.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :param attempt: the step's
    :param guard: decides whether rows may be deleted
    :return: rows that were inserted and deleted, and that stayed unchanged
    :raises MissingInputError: the rows are not there
    :raises BalanceError: the main table would not hold the staged rows, or would hold an id twice
    :raises TransientWarehouseError: another session has the month's lock, or goes on writing to its partition
    :raises SupersededError: a run that began later has published the month from another file, or found it published
    :raises CheckFailedError: rows break a key of the main table, or another constraint that came meanwhile
    :raises DestructiveCorrectionError: the guard lets the rows not be deleted
    :raises MainTableError: the main table can't be brought over from an earlier version; another table has the name of
        the month's partition, or another index the name of its index; or an object on the main table keeps the month
        out, or its rows from being changed
    """
    tables = tables.in_layout(attempt.layout)
    with _month_held(connection, tables) as held:
        cursor, partition, state = held.cursor, held.partition, held.state
        require_table(cursor, tables, tables.rows_table, left_by="hash_rows")
        if held.published is not None:
            later = int(held.published.fetched_load_id) > int(attempt.fetched_load_id)
            require_latest(tables, attempt.sha256 or "", held.published.sha256, later=later)
        if held.difference:
            log.warning("%s: %s: its rows are brought to the state of the file", tables.where, held.difference)
        inserted: int | None = None  # all of them
        deleted = 0
        if partition is not None and state is not None:
            both = _Both(tables, partition, state.rows, compare_values=held.difference is not None)
            with naming_the_constraint(cursor, tables):
                inserted, deleted = _replace(
                    cursor, attempt, both, lambda found: guard.require_few(held.published, lambda: found)
                )
        else:
            with naming_the_constraint(cursor, tables):
                _attach(cursor, tables)
        state = _require_balance(cursor, tables, attempt)
        inserted = state.rows if inserted is None else inserted
        counts = Counts(inserted, deleted, unchanged=state.rows - inserted)
        cursor.execute(render("postgres/forget_digests.sql"), ledger.month_key(tables))
        ledger.record(
            cursor,
            attempt,
            "published",
            rows_inserted=counts.inserted,
            rows_deleted=counts.deleted,
            rows_unchanged=counts.unchanged,
            partition_digest=state.digest,
            warnings=with_difference(attempt.warnings, held.difference),
            error=None,
        )
    return counts


def with_difference(warnings: Sequence[str], difference: str | None) -> list[str]:
    """Add how the main table differed from the ledger, unless download_month has said it."""
    if difference is None or any(text.startswith(BEFORE) for text in warnings):
        return list(warnings)
    return [*warnings, Difference(difference).warning]


def require_published(connection: psycopg.Connection[Any], tables: LoadTables, attempt: Attempt) -> None:
    """Make sure that the main table still holds the month as this run has published it.

    :raises BalanceError: its rows have changed since
    """
    with _month_held(connection, tables.in_layout(attempt.layout)) as held:
        # Of one that an earlier version published, the counts are all that can be compared.
        if held.difference is None or (held.published is not None and counts_alone_agree(held.published, held.state)):
            return
    raise BalanceError(
        f"{tables.where}: this run has published the month already, and its rows aren't known to be the same: "
        f"{held.difference}. Nothing was changed: clear the task download_month with its downstream tasks, which "
        f"compares every value with the file"
    )


@dataclass(frozen=True)
class _Held:
    """A month that no other session publishes or writes to until the transaction ends.

    :param cursor: of the transaction
    :param partition: of the main table; None if it doesn't hold the month
    :param state: of the partition
    :param published: what the ledger knows of the month
    :param difference: between main table and ledger, in words; None if there is none
    """

    cursor: psycopg.Cursor[Any]
    partition: Partition | None
    state: PartitionState | None
    published: Published | None
    difference: str | None


@contextmanager
def _month_held(connection: psycopg.Connection[Any], tables: LoadTables) -> Iterator[_Held]:
    with transaction(connection) as cursor:
        require_current(cursor, tables.source)
        lock(cursor, "month", tables.source.name, str(tables.month), holder=tables.name)
        partition = lock_partition(cursor, tables)
        published = find_published(cursor, tables)
        layout = tables.in_layout(published.layout).layout if published else tables.layout
        state = sum_up(cursor, partition, layout) if partition else None
        yield _Held(cursor, partition, state, published, difference_to(tables, published, partition, state))


def _require_balance(cursor: psycopg.Cursor[Any], tables: LoadTables, attempt: Attempt) -> PartitionState:
    """Make sure, before it is committed, that the main table holds as many rows of the month as were staged.

    :return: the partition's state
    """
    partition = find_partition(cursor, tables)
    state = sum_up(cursor, partition, tables.layout) if partition else None
    found = state.rows if state else 0
    if state is None or found != attempt.rows_staged:
        raise BalanceError(
            f"{tables.where}: the month doesn't balance: public.{tables.source.main_table} would "
            f"hold {counted(found, 'row')} of {tables.filename}, expected the {attempt.rows_staged} that "
            f"were staged. Nothing was changed: look for triggers and rules on the partition, and clear the task "
            f"stage_month with its downstream tasks"
        )
    return state


def _attach(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    """Attach a month that the main table doesn't hold: with its rows, or before they are inserted."""
    names = {
        "rows_table": tables.rows_table,
        "rows_name": tables.rows_name,
        "main_table": tables.source.main_table,
        "partition_name": tables.partition_name,
        "index_name": tables.index_name,
        "partition_index": tables.partition_index,
        "columns": tables.source.columns,
    }
    # The rows are indexed, unless the month was published when they got their ids, and its partition went since.
    if not index_ids(cursor, tables):
        make_unique(cursor, tables)
    # Postgres attaches the partitions of a table one after another, and a trigger for each row may take long.
    lock(cursor, "attach", tables.source.main_table, holder=tables.name, longest=LONGEST_TURN, advice=_TURN_ADVICE)
    lock_main_table(cursor, tables)
    # Somebody may have defined something during the load, or during the wait.
    require_no_obstacle(cursor, tables)
    by_inserts = must_insert(cursor, tables)
    cursor.execute(render(f"postgres/{'create_empty_partition' if by_inserts else 'move_rows'}.sql", **names))
    take_over(cursor, tables)
    with login_search_path(cursor):
        cursor.execute(render("postgres/publish_month.sql", **names), {"month": tables.month.first_day})
    if by_inserts:
        with firing(cursor):
            cursor.execute(render("postgres/insert_rows.sql", **names))
    let_reader_read(cursor, f"public.{tables.partition_name}")


@dataclass(frozen=True)
class _Both:
    """A published month and the rows that are about to replace it.

    :param tables: the load's tables
    :param partition: the published month
    :param rows: that it holds
    :param compare_values: whether a row with the same id may have other values, because somebody changed it by hand
    """

    tables: LoadTables
    partition: Partition
    rows: int
    compare_values: bool

    @property
    def names(self) -> dict[str, Any]:
        return {
            "differences_table": self.tables.differences_table,
            "rows_table": self.tables.rows_table,
            "partition": self.partition.name,
            "columns": self.tables.source.columns,
        }


def _replace(
    cursor: psycopg.Cursor[Any], attempt: Attempt, both: _Both, require_few: Callable[[Deletions], None]
) -> tuple[int, int]:
    """Bring the partition to the state of the file; return how many rows came, and how many went.

    A row that gets other values counts as one of each.

    :param require_few: raises an error if the rows must not be deleted
    """
    if not both.partition.has_unique_ids:
        _restore_index(cursor, both.tables, both.partition)
    found = _compare(cursor, attempt, both)
    if not found.have_unique_ids:
        number_duplicates(cursor, both.tables)
        found = _compare(cursor, attempt, both)
    if found.rows == 0:
        return 0, 0
    require_few(Deletions(found.deleted, both.rows))
    require_no_obstacle(cursor, both.tables)
    with _of_another_file(cursor, both), firing(cursor):
        row = cursor.execute(render("postgres/merge_month.sql", **both.names)).fetchone()
    inserted, deleted, updated, changed = row or (0, 0, 0, 0)
    if updated != changed:
        raise BalanceError(
            f"{both.tables.where}: the month doesn't balance: {counted(updated, 'row')} of "
            f"{both.partition.name} would get the values of the file, expected the {changed} that differ. Nothing was "
            f"changed: look for triggers on the partition that keep rows from being updated, and clear the task "
            f"stage_month with its downstream tasks"
        )
    return inserted + updated, deleted + updated


@contextmanager
def _of_another_file(cursor: psycopg.Cursor[Any], both: _Both) -> Iterator[None]:
    """Let rows that an earlier file of another name had get the name of the file."""
    values = {"filename": both.tables.filename, "month": both.tables.month.first_day}
    partition = both.partition.name.replace("%", "%%")
    statement = f"SELECT EXISTS(SELECT FROM {partition} WHERE filename <> %s)"  # noqa: S608 our name
    if not both.compare_values or cursor.execute(statement, [both.tables.filename]).fetchone() == (False,):
        yield
        return
    cursor.execute(f"ALTER TABLE {both.partition.name} DROP CONSTRAINT IF EXISTS of_one_file")
    yield
    cursor.execute(
        f"ALTER TABLE {partition} ADD CONSTRAINT of_one_file "
        f"CHECK (filename = %(filename)s AND source_month = %(month)s::date)",
        values,
    )


def _restore_index(cursor: psycopg.Cursor[Any], tables: LoadTables, partition: Partition) -> None:
    """Create the partition's unique index again; without it nothing shows that its ids are unique."""
    try:
        with cursor.connection.transaction():
            cursor.execute(render("postgres/restore_index.sql", partition=partition.name))
    except psycopg.errors.UniqueViolation as error:
        raise BalanceError(
            f"{tables.where}: the month doesn't balance: rows of {partition.name} share an id, "
            f"expected each to have one of its own; the unique index on its unique_row_id, which saw to that, is gone. "
            f"Nothing was changed: delete the rows that were written to that table by hand, and clear the task "
            f"stage_month with its downstream tasks, which makes the index again"
        ) from error


@dataclass(frozen=True)
class _Differences:
    """Where the partition and the file differ.

    :param rows: of the partition or of the file that the other one doesn't have, or has with other values
    :param deleted: rows of the partition that the file doesn't have
    :param have_unique_ids: whether no two rows of the file have the same id
    """

    rows: int
    deleted: int
    have_unique_ids: bool


def _compare(cursor: psycopg.Cursor[Any], attempt: Attempt, both: _Both) -> _Differences:
    """Find where the partition and the file differ, and whether no two rows of the file have the same id.

    An index would say the latter, too, but takes its time besides the comparison, which is needed anyway. The
    partition's ids are unique. Those of the file are, too, if as many of its rows were found in the partition as rows
    of the partition were found in the file, and the rows that were not found have different ids. check_month has made
    sure that the rows are as many as were staged.
    """
    cursor.execute(render("postgres/find_differences.sql", **both.names, compare_values=both.compare_values))
    counts = render("postgres/count_differences.sql", differences_table=both.tables.differences_table)
    gone, came, came_ids, deleted = cursor.execute(counts).fetchone() or (0, 0, 0, 0)
    have_unique_ids = came == came_ids and attempt.rows_staged == both.rows - gone + came
    return _Differences(gone + came, deleted, have_unique_ids)
