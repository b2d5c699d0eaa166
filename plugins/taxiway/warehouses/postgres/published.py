"""What the ledger knows of published months, and whether the main table still holds them."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.loads.publication import Published
from taxiway.messages import counted
from taxiway.warehouses.postgres.ledger import month_key
from taxiway.warehouses.postgres.partition import Partition, PartitionState
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render


def find_published(cursor: psycopg.Cursor[Any], tables: LoadTables) -> Published | None:
    """Find what a month's published rows were loaded from; None if nothing was published."""
    row = cursor.execute(render("postgres/find_published.sql"), month_key(tables)).fetchone()
    return Published(*row) if row else None


def difference_to(
    tables: LoadTables, published: Published | None, partition: Partition | None, state: PartitionState | None
) -> str | None:
    """Say how the main table differs from what the ledger says of the month; None if it doesn't.

    :param published: what the ledger knows
    :param partition: what the main table holds; None if it doesn't hold the month
    :param state: of the partition
    """
    if partition is None or state is None:
        if published is None:
            return None
        return (
            f"public.{tables.source.main_table} has no partition of {tables.filename}, "
            f"the ledger has {counted(published.rows_staged, 'row')}"
        )
    if published is None:
        return f"{partition.name} holds {counted(state.rows, 'row')} that the ledger knows nothing of"
    if state.rows != published.rows_staged:
        return f"{partition.name} holds {counted(state.rows, 'row')}, the ledger has {published.rows_staged}"
    if published.filename != tables.filename:
        return f"{partition.name} was published from {published.filename}, a month's file is {tables.filename} now"
    if published.digest is None:
        return f"an earlier version published {partition.name}, and noted no digest of its rows: they may be changed"
    if state.digest != published.digest:
        return f"{partition.name} was changed since the ledger's load published its {counted(state.rows, 'row')}"
    return None


def counts_alone_agree(published: Published, state: PartitionState | None) -> bool:
    """Say whether the partition holds as many rows as were published, and no digest tells more.

    :param published: what the ledger knows
    :param state: of the partition
    """
    return published.digest is None and state is not None and state.rows == published.rows_staged


def rows_of_neighbours(cursor: psycopg.Cursor[Any], tables: LoadTables) -> list[int]:
    """Count the rows of the month before and the month after, as far as they are published."""
    month = tables.month
    cursor.execute(
        render("postgres/find_neighbours.sql"),
        {
            **month_key(tables),
            "month_before": month.previous().first_day,
            "month_after": month.next().first_day,
        },
    )
    return [row[0] for row in cursor.fetchall()]
