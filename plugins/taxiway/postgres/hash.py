"""Gives the rows of a staged month their types and their ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from taxiway.core.errors import StagingMissingError
from taxiway.core.gzip_file import unpacked_blocks
from taxiway.core.sql import render
from taxiway.core.tables import LoadTables
from taxiway.postgres import ledger, rejects
from taxiway.postgres.ledger import Attempt
from taxiway.postgres.run_tables import count_rows, require_table
from taxiway.postgres.session import transaction
from taxiway.postgres.stage import Staged

_EXPECTED = {
    "integer": "a whole number between -2147483648 and 2147483647",
    "numeric": "a decimal number",
    "timestamp": "a time as YYYY-MM-DD HH:MM:SS",
    "text": "neither \\N nor the character U+001F, which mean something in a row's id",
}


def hash_rows(connection: psycopg.Connection[Any], tables: LoadTables, staged: Staged) -> int:
    """Turn the staging table into typed rows with ``unique_row_id`` and ``filename``.

    The quick way is tried first: it is right wherever every field is written plainly. Where it
    stumbles, every field is looked at; rows that can't be read are rejected, the others hashed.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :param staged: what the stage step returned
    :return: rows that now have an id, each a different one
    :raises StagingMissingError: the staging table is not there
    :raises RejectLimitError: more rows that can't be read than the source allows
    """
    with ledger.step(connection, tables, "hash_rows") as attempt:
        _require_staged(connection, tables, attempt)
        if not staged.plain or not _hash_quickly(connection, tables, attempt):
            _reject_unreadable(connection, tables, staged, attempt)
            with transaction(connection) as cursor:
                _hash(cursor, tables, attempt, lenient=True)
        with transaction(connection) as cursor:
            return count_rows(cursor, tables.rows_table)


def _require_staged(connection: psycopg.Connection[Any], tables: LoadTables, attempt: Attempt) -> None:
    """Make sure that the staging table holds what was staged: a server that crashed has emptied it."""
    expected = (attempt.rows_read or 0) - (attempt.rows_rejected or 0)
    with transaction(connection) as cursor:
        require_table(cursor, tables, tables.staging_table, left_by="stage_month")
        found = count_rows(cursor, tables.staging_table)
    if found != expected:
        raise StagingMissingError(
            f"{tables.source.name} {tables.month}: the staging table {tables.staging_table} holds {found} rows, "
            f"expected the {expected} that stage_month left there; Postgres empties it when it recovers from a "
            f"crash. Clear the task stage_month with its downstream tasks, and the month is staged again"
        )


def _hash_quickly(connection: psycopg.Connection[Any], tables: LoadTables, attempt: Attempt) -> bool:
    """Hash the rows as they stand; say whether every one could be read that way."""
    try:
        with transaction(connection) as cursor:
            expected = (attempt.rows_read or 0) - (attempt.rows_rejected or 0)
            if _hash(cursor, tables, attempt, lenient=False) != expected:
                raise _StumbledError
    except (psycopg.errors.DataError, _StumbledError):
        return False  # the rows are looked at one by one next
    return True


class _StumbledError(Exception):
    """A timestamp is written in a way that the row id doesn't have."""


def _hash(cursor: psycopg.Cursor[Any], tables: LoadTables, attempt: Attempt, *, lenient: bool) -> int:
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
    _make_unique(cursor, tables)
    hashed = count_rows(cursor, tables.rows_table)
    attempt.record(cursor, rows_staged=hashed)
    return hashed


def _reject_unreadable(
    connection: psycopg.Connection[Any], tables: LoadTables, staged: Staged, attempt: Attempt
) -> None:
    """Take the rows that don't fit their columns out of the staging table, and keep their lines."""
    source = tables.source
    with transaction(connection) as cursor:
        found = cursor.execute(
            render("postgres/find_unreadable_rows.sql", staging_table=tables.staging_table, columns=source.columns),
            {"most": rejects.MOST_KEPT + 1},
        ).fetchall()
        if not found:
            return
        addresses, reasons = set(), dict[int, str]()
        for address, line, column, kind, value in found:
            addresses.add(address)
            reasons.setdefault(line, f"{column} is {value!r}, expected {_EXPECTED[kind]}")
        rejected = rejects.with_raw_lines(unpacked_blocks(Path(staged.path)), reasons)
        rejects.keep(cursor, tables, attempt, rejected)
        before = attempt.rows_rejected or 0
        attempt.record(cursor, rows_rejected=before + len(rejected))
        cursor.execute(
            render("postgres/drop_unreadable_rows.sql", staging_table=tables.staging_table),
            {"row_addresses": sorted(addresses)},
        )
    rejects.check_limit(tables, rejected, staged.rows_read, before)


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
