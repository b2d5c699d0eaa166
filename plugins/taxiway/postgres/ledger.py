"""The ledger ``taxiway.loads``: what was loaded, from which file, when, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from taxiway.core.download import Download
from taxiway.core.sql import render
from taxiway.core.tables import LoadTables

DESTINATION = "postgres"
"""What the ledger calls this warehouse."""


@dataclass(frozen=True)
class Published:
    """How a load ended: the counts of a published month.

    :param inserted: rows that the month did not hold before
    :param deleted: rows that the month held before and the file no longer has
    :param unchanged: rows that stayed
    """

    inserted: int
    deleted: int
    unchanged: int


def start(cursor: psycopg.Cursor[Any], tables: LoadTables, file: Download, started_at: datetime) -> None:
    """Enter a load, or start its entry over when its run is tried again."""
    cursor.execute(
        render("postgres/start_load.sql"),
        {
            **_key(tables),
            "filename": tables.source.filename(tables.month),
            "url": file.url,
            "etag": file.etag,
            "last_modified": file.last_modified,
            "bytes": file.size,
            "sha256": file.sha256,
            "started_at": started_at,
        },
    )


def record(cursor: psycopg.Cursor[Any], tables: LoadTables, state: str, **values: int | str) -> None:
    """Record that a step of a load is done, in the step's own transaction; a published month stays published.

    :param state: staged, hashed, checked, published or failed
    :param values: columns of the ledger and their values, for example ``rows_read=5000``
    """
    cursor.execute(render("postgres/record_step.sql", columns=list(values)), {**values, "state": state, **_key(tables)})


def publish(cursor: psycopg.Cursor[Any], tables: LoadTables, counts: Published) -> None:
    """Record that a month is published, in the transaction that publishes it."""
    record(
        cursor,
        tables,
        "published",
        rows_inserted=counts.inserted,
        rows_deleted=counts.deleted,
        rows_unchanged=counts.unchanged,
    )


def published(cursor: psycopg.Cursor[Any], tables: LoadTables) -> Published | None:
    """Return the counts of a load that is published already, or None."""
    row = _find(cursor, tables)
    return Published(row[3], row[4], row[5]) if row and row[0] == "published" else None


def staged_counts(cursor: psycopg.Cursor[Any], tables: LoadTables) -> tuple[int, int] | None:
    """Return rows read and rows rejected of a load whose rows have ids, or None."""
    row = _find(cursor, tables)
    return (row[1], row[2]) if row and row[2] is not None else None


def _find(cursor: psycopg.Cursor[Any], tables: LoadTables) -> tuple[Any, ...] | None:
    return cursor.execute(render("postgres/find_load.sql"), _key(tables)).fetchone()


def _key(tables: LoadTables) -> dict[str, Any]:
    return {
        "source": tables.source.name,
        "month": tables.month.first_day,
        "destination": DESTINATION,
        "run_id": tables.run_id,
    }
