"""The tables of a run, as the steps find them."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.errors import MissingInputError
from taxiway.sources.source_file import MONTH_COLUMN
from taxiway.warehouses.postgres.tables import STAGING_SCHEMA, LoadTables

_EXACT_BELOW = 2**24
# A float of four bytes, as pg_class has it, tells whole numbers apart up to here.


def require_table(
    cursor: psycopg.Cursor[Any], tables: LoadTables, table: str, left_by: str, *, typed: bool = True
) -> None:
    """Make sure that a table of the run is there.

    :param table: its name with its schema
    :param typed: whether it holds typed rows, which an earlier version leaves without their month
    :param left_by: the step that leaves it, for the error's sake
    :raises MissingInputError: it isn't there
    """
    column = MONTH_COLUMN if typed else tables.source.columns[0].name
    statement = "SELECT attname = %s FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
    found = cursor.execute(statement, [column, table]).fetchall()
    if (True,) not in found:
        state = "is an earlier version's" if found else "is gone"
        raise MissingInputError(
            f"{tables.where}: the table {table} {state}, expected what {left_by} left there: "
            f"clear the task stage_month with its downstream tasks, and the month is staged again"
        )


def count_rows(cursor: psycopg.Cursor[Any], table: str) -> int:
    """Count the rows of a table.

    :param table: its name with its schema: one of :class:`~.tables.LoadTables`, or a partition
    """
    row = cursor.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a name of our own
    return int(row[0]) if row else 0


def index_counts(cursor: psycopg.Cursor[Any], index: str, rows: int) -> bool:
    """Say whether Postgres counted so many rows when it built an index.

    That spares reading the table once more. False says nothing: Postgres may not have kept the number.

    :param index: its name in Taxiway's staging schema; built in this transaction. If rows of its table were updated or
        deleted before, Postgres may have counted what they were, too
    :param rows: how many there should be
    """
    statement = "SELECT reltuples = %s FROM pg_catalog.pg_class WHERE oid = to_regclass(%s)"
    found = cursor.execute(statement, [rows, f"{STAGING_SCHEMA}.{index}"]).fetchone()
    return found == (True,) and rows < _EXACT_BELOW
