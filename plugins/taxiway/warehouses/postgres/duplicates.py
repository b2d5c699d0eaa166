"""Duplicate rows of a file: each gets an id of its own."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render

_MOST_NAMED = 10_000
"""Most duplicate ids that are passed to the statement that numbers their rows; with more, it reads every row."""

_SORT_IN_HALVES = """
SET LOCAL work_mem = '64MB';
SET LOCAL enable_hashagg = off;
SET LOCAL min_parallel_table_scan_size = '1TB';
"""
# Without statistics the planner expects few different ids, and would hash them, or sort them in one process.


def index_ids(cursor: psycopg.Cursor[Any], tables: LoadTables) -> bool:
    """Index the ids of the typed rows, unless they are indexed; say whether each row has one of its own.

    If two rows share an id, no index is made.
    """
    try:
        with cursor.connection.transaction():
            _index(cursor, tables)
    except psycopg.errors.UniqueViolation:
        return False
    return True


def make_unique(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    """Number the duplicate rows of the file, and index the ids of all rows."""
    number_duplicates(cursor, tables)
    _index(cursor, tables)


def _index(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    cursor.execute(render("postgres/index_rows.sql", rows_table=tables.rows_table, index_name=tables.index_name))


def number_duplicates(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    """Give the duplicate rows of the file ids of their own."""
    # A publication of all tables lets nobody change rows that it can't name.
    cursor.execute(f"ALTER TABLE {tables.rows_table} REPLICA IDENTITY FULL")
    # Rolled back, so that the settings are gone afterwards: with them, no index is built by two processes.
    with cursor.connection.transaction(force_rollback=True):
        cursor.execute(_SORT_IN_HALVES)
        found = cursor.execute(
            render("postgres/find_duplicate_rows.sql", rows_table=tables.rows_table), {"most": _MOST_NAMED + 1}
        ).fetchall()
    cursor.execute(
        render(
            "postgres/number_duplicate_rows.sql",
            rows_table=tables.rows_table,
            id_columns=tables.layout.columns,
            named=len(found) <= _MOST_NAMED,
        ),
        {"duplicate_ids": [row[0] for row in found]},
    )
