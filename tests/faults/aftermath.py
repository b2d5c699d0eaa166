"""What must be so after a fault that was survived: exactly the rows of a clean load, and nothing left over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psycopg

from taxiway.loads.row_identity import digest
from taxiway.sources.source import Source
from tests.conftest import PostgresServer
from tests.faults.served_months import ServedMonth
from tests.integration.airflow_environment import wait_until
from tests.loading import ids, load, query, staging_tables, table_digest

OTHERS = (
    "SELECT pid, application_name, state, query FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    " AND pid <> ALL(%s::int[])"
)
# Autovacuum, too, locks a table for a moment while it counts its rows. A session that is gone has no row to join.
LOCKS = (
    "SELECT locktype, held.pid, mode, backend_type FROM pg_locks AS held LEFT JOIN pg_stat_activity USING (pid)"
    " WHERE held.pid <> pg_backend_pid() AND held.pid <> ALL(%s::int[])"
    " AND backend_type IS DISTINCT FROM 'autovacuum worker'"
    " AND (locktype = 'advisory' OR database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)
LEDGER = "SELECT to_char(month, 'YYYY-MM'), state, step, error FROM taxiway.loads ORDER BY load_id"
KEPT = "SELECT line_number, raw_line FROM taxiway.rejected_rows WHERE load_id = %s ORDER BY line_number"
PUBLISHED = """
SELECT DISTINCT ON (month) to_char(month, 'YYYY-MM'), load_id, rows_read, rows_staged, rows_rejected
FROM taxiway.loads WHERE state = 'published' ORDER BY month, load_id DESC
"""


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
    wait_until(lambda: not query(connection, OTHERS, [pids]), timeout=60, what="other sessions to end")
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


def assert_rejected(connection: psycopg.Connection[Any], served: Mapping[str, ServedMonth]) -> None:
    """Compare rejected lines and counts of what is published with what was served.

    :param served: months (``YYYY-MM``), and what was published of each at last
    """
    published = {month: tuple(counts) for month, *counts in query(connection, PUBLISHED)}
    for month, file in served.items():
        load_id, *counts = published[month]
        rejected = len(file.rejects)
        assert counts == [file.rows + rejected, file.rows, rejected], month
        kept = query(
            connection, "SELECT line_number, raw_line FROM taxiway.rejected_rows WHERE load_id = %s", [load_id]
        )
        assert sorted(kept) == sorted(file.rejects.items()), month
        shown = "SELECT row_count, rows_rejected FROM taxiway.months WHERE to_char(month, 'YYYY-MM') = %s"
        assert query(connection, shown, [month]) == [(file.rows, rejected)], month
