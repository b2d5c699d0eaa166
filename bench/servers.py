"""The servers of a run, all of them as the project sets them up: embedded Postgres, a mirror, an Airflow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg

from taxiway.sources.months import Month
from taxiway_local import database, postgres_server
from taxiway_local.home import Home
from taxiway_local.own_home import lay_out
from taxiway_local.setup import airflow_command, airflow_environment, setup

DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")  # on, so that no figure comes from less
OWNER = database.DATABASES["taxi"]  # the role that loads: the owner of the databases, who isn't a superuser
TAXIWAY_DAG, TRIVIAL_DAG = "taxi_yellow", "trivial"
LONGEST = 1800.0  # seconds after which a command of Airflow hangs

_FILES = Path(__file__).parent / "airflow_files"


@dataclass(frozen=True)
class Postgres:
    """A running server, in a run's home, and one of its databases."""

    home: Home
    server: database.Server
    name: str = "taxi"

    @classmethod
    def start(cls, home: Home) -> Postgres:
        """Start a server in a home."""
        return cls(home, database.start(home))

    def url(self, driver: str = "postgresql") -> str:
        """Return the database's address, as libpq or SQLAlchemy want it, for its owner."""
        return self.server.url(self.name, role=OWNER, driver=driver)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection as the database's owner; it commits each statement."""
        return psycopg.connect(self.url(), autocommit=True)

    def query(self, statement: Any, database_name: str = "postgres") -> list[tuple[Any, ...]]:
        """Ask one of the server's databases as the superuser."""
        with self.server.connect(database_name, user=postgres_server.SUPERUSER) as admin:
            cursor = admin.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def fresh(self, locale: str | None = None) -> Iterator[Postgres]:
        """Give a contender an empty database, and a server that has nothing left to write from the one before.

        :param locale: one of the C library's, in place of the server's own
        """
        of_locale = f" TEMPLATE template0 LOCALE_PROVIDER libc LOCALE '{locale}'" if locale else ""
        self.query(f"CREATE DATABASE contender OWNER {OWNER}{of_locale}")
        try:
            self.query("CHECKPOINT")
            yield replace(self, name="contender")
        finally:
            self.query("DROP DATABASE contender WITH (FORCE)")

    def wal_bytes(self) -> int:
        """Return how much write-ahead log the server has written since it was made."""
        return int(self.query("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")[0][0])

    def data_folders(self) -> tuple[Path, ...]:
        """Return the folders of the database's files and of the server's temporary ones."""
        ((oid,),) = self.query(f"SELECT oid FROM pg_database WHERE datname = '{self.name}'")
        return self.home.postgres / "base" / str(oid), self.home.postgres / "base" / "pgsql_tmp"

    def cpu_seconds(self) -> float:
        """Return the processor time of the server, its ended processes included."""
        postmaster = psutil.Process(int((self.home.postgres / "postmaster.pid").read_text().split()[0]))
        seconds = sum(postmaster.cpu_times()[:4])  # user and system, its own and that of children that have ended
        for child in postmaster.children():
            with suppress(psutil.NoSuchProcess):  # ended just now
                seconds += sum(child.cpu_times()[:2])
        return float(seconds)


def require_durability(connection: psycopg.Connection[Any]) -> None:
    """Make sure that a session, or the transaction that is open in it, keeps what it commits.

    :raises RuntimeError: a setting is off, for the server, the database, the role, this process or the transaction
    """
    off = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s) AND setting <> 'on'"
    for setting, value in connection.execute(off, [list(DURABILITY)]):
        raise RuntimeError(
            f"{setting} is {value} in sessions of the database {connection.info.dbname}, expected on: no figure may "
            f"come from a weaker guarantee. Look at PGOPTIONS and at pg_db_role_setting"
        )


@contextmanager
def mirror(home: Home, folder: Path) -> Iterator[str]:
    """Serve a folder while the block runs, in a process of its own: it takes no time from what is measured.

    :param home: the run's home, by which a killed run's mirror is found
    :return: the mirror's address
    """
    command = [sys.executable, "-m", "taxiway_local.mirror_server", "--folder", str(folder), "--quiet"]
    with subprocess.Popen(
        command, env=airflow_environment(home), start_new_session=True, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            if not process.stdout or not (address := process.stdout.readline().strip()):
                raise RuntimeError(f"the mirror of {folder} did not start")
            yield address
        finally:
            process.terminate()


@dataclass(frozen=True)
class Airflow:
    """An Airflow with the project's DAGs, which load the warehouse ``taxi`` of its server, and the trivial one."""

    postgres: Postgres

    def create(self) -> None:
        """Set Airflow up in the home, as ``make setup`` does."""
        home = self.postgres.home
        lay_out(home, dags=[_FILES / "trivial.py"], plugins=[_FILES / "peak_memory.py"])
        setup(home, report=lambda _line: None)
        variable = f"('taxiway_cache_folder', '{home.root / 'cache'}', false)"
        self.postgres.query(f"INSERT INTO variable (key, val, is_encrypted) VALUES {variable}", "airflow")
        self._run("dags", "reserialize")  # reads the DAG files once, outside every measurement

    def forget(self, address: str) -> None:
        """Begin anew, with files from a mirror's address: no runs, an empty warehouse as set up, an empty cache."""
        for table in ("backfill_dag_run", "dag_run", "backfill"):
            self.postgres.query(f"DELETE FROM {table}", "airflow")
        self.postgres.query(f"UPDATE connection SET host = '{address}' WHERE conn_id LIKE 'tlc_%'", "airflow")
        self.postgres.query("DROP DATABASE taxi WITH (FORCE)")
        database.start(self.postgres.home)
        self.postgres.query("CHECKPOINT")
        for folder in ("cache", "peaks"):
            shutil.rmtree(self.postgres.home.root / folder, ignore_errors=True)

    def backfill(self, dag_id: str, months: Sequence[Month], max_active_runs: int) -> float:
        """Run ``airflow dags backfill`` on months in a row; return seconds, from the command's start to its end."""
        first, last = (str(month.first_day) for month in (months[0], months[-1]))
        began = time.perf_counter()
        self._run("dags", "backfill", "-s", first, "-e", last, "--max-active-runs", str(max_active_runs), dag_id)
        return time.perf_counter() - began

    def peak_mib(self, dag_id: str) -> float:
        """Return the greatest peak of the processes of a DAG's tasks since the last :meth:`forget`, in MiB."""
        return max(int(path.read_text()) for path in self.postgres.home.root.glob(f"peaks/{dag_id}.*")) / 1024

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [*airflow_command(), *arguments],
            # The second one keeps the environment readable, by which the processes of a stopped run are known.
            env={**airflow_environment(self.postgres.home), "SPT_NOENV": "1"},
            start_new_session=True,  # Ctrl-C and a closed terminal are for us; what it leaves ends with the home
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}")


@contextmanager
def watching(size: Callable[[], int]) -> Iterator[list[int]]:
    """Ask for a size again and again in a thread while the block runs.

    :param size: returns the size now; its errors are raised when the block has ended
    :return: the sizes, complete when the block has ended
    """
    sizes, stop = list[int](), threading.Event()

    def ask() -> None:
        while not stop.wait(0.02):
            sizes.append(size())
        sizes.append(size())  # once more when the block has ended

    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(ask)
        try:
            yield sizes
        finally:
            stop.set()
    asking.result()


def folder_bytes(*folders: Path) -> int:
    """Add up the files in folders; what is absent or vanishes meanwhile doesn't count."""
    total = 0
    for folder in folders:
        for path, _, names in os.walk(folder):
            for name in names:
                with suppress(FileNotFoundError):  # a table that was dropped just now
                    total += Path(path, name).lstat().st_size
    return total
