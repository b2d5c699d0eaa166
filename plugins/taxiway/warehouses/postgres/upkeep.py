"""What Postgres no longer needs in its ledger, its staging schema and its rejected lines, as maintenance asks."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.errors import DependentObjectsStillExist, InsufficientPrivilege, LockNotAvailable

from taxiway.loads.maintenance import LedgerEntry
from taxiway.sources.months import Month
from taxiway.warehouses.postgres.errors import said_by
from taxiway.warehouses.postgres.published_months import in_our_words
from taxiway.warehouses.postgres.session import rows_by_name, transaction
from taxiway.warehouses.postgres.tables import DESTINATION, STAGING_SCHEMA
from taxiway.warehouses.sql import render

LOCK_TIMEOUT = "5s"
"""Longest wait for a table of a run that is over: only a person can have locked it."""

_TABLE = re.compile(r"([a-z0-9_]+_[0-9a-f]{12})(?:_rows|_diff)?")


@dataclass(frozen=True)
class PostgresUpkeep:
    """Postgres, as maintenance asks it.

    :param connection: the warehouse, with no transaction open
    :param connection_id: what messages call the connection
    :param task: the task that asks, for messages
    """

    connection: psycopg.Connection[Any]
    connection_id: str
    task: str

    def entries(self) -> Sequence[LedgerEntry]:
        """Return every attempt of the ledger; none without a ledger.

        :raises TransientWarehouseError: Postgres can't answer now
        :raises WarehouseError: it refuses
        """
        with self._transaction() as cursor:
            if cursor.execute("SELECT to_regclass('taxiway.loads') IS NULL").fetchone() == (True,):
                return []
            rows = rows_by_name(cursor.execute(render("postgres/list_loads.sql"), {"destination": DESTINATION}))
        return [LedgerEntry(**{**row, "month": Month.of(row["month"])}) for row in rows]

    def staging(self) -> Collection[str]:
        """Return the runs that have tables in the staging schema."""
        with self._transaction() as cursor:
            cursor.execute("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = %s", [STAGING_SCHEMA])
            names = [str(name) for (name,) in cursor]
        return {match[1] if (match := _TABLE.fullmatch(name)) else name for name in names}

    def drop(self, name: str) -> str:
        """Drop a run's tables.

        :return: why they stay: one is locked, another role's, or needed by a view; empty if they are dropped
        """
        if not _TABLE.fullmatch(name):
            return "its name isn't one of a run's tables"
        table = f"{STAGING_SCHEMA}.{name}"
        names = {"staging_table": table, "rows_table": f"{table}_rows", "differences_table": f"{table}_diff"}
        with in_our_words(self.task, self.connection_id):
            try:
                with transaction(self.connection) as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                    cursor.execute(render("postgres/drop_staging.sql", **names))
            except (LockNotAvailable, InsufficientPrivilege, DependentObjectsStillExist) as error:
                return said_by(error)
        return ""

    def count_rejected_rows(self, load_ids: Collection[str]) -> int:
        """Count the rejected lines of attempts."""
        with self._transaction() as cursor:
            cursor.execute(render("postgres/count_rejects.sql"), {"load_ids": list(load_ids)})
            return sum(count for (count,) in cursor)

    def delete_rejected_rows(self, load_ids: Collection[str]) -> None:
        """Delete the rejected lines of attempts."""
        with self._transaction() as cursor:
            cursor.execute(render("postgres/delete_rejects.sql"), {"load_ids": list(load_ids)})

    def delete_attempts(self, load_ids: Collection[str]) -> None:
        """Delete attempts from the ledger."""
        with self._transaction() as cursor:
            cursor.execute(render("postgres/delete_loads.sql"), {"load_ids": list(load_ids)})

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.ClientCursor[Any]]:
        with in_our_words(self.task, self.connection_id), transaction(self.connection) as cursor:
            yield cursor
