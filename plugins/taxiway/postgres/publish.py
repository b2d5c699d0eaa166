"""Checks the rows of a month, publishes them, and clears up behind the run."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.core.errors import BalanceError
from taxiway.core.sql import render
from taxiway.core.tables import LoadTables
from taxiway.postgres import ledger
from taxiway.postgres.ledger import Published
from taxiway.postgres.run_tables import count_rows, require_table
from taxiway.postgres.session import lock, transaction


def check_month(connection: psycopg.Connection[Any], tables: LoadTables) -> int:
    """Check that the month balances: rows read = rows ready to be published + rows rejected.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :return: rows that are ready to be published
    :raises StagingMissingError: the rows are not there
    :raises BalanceError: the counts disagree
    """
    source, month = tables.source, tables.month
    with ledger.step(connection, tables, "check_month") as attempt, transaction(connection) as cursor:
        require_table(cursor, tables, tables.rows_table, left_by="hash_rows")
        read, rejected = attempt.rows_read or 0, attempt.rows_rejected or 0
        row = cursor.execute(
            render("postgres/check_month.sql", rows_table=tables.rows_table), {"filename": source.filename(month)}
        ).fetchone()
        ready, of_file = row if row else (0, 0)
        if read != ready + rejected or of_file != ready:
            raise BalanceError(
                f"{source.name} {month}: the month doesn't balance: {read} rows read, {ready} ready to be published "
                f"({of_file} of them of {source.filename(month)}), {rejected} rejected; expected read = ready + "
                f"rejected. Nothing was published: clear the task stage_month to stage the file again"
            )
    return int(ready)


def merge_month(connection: psycopg.Connection[Any], tables: LoadTables) -> Published:
    """Publish the month in one transaction: whole, or not at all.

    A month that the main table doesn't hold yet arrives as a new partition. One that it
    holds is brought to the state of the file, row by row; rows that stay are not touched.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :return: rows that came, went and stayed
    :raises StagingMissingError: the rows are not there
    """
    source, month = tables.source, tables.month
    with ledger.step(connection, tables, "merge_month") as attempt:
        # A worker that was killed after publishing, and before it could say so, tries again.
        if attempt.published is not None:
            return attempt.published
        with transaction(connection) as cursor:
            lock(cursor, "month", source.name, str(month))
            require_table(cursor, tables, tables.rows_table, left_by="hash_rows")
            if is_published(cursor, tables):
                counts = _replace(cursor, tables)
            else:
                counts = Published(inserted=_attach(cursor, tables), deleted=0, unchanged=0)
            attempt.publish(cursor, counts)
    return counts


def drop_staging(connection: psycopg.Connection[Any], tables: LoadTables) -> None:
    """Drop what the run left in the staging schema; nothing there is fine."""
    with transaction(connection) as cursor:
        cursor.execute(
            render("postgres/drop_staging.sql", staging_table=tables.staging_table, rows_table=tables.rows_table)
        )


def is_published(cursor: psycopg.Cursor[Any], tables: LoadTables) -> bool:
    """Say whether the main table holds the month."""
    row = cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(%s) AND inhparent = to_regclass(%s))",
        [f"public.{tables.partition_name}", f"public.{tables.source.main_table}"],
    ).fetchone()
    return bool(row and row[0])


def _attach(cursor: psycopg.Cursor[Any], tables: LoadTables) -> int:
    inserted = count_rows(cursor, tables.rows_table)
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
    return inserted


def _replace(cursor: psycopg.Cursor[Any], tables: LoadTables) -> Published:
    row = cursor.execute(
        render(
            "postgres/merge_month.sql",
            rows_table=tables.rows_table,
            partition_name=tables.partition_name,
            columns=tables.source.columns,
        )
    ).fetchone()
    inserted, deleted = row if row else (0, 0)
    return Published(inserted=inserted, deleted=deleted, unchanged=count_rows(cursor, tables.rows_table) - inserted)
