"""The benchmark's Postgres: the project's embedded server, in a folder of its own, with fresh databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from bench.run_folder import Say, run_folder
from taxiway_local import database, postgres_server
from taxiway_local.home import Home

DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
"""Settings that must be on: no figure comes from a weaker guarantee."""


@dataclass(frozen=True)
class Warehouse:
    """A running server and one of its databases.

    :param home: the benchmark's home, with the server's data folder
    :param server: the server
    :param name: the database
    """

    home: Home
    server: database.Server
    name: str = "taxi"

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """Open a connection as the database's owner, who is no superuser."""
        return psycopg.connect(self.url(), **options)

    def url(self, scheme: str = "postgresql") -> str:
        """Return the database's address for its owner.

        :param scheme: as libpq or SQLAlchemy want it
        """
        return self.server.url("taxi", driver=scheme).replace("@/taxi?", f"@/{self.name}?")

    def query(self, statement: Any, database_name: str = "postgres") -> list[tuple[Any, ...]]:
        """Ask as the superuser.

        :param database_name: the database that is asked
        """
        with self.server.connect(database_name, user=postgres_server.SUPERUSER) as admin:
            cursor = admin.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def fresh(self, name: str, locale: str | None = None) -> Iterator[Warehouse]:
        """Give a contender an empty database, and a server that has nothing left to write from the one before.

        :param name: the database, dropped at the end
        :param locale: one of the C library's, in the place of the server's own
        """
        self._drop(name)
        own, owner = replace(self, name=name), database.DATABASES["taxi"]
        create = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
        if locale is not None:
            create += sql.SQL(" TEMPLATE template0 LOCALE_PROVIDER libc LOCALE {}").format(sql.Literal(locale))
        self.query(create)
        try:
            own.require_durability()
            self.query("CHECKPOINT")
            yield own
        finally:
            self._drop(name)

    def renew(self) -> None:
        """Make the warehouse that Airflow loads anew, with the roles and rights that the setup gives it."""
        self._drop("taxi")
        database.start(self.home)
        self.require_durability()
        self.query("CHECKPOINT")

    def _drop(self, name: str) -> None:
        self.query(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def version(self) -> str:
        """Return the server's version, such as ``18.4``."""
        return str(self.query("SHOW server_version")[0][0]).split(maxsplit=1)[0]

    def require_durability(self) -> None:
        """Make sure that the server keeps what a session like the contenders' has committed.

        :raises RuntimeError: a setting is off, for the server, the database, the role or this process
        """
        with self.connect() as connection:
            require_durability(connection)

    def wal_bytes(self) -> int:
        """Return how much write-ahead log the server has written since it was made."""
        return int(self.query("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")[0][0])

    def wal_folder_bytes(self) -> int:
        """Return what the write-ahead log takes up on disk."""
        return folder_bytes(self.home.postgres / "pg_wal")

    def data_folders(self) -> tuple[Path, ...]:
        """Return the folders of the database's files and of the server's temporary ones."""
        ((oid,),) = self.query(f"SELECT oid FROM pg_database WHERE datname = '{self.name}'")
        return self.home.postgres / "base" / str(oid), self.home.postgres / "base" / "pgsql_tmp"

    def cpu_seconds(self) -> float:
        """Return the processor time of the server, its ended processes included, in seconds."""
        postmaster = psutil.Process(int((self.home.postgres / "postmaster.pid").read_text().split()[0]))
        own = postmaster.cpu_times()
        seconds = own.user + own.system + own.children_user + own.children_system
        for child in postmaster.children():
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:
                continue  # ended just now
            seconds += times.user + times.system
        return float(seconds)


def require_durability(connection: psycopg.Connection[Any]) -> None:
    """Make sure that a session keeps what it commits.

    :raises RuntimeError: a setting is off, for the server, the database, the role or this process
    """
    for setting in DURABILITY:
        ((value,),) = connection.execute("SELECT current_setting(%s)", [setting])
        if value != "on":
            raise RuntimeError(
                f"{setting} is {value} in sessions of the database {connection.info.dbname}, expected on: no figure "
                f"may come from a weaker guarantee. Look at PGOPTIONS and at pg_db_role_setting"
            )


@contextmanager
def running(parent: Path, say: Say) -> Iterator[Warehouse]:
    """Run a server while the block runs, and remove all its files afterwards.

    :param parent: folder on the disk that is measured
    :param say: is told what stays
    """
    with run_folder(parent, say) as home:
        warehouse = Warehouse(home, database.start(home))
        warehouse.require_durability()
        yield warehouse


def folder_bytes(folder: Path) -> int:
    """Add up the files of a folder and those below it; one that vanishes meanwhile doesn't count.

    :return: bytes; none where the folder is absent
    """
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += folder_bytes(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):  # a table that was dropped just now
                        total += entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return total
    return total
