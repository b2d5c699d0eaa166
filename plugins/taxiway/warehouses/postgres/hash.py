"""Gives the rows of a staged month their types and their ids."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.download.download import Download
from taxiway.download.month_file import unpacked_month
from taxiway.errors import MissingInputError
from taxiway.files.rejects import EXPECTED, LONGEST_SHOWN, MOST_KEPT, RejectedLines, reason_against_field
from taxiway.loads.attempts import Attempt
from taxiway.loads.publication import require_few_rejects
from taxiway.messages import counted
from taxiway.warehouses.postgres import ledger, rejects
from taxiway.warehouses.postgres.duplicates import index_ids, make_unique
from taxiway.warehouses.postgres.partition import find_partition
from taxiway.warehouses.postgres.run_tables import count_rows, index_counts, require_table
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.postgres.stage import Staged
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render


def hash_rows(
    connection: psycopg.Connection[Any], tables: LoadTables, attempt: Attempt, file: Download, staged: Staged
) -> int:
    """Turn the staging table into typed rows with ``unique_row_id``, ``filename`` and ``source_month``.

    Rows in typed columns are hashed already. Of rows that were staged as text every field is checked: unreadable rows
    are rejected, the rest is cast and hashed.

    If the month isn't published, duplicate rows get ids of their own here, and an index keeps all ids unique. If it
    is, merge_month numbers them when it compares the rows with the partition, whose index keeps its ids unique.

    Postgres counts the rows that it indexes. So rows in typed columns are counted only if they aren't indexed, or if
    some share an id.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :param attempt: the step's
    :param file: the downloaded file, in which the lines of rejected rows are found again
    :param staged: what the stage step returned
    :return: rows that now have an id
    :raises MissingInputError: the staging table is gone, or has other rows than were staged. Or rows are rejected, and
        the file, which has their lines, is gone or another one
    :raises RejectLimitError: more rows that can't be read than the source allows
    """
    tables = tables.in_layout(attempt.layout)
    rows = (attempt.rows_read or 0) - (attempt.rows_rejected or 0)
    with transaction(connection) as cursor:
        require_table(cursor, tables, tables.staging_table, left_by="stage_month", typed=staged.canonical)
        if not staged.canonical:
            _require_staged(tables, count_rows(cursor, tables.staging_table), rows)
    if not staged.canonical:
        rows -= _reject_unreadable(connection, tables, attempt, file, staged)
    with transaction(connection) as cursor:
        _hash(cursor, tables, staged)
        is_new = find_partition(cursor, tables) is None
        are_unique = is_new and index_ids(cursor, tables)
        if staged.canonical and not (are_unique and index_counts(cursor, tables.index_name, rows)):
            _require_staged(tables, count_rows(cursor, tables.rows_table), rows)
        if is_new and not are_unique:
            make_unique(cursor, tables)
        ledger.record(cursor, attempt, rows_staged=rows)
    return rows


def _require_staged(tables: LoadTables, found: int, expected: int) -> None:
    """Make sure that the staging table, or the typed rows that it has become, are what was staged.

    After a crash the server has emptied a table of text. A worker that was taken for dead may have gone on, and have
    added its rows to the rows of the next try.
    """
    if found != expected:
        raise MissingInputError(
            f"{tables.where}: the staging table {tables.staging_table} holds {counted(found, 'row')}, "
            f"expected the {expected} that stage_month left there; Postgres empties it when it recovers from a "
            f"crash, and two tries at once fill it twice. The task hash_rows stages the file again by itself; if that "
            f"goes on failing, clear the task stage_month with its downstream tasks"
        )


def _hash(cursor: psycopg.Cursor[Any], tables: LoadTables, staged: Staged) -> None:
    """Give text rows their types and ids; others have them already."""
    cursor.execute(
        render(
            "postgres/adopt_canonical_rows.sql" if staged.canonical else "postgres/hash_rows.sql",
            rows_table=tables.rows_table,
            rows_name=tables.rows_name,
            staging_table=tables.staging_table,
            columns=tables.source.columns,
            id_columns=tables.layout.columns,
        ),
        {"filename": tables.filename, "month": tables.month.first_day},
    )


def _reject_unreadable(
    connection: psycopg.Connection[Any], tables: LoadTables, attempt: Attempt, file: Download, staged: Staged
) -> int:
    """Take the rows that don't fit their columns out of the staging table, and keep their lines; count them.

    :raises RejectLimitError: together with the rows rejected before, also by an earlier try, they are too many
    """
    before, dropped = attempt.rows_rejected or 0, 0
    rejected = RejectedLines()
    with transaction(connection) as cursor:
        addresses, reasons = _find_unreadable(cursor, tables)
        if reasons:
            blocks = unpacked_month(tables.source, tables.month, file)
            rejected = rejects.with_raw_lines(blocks, reasons)
            rejects.keep(cursor, tables, attempt, rejected.kept)
            dropped = _drop_unreadable(cursor, tables, addresses)
            ledger.record(cursor, attempt, rows_rejected=before + dropped)
    require_few_rejects(tables, before + dropped, staged.rows_read, rejected.kept)
    return dropped


def _find_unreadable(cursor: psycopg.Cursor[Any], tables: LoadTables) -> tuple[set[str], dict[int, str]]:
    """Find the first rows that don't fit their columns, as many as are kept.

    :return: their addresses, and the reasons by line number
    """
    found = cursor.execute(
        render("postgres/find_unreadable_rows.sql", staging_table=tables.staging_table, columns=tables.source.columns),
        {"most": MOST_KEPT, "longest": LONGEST_SHOWN + 1},
    )
    addresses, reasons = set(), dict[int, str]()
    for address, line, column, kind, value in found:
        addresses.add(address)
        if line not in reasons:
            reasons[line] = reason_against_field(column, value, EXPECTED[kind])
    return addresses, reasons


def _drop_unreadable(cursor: psycopg.Cursor[Any], tables: LoadTables, addresses: set[str]) -> int:
    """Take the rows that don't fit their columns out of the staging table, however many; count them."""
    all_known = len(addresses) < MOST_KEPT
    statement = render(
        "postgres/drop_unreadable_rows.sql",
        staging_table=tables.staging_table,
        columns=tables.source.columns,
        named=all_known,
    )
    return cursor.execute(statement, {"row_addresses": sorted(addresses)} if all_known else None).rowcount
