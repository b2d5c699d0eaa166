"""What is measured of Taxiway without Airflow: its steps and its download, as their tasks call them."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import psycopg
import requests

from bench.servers import require_durability
from taxiway.download.cache import Cache
from taxiway.download.download import CONNECT_TIMEOUT, READ_TIMEOUT, Download, download_month
from taxiway.download.mirror_client import Mirror
from taxiway.download.transfer import Transfer
from taxiway.files.formats import format_of
from taxiway.loads import month as steps
from taxiway.loads.load import Counts
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres import stage
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.postgres.warehouse import PostgresWarehouse

CACHE_BYTES = 1 << 40
"""Limit of a cache that is never full."""


def warehouse(
    connection: psycopg.Connection[Any], source: Source, month: Month, run_id: str = "first"
) -> PostgresWarehouse:
    """Return the warehouse of a load.

    :param run_id: stands for Airflow's run id
    """
    return PostgresWarehouse(connection, LoadTables(source, month, run_id))


def load(to: PostgresWarehouse, file: Download) -> tuple[Counts, dict[str, float]]:
    """Run the steps that follow the download, one by one.

    :param to: the warehouse of the load
    :return: what was published, and how long each step took, in seconds
    :raises RuntimeError: as :func:`bench.servers.require_durability`
    """
    with transaction(to.connection):  # with the settings of the steps
        require_durability(to.connection)
    outputs: dict[str, Any] = {"download_month": file.to_dict()}
    seconds = dict[str, float]()
    for step in (steps.stage_month, steps.hash_rows, steps.check_month, steps.merge_month, steps.drop_staging):
        began = time.perf_counter()
        outputs[step.__name__] = step(to, outputs)
        seconds[step.__name__.partition("_")[0]] = time.perf_counter() - began
    published = outputs["merge_month"]
    return Counts(*(published[name] for name in ("inserted", "deleted", "unchanged"))), seconds


def trusting(rows: int) -> AbstractContextManager[object]:
    """Let the steps trust every row of a file while the block runs: nothing counts a block's rows, or checks that they
    are canonical CSV. A good file meets nothing else of the rejects."""
    trusted = SimpleNamespace(count=rows, add=lambda _block: True)
    return patch.object(stage, "CanonicalRows", lambda _columns: trusted)


def download(address: str, source: Source, month: Month, cache: Path) -> Download:
    """Download a month from a mirror's address over a session of its own, as a task does."""
    with requests.Session() as session:
        return download_month(session, address, source, month, Cache(cache, CACHE_BYTES))


def transfer(address: str, source: Source, month: Month, cache: Path) -> tuple[float, float]:
    """Download a month from a mirror's address without the lock and the look at the cache's limit.

    :return: seconds from before the session is made until the last byte is written, and until the file is verified,
        on the disk and in its place
    """
    began = time.perf_counter()
    with requests.Session() as session:
        mirror = Mirror(session, address, "benchmark", (), connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT)
        slot = Cache(cache, CACHE_BYTES).slot(mirror.base_url, source.file_path(month))
        slot.path.parent.mkdir(parents=True)
        asked = time.perf_counter()
        arrival = Transfer(source, format_of(source, month), mirror, mirror.url(source.file_path(month)), slot).run(
            None
        )
        return asked - began + arrival.seconds, time.perf_counter() - began
