"""What many tests need: the repository, real TLC files where they are at hand, a real Postgres."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.source import Source, load_source
from tests.releases import on_mirror

if TYPE_CHECKING:
    from stand_ins.bigquery import StandIn
    from stand_ins.cloud_storage import CloudStorage


def _isolate_from_this_machine() -> None:
    """Give the tests' own process an Airflow home of its own, before anything imports Airflow.

    Whatever the person who runs the tests has in ``.env`` or in the shell stays out of them. So does the size of a
    terminal, which readline gives to the workers of pytest-xdist: Rich would take it for the size of any terminal.
    """
    for name in [*os.environ]:
        if name.startswith(("AIRFLOW", "_AIRFLOW")) or name in ("COLUMNS", "LINES"):
            del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="taxiway-home-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for name in ("config", "dags", "include", "plugins"):
        (home / name).symlink_to(ROOT / name)
    os.environ["AIRFLOW_HOME"] = str(home)
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{home}/airflow.db"
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


def _end_once(_number: int, _frame: object) -> None:
    # pytest-xdist interrupts its processes again while they clean up.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def pytest_configure(config: pytest.Config) -> None:
    """Stop the tests' servers when the tests are told to end, by Ctrl-C or otherwise."""
    gc.disable()  # until thousands of tests are collected: none of them is garbage
    signal.signal(signal.SIGTERM, _end_once)
    if hasattr(config, "workerinput"):  # one of several processes
        signal.signal(signal.SIGINT, _end_once)
    elif config.pluginmanager.hasplugin("xdist"):
        from xdist.workermanage import NodeManager

        # Until it kills them: stopping an Airflow takes longer than ten seconds.
        NodeManager.EXIT_TIMEOUT = 60


def pytest_collection_finish() -> None:
    """Look for garbage in what the tests make, seldom, and never in the tests themselves."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


_isolate_from_this_machine()


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def green() -> Source:
    """Green taxis as the course's mirror has them."""
    return on_mirror(load_source(SOURCES_FOLDER / "green.yaml"))


@pytest.fixture(scope="session")
def yellow() -> Source:
    """Yellow taxis as the course's mirror has them."""
    return on_mirror(load_source(SOURCES_FOLDER / "yellow.yaml"))


@pytest.fixture(scope="session")
def tlc() -> Path:
    """Real TLC files, which lie beside the project where it is developed, and nowhere else."""
    folder = ROOT.parent / "shared" / "tlc"
    if not folder.is_dir():
        pytest.skip(f"no real TLC files at {folder.parent.name}/{folder.name} beside the project")
    return folder


@dataclass(frozen=True)
class PostgresServer:
    """A real Postgres 18 for the tests.

    :param socket_folder: folder of its Unix socket
    """

    socket_folder: Path

    def connect(self, database: str = "postgres", **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.socket_folder), user="postgres", dbname=database, **options)

    def create_database(self, name: str = "") -> str:
        name = name or f"test_{uuid.uuid4().hex[:12]}"
        with self.connect(autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        with self.connect(autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def start_postgres() -> Iterator[PostgresServer]:
    """Run a Postgres while the block runs."""
    from tests.postgres_server import start_server

    folder = Path(tempfile.mkdtemp(prefix="taxiway"))
    server = start_server(folder / "pg")
    try:
        yield PostgresServer(Path(str(server.get_postmaster_info().socket_dir)))
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with start_postgres() as server:
        yield server


Connect = Callable[[], psycopg.Connection[Any]]


@pytest.fixture
def connect(postgres_server: PostgresServer) -> Iterator[Connect]:
    """A fresh database; call it for as many connections as the test needs, they are closed at its end."""
    name = postgres_server.create_database()
    opened: list[psycopg.Connection[Any]] = []

    def open_connection() -> psycopg.Connection[Any]:
        opened.append(postgres_server.connect(name))
        return opened[-1]

    try:
        yield open_connection
    finally:
        for connection in opened:
            connection.close()
        postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def _cloud_storage_server() -> Iterator[CloudStorage]:
    from stand_ins.cloud_storage import CloudStorage

    with CloudStorage() as server:
        yield server


@pytest.fixture
def cloud_storage(_cloud_storage_server: CloudStorage, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudStorage]:
    """An empty Cloud Storage, at ``STORAGE_EMULATOR_HOST`` of this process."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", _cloud_storage_server.url)
    _cloud_storage_server.reset()
    yield _cloud_storage_server
    _cloud_storage_server.reset()


@pytest.fixture(scope="session")
def _bigquery_server() -> Iterator[StandIn]:
    from stand_ins.bigquery import StandIn

    with StandIn() as server:
        yield server


@pytest.fixture
def bigquery(_bigquery_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """An empty BigQuery with no faults, at ``BIGQUERY_EMULATOR_HOST`` of this process."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", _bigquery_server.url)
    _bigquery_server.reset()
    yield _bigquery_server
    _bigquery_server.reset()
