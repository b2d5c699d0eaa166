"""What the ledger knows of published months."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from taxiway.core.sql import render
from taxiway.core.tables import LoadTables
from taxiway.postgres.ledger import month_key


@dataclass(frozen=True)
class PublishedFile:
    """What a month's published rows were loaded from.

    :param fetched_load_id: the last attempt that fetched the file: to publish it, or to find it published already
    :param sha256: of the file, in hexadecimal
    :param rows_read: rows in the file
    :param rows_rejected: rows that could not be read
    :param rows_staged: rows that were published
    """

    fetched_load_id: int
    sha256: str
    rows_read: int
    rows_rejected: int
    rows_staged: int


def find_published(cursor: psycopg.Cursor[Any], tables: LoadTables) -> PublishedFile | None:
    """Find what a month's published rows were loaded from; None where nothing was published."""
    row = cursor.execute(render("postgres/find_published.sql"), month_key(tables)).fetchone()
    return PublishedFile(*row) if row else None


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
