"""A worker that is killed leaves nothing behind on the server."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect, PostgresServer
from tests.integration.airflow_environment import wait_until
from tests.loading import load, query, staging_tables

LOAD = """
import sys
from pathlib import Path
import psycopg
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source
from tests.loading import load
from tests.releases import on_mirror
connection = psycopg.connect(host=sys.argv[1], user="postgres", dbname=sys.argv[2], application_name="worker")
load(connection, on_mirror(load_source(SOURCES_FOLDER / "green.yaml")), "2019-01", Path(sys.argv[3]))
"""

ROWS = 200_000
WORKERS = "SELECT query FROM pg_stat_activity WHERE application_name IN ('worker', 'taxiway green 2019-01 manual__1')"
ACTIVE = f"{WORKERS} AND pid <> pg_backend_pid() AND state = 'active' AND query ~ %s"


@contextmanager
def killed_worker(server: PostgresServer, connection: psycopg.Connection[Any], path: Path, at: str) -> Iterator[None]:
    """Start a load in a process of its own, and kill it once it runs a statement that matches."""
    worker = subprocess.Popen(
        [sys.executable, "-c", LOAD, str(server.socket_folder), connection.info.dbname, str(path)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", "PATH": ""},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: query(connection, ACTIVE, [at]), timeout=60, what=at, interval=0.005)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    yield


def wait_until_gone(connection: psycopg.Connection[Any]) -> None:
    wait_until(
        lambda: not query(connection, f"{WORKERS} AND pid <> pg_backend_pid()"),
        timeout=10,
        what="the server to notice that the worker is gone",
    )


@pytest.fixture
def month_file(green: Source, tmp_path: Path) -> Path:
    path = tmp_path / green.download_name(Month(2019, 1))
    write_sample_month(green, Month(2019, 1), path, rows=ROWS)
    return path


@pytest.mark.parametrize("statement", ["-- Streams", "-- Gives rows that were staged"], ids=["staging", "hashing"])
def test_the_next_attempt_finds_what_it_needs(
    statement: str, connect: Connect, postgres_server: PostgresServer, green: Source, month_file: Path
) -> None:
    connection = connect()
    if statement != "-- Streams":
        # Quotation marks behind a value: the rows are staged as text, and hashed afterwards.
        month_file.write_bytes(gzip.compress(gzip.decompress(month_file.read_bytes()).replace(b",N,", b',N"",', 1), 1))
    with killed_worker(postgres_server, connection, month_file, at=statement):
        wait_until_gone(connection)

    assert load(connection, green, "2019-01", month_file).inserted == ROWS
    assert staging_tables(connection) == []


def test_its_statement_does_not_wait_for_ever(
    connect: Connect, postgres_server: PostgresServer, green: Source, month_file: Path
) -> None:
    """Without anybody who wants its result, a statement that waits for a lock ends, too."""
    connection, blocker = connect(), connect()
    load(connection, green, "2019-01", month_file)
    with blocker.transaction():
        blocker.execute("LOCK TABLE taxiway.loads")

        with killed_worker(postgres_server, connection, month_file, at="-- Finds the last attempt"):
            wait_until_gone(connection)
