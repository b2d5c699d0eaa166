"""What is measured of Taxiway without Airflow: its own steps, on the limit that a bare COPY is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import requests

from taxiway.download.cache import Cache
from taxiway.download.download import CONNECT_TIMEOUT, READ_TIMEOUT, Download, download_month
from taxiway.download.mirror_client import Mirror
from taxiway.download.transfer import Transfer
from taxiway.files.gzip_file import unpacked_blocks
from taxiway.loads.load import Counts
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.check import check_month
from taxiway.warehouses.postgres.cleanup import drop_staging
from taxiway.warehouses.postgres.fetch import Fetched, fetch_month
from taxiway.warehouses.postgres.hash import hash_rows
from taxiway.warehouses.postgres.main_table import ensure_tables
from taxiway.warehouses.postgres.publish import merge_month
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.postgres.stage import stage_month
from taxiway.warehouses.postgres.tables import LoadTables

CACHE_BYTES = 1 << 40
"""Limit of a cache that is never full."""


@dataclass(frozen=True)
class StepTimes:
    """How one load ended, and how long its steps took, in seconds."""

    published: Counts
    stage: float
    hash: float
    check: float
    merge: float
    drop: float

    @property
    def total(self) -> float:
        """From the cached file to the published month, staging dropped."""
        return self.stage + self.hash + self.check + self.merge + self.drop


def load(connection: psycopg.Connection[Any], source: Source, month: Month, file: Download, run_id: str) -> StepTimes:
    """Run the steps that follow the download, one by one.

    :param connection: the warehouse
    :param source: whose month
    :param month: which one
    :param file: the downloaded file
    :param run_id: stands for Airflow's run id
    :return: how long each took, and what was published
    """
    tables = LoadTables(source, month, run_id)
    marks = [time.perf_counter()]

    def mark() -> None:
        marks.append(time.perf_counter())

    staged = stage_month(connection, tables, file)
    mark()
    hash_rows(connection, tables, staged)
    mark()
    check_month(connection, tables)
    mark()
    published = merge_month(connection, tables)
    mark()
    drop_staging(connection, tables)
    mark()
    return StepTimes(published, *(later - earlier for earlier, later in pairwise(marks)))


def make_tables(connection: psycopg.Connection[Any], source: Source) -> None:
    """Make the ledger and the main table, where the first month's time must not hold that."""
    with transaction(connection) as cursor:
        ensure_tables(cursor, source)


def fetch(
    connection: psycopg.Connection[Any],
    source: Source,
    month: Month,
    run_id: str,
    download: Callable[[], Download],
) -> Fetched:
    """Run the step that downloads a month and finds out whether there is anything to do."""
    return fetch_month(connection, LoadTables(source, month, run_id), download, force=False)


def download(address: str, source: Source, month: Month, cache: Path) -> Download:
    """Download a month over a session of its own, as a task does.

    :param address: the mirror's
    :param cache: the cache's folder
    """
    with requests.Session() as session:
        return download_month(session, address, source, month, Cache(cache, CACHE_BYTES))


def transfer(address: str, source: Source, month: Month, cache: Path) -> tuple[float, float]:
    """Download a month without what surrounds it: the lock, the look at the cache's limit.

    :param address: the mirror's
    :param cache: the cache's folder
    :return: seconds from before the session is made until the last byte is written, and until the file is verified,
        on the disk and in its place
    """
    began = time.perf_counter()
    with requests.Session() as session:
        mirror = Mirror(session, address, "benchmark", (), connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT)
        slot = Cache(cache, CACHE_BYTES).slot(mirror.base_url, source.file_path(month))
        slot.path.parent.mkdir(parents=True)
        asked = time.perf_counter()
        arrival = Transfer(source, mirror, mirror.url(source.file_path(month)), slot).run(None)
        return asked - began + arrival.seconds, time.perf_counter() - began


def copy_bare(connection: psycopg.Connection[Any], source: Source, path: Path) -> float:
    """Stream a file into a bare table of the source's types, logged, without id and without index: the limit.

    :param path: the ``.csv.gz``
    :return: seconds
    """
    columns = ", ".join(f"{column.name} {column.type}" for column in source.columns)
    statement: Any = f"CREATE TABLE public.bare ({columns})"
    began = time.perf_counter()
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(statement)
        with cursor.copy("COPY public.bare FROM STDIN WITH (FORMAT csv, HEADER)") as copy:
            for block in unpacked_blocks(path):
                copy.write(block)
    return time.perf_counter() - began


def count_rows(connection: psycopg.Connection[Any], table: str) -> int:
    """Count the rows of a table.

    :param table: its name with its schema, one of the benchmark's own
    """
    statement: Any = f"SELECT count(*) FROM {table}"
    with connection.transaction():
        row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
