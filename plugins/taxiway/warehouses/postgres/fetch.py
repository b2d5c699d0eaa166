"""Enters a load in the ledger, fetches its file, and finds out whether there is anything to do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from taxiway.download.download import Download
from taxiway.warehouses.postgres import ledger
from taxiway.warehouses.postgres.main_table import ensure_tables
from taxiway.warehouses.postgres.main_table_objects import require_no_obstacle
from taxiway.warehouses.postgres.partition import find_partition, sum_up
from taxiway.warehouses.postgres.published import PublishedFile, difference_to, find_published
from taxiway.warehouses.postgres.session import lock, transaction
from taxiway.warehouses.postgres.tables import LoadTables

log = logging.getLogger(__name__)


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
    unchanged, and the load ends with that, unless it is forced, or the main table no longer holds
    what was published.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :param download: fetches the file
    :param force: load the file even where its bytes are published already
    :param started_at: when the run began
    :return: the file, and whether there is anything to do
    :raises MainTableError: the main table is another one, or something keeps it from taking the month
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
        with transaction(connection) as cursor:
            # A published month may prove unchanged: then nothing that people have defined matters.
            looks_later = not force and _is_published(cursor, tables)
            if not looks_later:
                require_no_obstacle(cursor, tables)
        file = download()
        with transaction(connection) as cursor:
            attempt.record_file(cursor, file)
            goes_on = force or _published_from(cursor, tables, file) is None
        if goes_on:
            if looks_later:
                with transaction(connection) as cursor:
                    require_no_obstacle(cursor, tables)
            return Fetched(file, None)
        with transaction(connection) as cursor:
            # Whoever publishes the month holds the lock, too, and looks under it for what is entered here: a run with
            # an earlier file has either done so by now, or finds that it came too late.
            lock(cursor, "month", source.name, str(month), holder=tables.name)
            published = _published_from(cursor, tables, file)
            if published is None:
                return Fetched(file, None)
            partition = find_partition(cursor, tables)
            state = sum_up(cursor, partition) if partition else None
            if difference := difference_to(tables, published, partition, state):
                log.warning("%s %s: %s: the month is loaded again", source.name, month, difference)
                # If an earlier version published it, perhaps no row has to change: merge_month looks.
                if not published.counts_alone_agree(state):
                    require_no_obstacle(cursor, tables)
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


def _is_published(cursor: psycopg.Cursor[Any], tables: LoadTables) -> bool:
    """Say whether both the ledger and the main table have the month."""
    return find_published(cursor, tables) is not None and find_partition(cursor, tables) is not None


def _published_from(cursor: psycopg.Cursor[Any], tables: LoadTables, file: Download) -> PublishedFile | None:
    """Say what the ledger knows of the published month; None where it isn't published, or from other bytes."""
    published = find_published(cursor, tables)
    return published if published is not None and published.sha256 == file.sha256 else None
