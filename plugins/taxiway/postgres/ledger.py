"""The ledger ``taxiway.loads``: what was loaded, from which file, when, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from taxiway.core.tables import LoadTables

DESTINATION = "postgres"


@dataclass(frozen=True)
class SourceFile:
    """The file that a load reads, as it was downloaded.

    :param path: where it lies
    :param url: its address, without credentials
    :param etag: what the server called this version of it, if anything
    :param last_modified: since when the server has this version, if it said so
    :param size: bytes
    :param sha256: 64 hexadecimal digits
    """

    path: str
    url: str
    etag: str | None
    last_modified: str | None
    size: int
    sha256: str


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


def start(cursor: psycopg.Cursor[Any], tables: LoadTables, file: SourceFile, started_at: datetime) -> None:
    """Enter a load, or start its entry over when its run is tried again."""
    cursor.execute(
        """
        INSERT INTO taxiway.loads (
            source, month, destination, run_id, state, filename, url, etag, last_modified, bytes, sha256, started_at
        )
        VALUES (%s, %s, %s, %s, 'staging', %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (source, month, destination, run_id) DO UPDATE SET
            state = excluded.state, filename = excluded.filename, url = excluded.url, etag = excluded.etag,
            last_modified = excluded.last_modified, bytes = excluded.bytes, sha256 = excluded.sha256,
            started_at = excluded.started_at, rows_read = NULL, rows_rejected = NULL, rows_staged = NULL,
            rows_inserted = NULL, rows_deleted = NULL, rows_unchanged = NULL, finished_at = NULL, error = NULL
        """,
        [
            *_key(tables),
            tables.source.filename(tables.month),
            file.url,
            file.etag,
            file.last_modified,
            file.size,
            file.sha256,
            started_at,
        ],
    )


def record(cursor: psycopg.Cursor[Any], tables: LoadTables, state: str, **counts: int) -> None:
    """Record that a step of a load is done.

    :param state: the step that is done: staged, hashed or checked
    :param counts: columns of the ledger and their values, for example ``rows_read=5000``
    """
    assignments = "".join(f", {column} = %s" for column in counts)
    cursor.execute(
        f"UPDATE taxiway.loads SET state = %s{assignments} WHERE {_WHERE}",  # noqa: S608 - names from our own calls
        [state, *counts.values(), *_key(tables)],
    )


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
    cursor.execute(f"UPDATE taxiway.loads SET finished_at = clock_timestamp() WHERE {_WHERE}", _key(tables))


def fail(cursor: psycopg.Cursor[Any], tables: LoadTables, error: str) -> None:
    """Record that a step of a load failed; a month that is published stays so.

    :param error: the error's message
    """
    cursor.execute(
        "UPDATE taxiway.loads SET state = 'failed', finished_at = clock_timestamp(), error = %s "
        f"WHERE {_WHERE} AND state <> 'published'",
        [error, *_key(tables)],
    )


def published(cursor: psycopg.Cursor[Any], tables: LoadTables) -> Published | None:
    """Return the counts of a load that is published already, or None."""
    row = cursor.execute(
        f"SELECT rows_inserted, rows_deleted, rows_unchanged FROM taxiway.loads WHERE {_WHERE} AND state = 'published'",
        _key(tables),
    ).fetchone()
    return Published(*row) if row else None


def staged_counts(cursor: psycopg.Cursor[Any], tables: LoadTables) -> tuple[int, int] | None:
    """Return rows read and rows rejected of a load that is staged, or None."""
    row = cursor.execute(
        f"SELECT rows_read, rows_rejected FROM taxiway.loads WHERE {_WHERE} AND rows_read IS NOT NULL",
        _key(tables),
    ).fetchone()
    return (row[0], row[1]) if row else None


_WHERE = "source = %s AND month = %s AND destination = %s AND run_id = %s"


def _key(tables: LoadTables) -> list[Any]:
    return [tables.source.name, tables.month.first_day, DESTINATION, tables.run_id]
