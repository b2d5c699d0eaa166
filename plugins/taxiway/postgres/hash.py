"""Gives the rows of a staged month their types and their ids."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.core.errors import UnreadableRowsError
from taxiway.core.sql import render
from taxiway.core.tables import LoadTables
from taxiway.postgres import ledger
from taxiway.postgres.run_tables import count_rows, require_table
from taxiway.postgres.session import transaction
from taxiway.postgres.stage import Staged

MOST_NAMED = 5
"""Unreadable fields that an error names."""


def hash_rows(connection: psycopg.Connection[Any], tables: LoadTables, staged: Staged) -> int:
    """Turn the staging table into typed rows with ``unique_row_id`` and ``filename``.

    The quick way is tried first: it is right wherever every field is written plainly.
    Where it stumbles, every field is looked at.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :param staged: what the stage step returned
    :return: rows that now have an id, each a different one
    :raises StagingMissingError: the staging table is not there
    :raises UnreadableRowsError: fields that don't fit their column; names the first of them
    """
    with transaction(connection) as cursor:
        require_table(cursor, tables, tables.staging_table, left_by="stage_month")
        if not staged.plain or not _hash_quickly(cursor, tables, staged.rows_read):
            _refuse_unreadable(cursor, tables)
            _hash(cursor, tables, lenient=True)
        _make_unique(cursor, tables)
        hashed = count_rows(cursor, tables.rows_table)
        ledger.record(cursor, tables, "hashed", rows_staged=hashed, rows_rejected=staged.rows_read - hashed)
    return hashed


def _hash(cursor: psycopg.Cursor[Any], tables: LoadTables, *, lenient: bool) -> None:
    cursor.execute(
        render(
            "postgres/hash_rows.sql",
            rows_table=tables.rows_table,
            staging_table=tables.staging_table,
            columns=tables.source.columns,
            lenient=lenient,
        ),
        {"filename": tables.source.filename(tables.month)},
    )


def _hash_quickly(cursor: psycopg.Cursor[Any], tables: LoadTables, rows_read: int) -> bool:
    """Hash the rows as they stand; say whether every one could be read that way."""
    try:
        with cursor.connection.transaction():
            _hash(cursor, tables, lenient=False)
    except psycopg.errors.DataError:
        return False  # the rows are looked at one by one next, and the error then names them
    return count_rows(cursor, tables.rows_table) == rows_read


def _refuse_unreadable(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    source, month = tables.source, tables.month
    found = cursor.execute(
        render("postgres/find_unreadable_rows.sql", staging_table=tables.staging_table, columns=source.columns),
        {"most": MOST_NAMED + 1},
    ).fetchall()
    if not found:
        return
    named = [f"line {line}: {column} is {value!r}, expected {_EXPECTED[kind]}" for line, column, kind, value in found]
    if len(found) > MOST_NAMED:
        named[MOST_NAMED:] = ["and more"]
    raise UnreadableRowsError(
        f"{source.name} {month}: {source.filename(month)}: fields that don't fit their columns: {'; '.join(named)}. "
        f"Nothing was loaded: correct the file, or the column's type in include/sources/{source.name}.yaml"
    )


_EXPECTED = {
    "integer": "a whole number between -2147483648 and 2147483647",
    "numeric": "a decimal number",
    "timestamp": "a time as YYYY-MM-DD HH:MM:SS",
}


def _make_unique(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    """Index the ids; where rows repeat within the file, number the repeats first."""
    statement = render("postgres/index_rows.sql", rows_table=tables.rows_table, index_name=tables.index_name)
    values = {"filename": tables.source.filename(tables.month)}
    try:
        with cursor.connection.transaction():
            cursor.execute(statement, values)
    except psycopg.errors.UniqueViolation:
        cursor.execute(
            render("postgres/number_repeated_rows.sql", rows_table=tables.rows_table, columns=tables.source.columns)
        )
        cursor.execute(statement, values)
