"""Enters a load in the ledger, fetches its file, and finds out whether there is anything to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from taxiway.core.download import Download
from taxiway.core.tables import LoadTables
from taxiway.postgres import ledger
from taxiway.postgres.main_table import ensure_tables
from taxiway.postgres.publish import find_partition
from taxiway.postgres.session import transaction


@dataclass(frozen=True)
class Fetched:
    """What a load begins with.

    :param file: the downloaded file; None where the month is not available
    :param nothing_to_do: why the load ends here, in words; None where it goes on
    """

    file: Download | None
    nothing_to_do: str | None


def fetch_month(
    connection: psycopg.Connection[Any],
    tables: LoadTables,
    download: Callable[[], Download],
    *,
    force: bool = False,
    started_at: datetime | None = None,
) -> Fetched:
    """Begin a load: enter it in the ledger, download its file, compare it with what is published.

    A month that the source doesn't have is skipped. A file whose bytes are published already is
    unchanged, and the load ends with that, unless it is forced.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :param download: fetches the file
    :param force: load the file even where its bytes are published already
    :param started_at: when the run began
    :return: the file, and whether there is anything to do
    :raises MainTableError: the main table is another one
    :raises TaxiwayError: what the download raises
    """
    source, month = tables.source, tables.month
    with ledger.step(connection, tables, "download_month", started_at) as attempt:
        with transaction(connection) as cursor:
            ensure_tables(cursor, source)
        if reason := source.why_unavailable(month):
            with transaction(connection) as cursor:
                attempt.record(cursor, "skipped", error=reason)
            return Fetched(None, reason)
        file = download()
        with transaction(connection) as cursor:
            attempt.record_file(cursor, file)
            published = ledger.find_published(cursor, tables)
            if force or published is None or published.sha256 != file.sha256 or find_partition(cursor, tables) is None:
                return Fetched(file, None)
            attempt.record(
                cursor,
                "unchanged",
                rows_read=published.rows_read,
                rows_rejected=published.rows_rejected,
                rows_staged=published.rows_staged,
                rows_inserted=0,
                rows_deleted=0,
                rows_unchanged=published.rows_staged,
            )
        return Fetched(file, f"{source.name} {month}: {source.filename(month)} is published with the same bytes")
