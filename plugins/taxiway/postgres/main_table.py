"""The main table of a source and Taxiway's own tables: created where absent, compared where present."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.core.errors import MainTableError
from taxiway.core.sources import ADDED_COLUMNS, Source
from taxiway.core.sql import render
from taxiway.postgres.session import lock, require_server

LEDGER = ("taxiway.loads", "taxiway.rejected_rows", "taxiway.months")
"""Taxiway's own tables and views, besides the main tables."""

_TYPE_NAMES = {"timestamp": "timestamp without time zone"}


def ensure_ledger(cursor: psycopg.Cursor[Any], source: Source) -> None:
    """Create the ledger where it is absent; one of an earlier version gets what it lacks.

    :raises WarehouseError: the server is too old, or not UTF-8
    """
    if _has_current_ledger(cursor):
        return
    require_server(cursor.connection, source.name)
    # Definitions one at a time: CREATE IF NOT EXISTS of two sessions at the same moment collides.
    lock(cursor, "definitions")
    if not _has_current_ledger(cursor):
        cursor.execute(render("postgres/create_ledger.sql"))
        let_reader_read(cursor, *LEDGER)


def ensure_tables(cursor: psycopg.Cursor[Any], source: Source) -> None:
    """Create the ledger and the source's main table where they are absent.

    The role ``taxiway_reader``, where there is one, can read them from then on.

    :raises WarehouseError: the server is too old, or not UTF-8
    :raises MainTableError: a table of that name exists and has other columns, or isn't partitioned
    """
    require_server(cursor.connection, source.name)
    ensure_ledger(cursor, source)
    lock(cursor, "definitions")
    _ensure_main_table(cursor, source)
    let_reader_read(cursor, *LEDGER, f"public.{source.main_table}")


def let_reader_read(cursor: psycopg.Cursor[Any], *tables: str) -> None:
    """Grant the role ``taxiway_reader``, where there is one, to read tables and their partitions.

    :param tables: names with their schemas, of tables and views that are there
    """
    cursor.execute(render("postgres/grant_reader.sql", tables=tables))


def _has_current_ledger(cursor: psycopg.Cursor[Any]) -> bool:
    """Say whether the ledger is there, with the column that came last: an earlier version's lacks it."""
    cursor.execute(
        "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('taxiway.loads') AND attname = 'partition_digest'"
    )
    return cursor.fetchone() is not None


def _ensure_main_table(cursor: psycopg.Cursor[Any], source: Source) -> None:
    found = _described(cursor, source)
    if found is None:
        cursor.execute(
            render(
                "postgres/create_main_table.sql",
                main_table=source.main_table,
                columns=source.columns,
                title=source.title,
            )
        )
        return
    kind, columns = found
    expected = [f"{ADDED_COLUMNS[0]} uuid", f"{ADDED_COLUMNS[1]} text"] + [
        f"{column.name} {_TYPE_NAMES.get(column.type, column.type)}" for column in source.columns
    ]
    if kind != "p" or columns != expected:
        raise MainTableError(
            f"{source.name}: the table public.{source.main_table} is there and isn't the one that Taxiway loads: found "
            f"{'a partitioned' if kind == 'p' else 'an ordinary'} table with {', '.join(columns)}; expected a "
            f"partitioned table with {', '.join(expected)}. Rename it (ALTER TABLE public.{source.main_table} RENAME "
            f"TO …), or give the source another main_table in include/sources/{source.name}.yaml"
        )


def _described(cursor: psycopg.Cursor[Any], source: Source) -> tuple[str, list[str]] | None:
    statement = render("postgres/describe_main_table.sql")
    return cursor.execute(statement, {"table_name": f"public.{source.main_table}"}).fetchone()
