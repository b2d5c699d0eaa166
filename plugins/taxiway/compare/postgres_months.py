"""The published months of Postgres, as a comparison asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from taxiway.core.errors import WarehouseBusyError, WarehouseError
from taxiway.core.months import Month
from taxiway.core.sources import Source
from taxiway.core.sql import render
from taxiway.postgres.session import transaction

_PASSING = (psycopg.OperationalError, psycopg.InternalError, psycopg.InterfaceError)
"""What reading again may mend: a lost connection, a lock, no room, a server that stops."""


@dataclass(frozen=True)
class PostgresMonths:
    """The published months of Postgres.

    :param connection: the warehouse, with no transaction open
    :param connection_id: what messages call the connection
    """

    connection: psycopg.Connection[Any]
    connection_id: str = "taxi_postgres"
    name: str = "Postgres"

    def months(self, source: Source) -> Mapping[Month, str]:
        """Return the published months of a source, each with the SHA-256 of its file.

        :raises WarehouseBusyError: Postgres can't answer now
        :raises WarehouseError: it refuses
        """
        with (
            explained(f"{source.name}: compare, the ledger", self.connection_id),
            transaction(self.connection) as cursor,
        ):
            if cursor.execute("SELECT to_regclass('taxiway.months') IS NULL").fetchone() == (True,):
                return {}
            rows = cursor.execute(
                render("postgres/find_published_months.sql"), {"source": source.name, "destination": "postgres"}
            )
            return {Month.of(month): sha256 for month, sha256 in rows}

    @contextmanager
    def reading(self, source: Source, month: Month) -> Iterator[PostgresMonth]:
        """Open a month to read it, in one transaction that sees one state of it.

        :raises WarehouseBusyError: Postgres can't answer now
        :raises WarehouseError: it refuses
        """
        where = f"{source.name} {month}: compare"
        with explained(where, self.connection_id), transaction(self.connection) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield PostgresMonth(cursor, source, month)

    def is_loading(self, source: Source, month: Month) -> bool:
        """Say that nothing is published before the ledger has it: both are one transaction."""
        return False


@dataclass(frozen=True)
class PostgresMonth:
    """A published month of Postgres, as one transaction sees it.

    :param cursor: of that transaction
    :param source: the source
    :param month: the month
    """

    cursor: psycopg.ClientCursor[Any]
    source: Source
    month: Month

    def sums(self) -> Mapping[str, str | None]:
        """Return ``row_count`` and the sum of every numeric column, as plain decimal numbers."""
        return self._rows("compare_month", columns=self.source.columns)[0]

    def digests(self) -> Mapping[str, tuple[int, str]]:
        """Return rows and digest of the ids that begin with the same two digits, by these."""
        return {row["part"]: (row["row_count"], row["ids_digest"]) for row in self._rows("digest_ids")}

    def ids(self, part: str) -> Sequence[str]:
        """Return the ids that begin with two digits, sorted."""
        return [row["unique_row_id"] for row in self._rows("list_ids", {"part": part})]

    def _rows(self, name: str, values: Mapping[str, str] | None = None, **names: Any) -> list[dict[str, Any]]:
        found = self.cursor.execute(
            render(f"postgres/{name}.sql", main_table=self.source.main_table, **names),
            {"filename": self.source.filename(self.month), **(values or {})},
        )
        titles = [column.name for column in found.description or ()]
        return [dict(zip(titles, row, strict=True)) for row in found.fetchall()]


@contextmanager
def explained(where: str, connection_id: str) -> Iterator[None]:
    """Say in Taxiway's words what Postgres says.

    :param where: source, month and task, for messages
    :param connection_id: the connection that it is about
    :raises WarehouseBusyError: trying again may help
    :raises WarehouseError: it would not
    """
    try:
        yield
    except psycopg.Error as error:
        said = (error.diag.message_primary or str(error)).strip().splitlines()[0]
        where = f"{where}, connection {connection_id}: Postgres says: {said}"
        if isinstance(error, _PASSING):
            raise WarehouseBusyError(
                f"{where}. Expected an answer: the task is tried again, and where that goes on failing, look whether "
                f"the server runs and what holds its locks"
            ) from error
        raise WarehouseError(
            f"{where} (SQLSTATE {error.sqlstate}). Expected the month that the ledger names, and the right to read it: "
            f"correct that, or load the month again with force, and clear the task"
        ) from error
