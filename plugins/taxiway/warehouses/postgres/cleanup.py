"""Drops what runs have left: tables of the staging schema that no run needs any more."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.warehouses.postgres import ledger
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.postgres.tables import STAGING_SCHEMA, LoadTables
from taxiway.warehouses.sql import render


def drop_staging(connection: psycopg.Connection[Any], tables: LoadTables) -> None:
    """Drop what a run left in the staging schema; nothing there is fine."""
    with transaction(connection) as cursor:
        _drop(cursor, tables)


def sweep_staging(connection: psycopg.Connection[Any], tables: LoadTables) -> None:
    """Drop what earlier attempts of this run, and other runs of its month that are over, left behind.

    A run drops its own tables, unless it is cut off: by its timeout, or with its worker and every retry.
    """
    with transaction(connection) as cursor:
        _drop(cursor, tables)
        left = cursor.execute(
            "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = %s AND starts_with(tablename, %s)",
            [STAGING_SCHEMA, tables.month_prefix],
        ).fetchone()
        if left == (0,):
            return
        for run_id in ledger.finished_runs(cursor, tables):
            _drop(cursor, LoadTables(tables.source, tables.month, run_id))


def _drop(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    cursor.execute(
        render(
            "postgres/drop_staging.sql",
            staging_table=tables.staging_table,
            rows_table=tables.rows_table,
            differences_table=tables.differences_table,
        )
    )
