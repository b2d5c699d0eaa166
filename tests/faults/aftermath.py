"""What must be so after a fault that was survived: exactly the rows of a clean load, and nothing left over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg

from taxiway.core.row_identity import digest
from taxiway.core.sources import Source
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import wait_until
from tests.loading import ids, load, query, staging_tables, table_digest

OTHERS = (
    "SELECT pid, application_name, state, query FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    " AND pid <> ALL(%s::int[])"
)
LOCKS = (
    "SELECT locktype, pid, mode FROM pg_locks WHERE pid <> pg_backend_pid() AND pid <> ALL(%s::int[])"
    " AND (locktype = 'advisory' OR database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)
LEDGER = "SELECT to_char(month, 'YYYY-MM'), state, step, error FROM taxiway.loads ORDER BY load_id"


def clean_ids(server: PostgresServer, source: Source, files: Iterable[tuple[str, Path]]) -> dict[str, str]:
    """Load months into a database of their own, undisturbed.

    :param files: months (``YYYY-MM``) and their files
    :return: the file names, and the digest of the ids of each
    """
    database = server.create_database()
    try:
        with server.connect(database) as connection:
            for month, path in files:
                load(connection, source, month, path)
            return {path.name: table_digest(connection, source, path.name) for _, path in files}
    finally:
        server.drop_database(database)


def assert_survived(
    connection: psycopg.Connection[Any],
    source: Source,
    expected: dict[str, str],
    *,
    ours: Iterable[int] = (),
    last_states: Iterable[str] = ("published",),
) -> list[tuple[str, str, str, str | None]]:
    """Compare with a clean load, and look for leftovers.

    :param expected: what :func:`clean_ids` gave
    :param ours: process ids of other server processes that belong to the test itself
    :param last_states: how the last attempt of each month may have ended
    :return: the ledger: month, state, step and error of every attempt
    """
    pids = list(ours)
    wait_until(lambda: not query(connection, OTHERS, [pids]), timeout=15, what="other sessions to end")
    assert {name: table_digest(connection, source, name) for name in expected} == expected
    of_these = [row_id for name in expected for row_id in ids(connection, source, name)]
    assert digest(ids(connection, source)) == digest(of_these), "rows of other files"
    assert staging_tables(connection) == []
    assert query(connection, LOCKS, [pids]) == []
    ledger: list[tuple[str, str, str, str | None]] = query(connection, LEDGER)
    for month, state, step, error in ledger:
        assert state != "running", f"{month}: an attempt at {step} was left open"
        assert (error is not None) == (state in ("failed", "abandoned", "skipped")), (month, state, step, error)
    last = {month: state for month, state, _, _ in ledger}
    assert set(last.values()) <= set(last_states), ledger
    return ledger
