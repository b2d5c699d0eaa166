"""The sessions that set up embedded Postgres: none of them waits without an end."""

from __future__ import annotations

import pytest

from taxiway_local import database
from taxiway_local.database import Server
from taxiway_local.postgres_server import SUPERUSER, ServerError
from tests.conftest import PostgresServer

LOCK = "SELECT pg_advisory_lock(hashtextextended('taxiway/databases', 0))"


def test_every_session_has_timeouts(postgres_server: PostgresServer) -> None:
    with Server(postgres_server.socket_folder).connect("postgres", user=SUPERUSER) as connection:
        settings = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"

        assert connection.execute(settings).fetchone() == ("1min", "5min")


def test_a_command_that_hangs_does_not_keep_others_waiting(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT", "100ms")
    with postgres_server.connect(autocommit=True) as hanging:
        hanging.execute(LOCK)

        with pytest.raises(ServerError, match=r"another command .* for longer than 100ms.*try again"):
            database._create_databases(Server(postgres_server.socket_folder))
