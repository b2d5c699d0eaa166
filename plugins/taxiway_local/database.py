"""The databases of embedded Postgres: the warehouse, and Airflow's metadata.

The server starts when something needs it, and stays until ``make down``. Where
``.env`` names other servers, it isn't started.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, unquote

import psycopg
from psycopg import sql

from taxiway.warehouses.sql import render
from taxiway_local import postgres_server
from taxiway_local.home import Home

DATABASES = {"airflow": "airflow", "taxi": "taxiway"}
"""The databases and the roles that work in them: Airflow's metadata, and the warehouse. Airflow owns its
database; the loader has its own schemas and tables in the warehouse, and no more."""

METADATA_DRIVER = "postgresql+psycopg2"
"""How Airflow reaches its metadata."""

CONNECT_TIMEOUT = 10
"""Longest wait for the server to answer, in seconds."""

LOCK_TIMEOUT = "60s"
"""Longest wait for a lock that another session holds."""

STATEMENT_TIMEOUT = "5min"
"""Longest run of one statement; the longest copies an empty database."""


@dataclass(frozen=True)
class Server:
    """A running embedded server.

    :param socket_folder: folder of its Unix socket
    """

    socket_folder: Path

    def url(self, database: str, *, role: str | None = None, driver: str = "postgresql") -> str:
        """Return the address of a database.

        :param role: who to be there; by default the role of one of :data:`DATABASES`
        :param driver: scheme of the address, as SQLAlchemy or libpq want it
        """
        login = quote(role or DATABASES[database], safe="")
        return f"{driver}://{login}@/{database}?host={quote(str(self.socket_folder))}"

    def airflow_connection(self) -> dict[str, object]:
        """Return the warehouse as an Airflow connection."""
        return {
            "conn_type": "postgres",
            "host": str(self.socket_folder),
            "login": DATABASES["taxi"],
            "schema": "taxi",
            "description": "The warehouse: embedded Postgres",
        }

    def connect(self, database: str, *, user: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
        """Open a connection, by default as the database's role; nothing in it waits without an end."""
        return psycopg.connect(
            host=str(self.socket_folder),
            dbname=database,
            user=user or DATABASES[database],
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT,
            options=f"-c lock_timeout={LOCK_TIMEOUT} -c statement_timeout={STATEMENT_TIMEOUT}",
        )


def start(home: Home) -> Server:
    """Start the server where it doesn't run; create its databases and grant rights if they are absent.

    :raises ServerError: it can't be started, or another command is at it for too long
    """
    server = Server(postgres_server.start(home))
    _create_databases(server)
    return server


def find(home: Home) -> Server | None:
    """Return the server if it runs and answers, without starting it."""
    folder = postgres_server.find(home)
    return Server(folder) if folder else None


def ensure_started(home: Home, address: str) -> None:
    """Start the server if it is what an address of Airflow's metadata names, and doesn't run.

    :param address: SQLAlchemy's address of the metadata database
    :raises ServerError: it can't be started, or no server listens at that address
    """
    if not is_embedded(address):
        return
    named = Path(unquote(address.partition("?host=")[2]))
    if not (home.postgres / "PG_VERSION").exists():
        if (named / postgres_server.SOCKET_NAME).exists():
            return
        raise postgres_server.ServerError(
            f"Airflow's metadata database can't be reached: no server listens in {named}, and {home.postgres} holds no "
            "database. If .taxiway was deleted, the database went with it. Run make setup, which makes a new one"
        )
    server = find(home) or start(home)
    if not (named / postgres_server.SOCKET_NAME).exists():
        raise postgres_server.ServerError(
            f"Airflow's settings name the folder {named}, in which no server listens: embedded Postgres listens in "
            f"{server.socket_folder}. Run make setup, which corrects the settings, and try again"
        )


def is_embedded(address: str) -> bool:
    """Say whether an address of Airflow's metadata is one that :meth:`Server.url` makes."""
    return address.startswith(f"{METADATA_DRIVER}://{DATABASES['airflow']}@/airflow?host=")


def stop(home: Home) -> bool:
    """Stop the server; say whether it ran."""
    return postgres_server.stop(home)


def psql(home: Home, arguments: Sequence[str], *, role: str = DATABASES["taxi"]) -> NoReturn:
    """Become ``psql`` on the warehouse; doesn't return. Commands after ``\\!``, such as ``pg_dump``, reach it as well.

    :param role: who to be there; the server's superuser is ``postgres``
    """
    server = find(home) or start(home)
    program = postgres_server.binary("psql")
    path = os.pathsep.join([str(program.parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "PGHOST": str(server.socket_folder), "PGUSER": role}
    # psql itself, no shell.
    os.execve(program, [str(program), server.url("taxi", role=role), *arguments], environment)  # noqa: S606


def _create_databases(server: Server) -> None:
    with server.connect("postgres", user=postgres_server.SUPERUSER) as admin:
        # Two commands may start at the same moment; the second finds everything there.
        try:
            admin.execute("SELECT pg_advisory_lock(hashtextextended('taxiway/databases', 0))")
        except psycopg.errors.LockNotAvailable as error:
            raise postgres_server.ServerError(
                f"another command has been setting the databases of embedded Postgres up for longer than "
                f"{LOCK_TIMEOUT}: look for it with ps, end it if it hangs, and try again"
            ) from error
        for database, role in DATABASES.items():
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
                admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is None:
                admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        admin.execute("ALTER DATABASE airflow OWNER TO airflow")
        # By default every role may connect to every database.
        admin.execute("REVOKE ALL ON DATABASE airflow, postgres, template1 FROM PUBLIC")
        with server.connect("taxi", user=postgres_server.SUPERUSER) as warehouse, warehouse.transaction():
            warehouse.execute(render("postgres/set_up_warehouse.sql").encode())
