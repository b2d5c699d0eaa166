"""The tables of a run, as the steps find them."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.errors import MissingInputError
from taxiway.warehouses.postgres.tables import LoadTables


def require_table(cursor: psycopg.Cursor[Any], tables: LoadTables, table: str, left_by: str) -> None:
    """Make sure that a table of the run is there.

    :param table: its name with its schema
    :param left_by: the step that leaves it, for the error's sake
    :raises MissingInputError: it isn't there
    """
    found = cursor.execute("SELECT to_regclass(%s)", [table]).fetchone()
    if not found or found[0] is None:
        raise MissingInputError(
            f"{tables.source.name} {tables.month}: the table {table} is gone, expected what {left_by} left there: "
            f"clear the task stage_month with its downstream tasks, and the month is staged again"
        )


def count_rows(cursor: psycopg.Cursor[Any], table: str) -> int:
    """Count the rows of a table.

    :param table: its name with its schema: one of :class:`~.tables.LoadTables`, or a partition
    """
    row = cursor.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a name of our own
    return int(row[0]) if row else 0
