"""What the ledger knows of published months, and whether the main table still holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from taxiway.warehouses.postgres.ledger import month_key
from taxiway.warehouses.postgres.partition import Partition, PartitionState
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render


@dataclass(frozen=True)
class PublishedFile:
    """What a month's published rows were loaded from.

    :param fetched_load_id: the last attempt that fetched the file: to publish it, or to find it published already
    :param sha256: of the file, in hexadecimal
    :param rows_read: rows in the file
    :param rows_rejected: rows that could not be read
    :param rows_staged: rows that were published
    :param partition_digest: of the partition as it was published; None if an earlier version published it
    """

    fetched_load_id: int
    sha256: str
    rows_read: int
    rows_rejected: int
    rows_staged: int
    partition_digest: str | None

    def counts_alone_agree(self, state: PartitionState | None) -> bool:
        """Say whether the partition holds as many rows as were published, and no digest tells more."""
        return self.partition_digest is None and state is not None and state.rows == self.rows_staged


def find_published(cursor: psycopg.Cursor[Any], tables: LoadTables) -> PublishedFile | None:
    """Find what a month's published rows were loaded from; None where nothing was published."""
    row = cursor.execute(render("postgres/find_published.sql"), month_key(tables)).fetchone()
    return PublishedFile(*row) if row else None


def difference_to(
    tables: LoadTables, published: PublishedFile | None, partition: Partition | None, state: PartitionState | None
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
            f"public.{tables.source.main_table} has no partition of {tables.source.filename(tables.month)}, "
            f"the ledger has {published.rows_staged} rows"
        )
    if published is None:
        return f"{partition.name} holds {state.rows} rows that the ledger knows nothing of"
    if state.rows != published.rows_staged:
        return f"{partition.name} holds {state.rows} rows, the ledger has {published.rows_staged}"
    if published.partition_digest is None:
        return f"an earlier version published {partition.name}, and noted no digest of its rows: they may be changed"
    if state.digest != published.partition_digest:
        return f"{partition.name} was changed since the ledger's load published its {state.rows} rows"
    return None


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
