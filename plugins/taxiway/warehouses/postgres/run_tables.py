"""The tables of a run, as the steps find them."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.errors import MissingInputError
from taxiway.sources.source_file import MONTH_COLUMN
from taxiway.warehouses.postgres.tables import LoadTables


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
