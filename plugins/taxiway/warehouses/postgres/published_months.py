"""The published months of Postgres, as a comparison asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from taxiway.errors import MainTableError, TransientWarehouseError, WarehouseError
from taxiway.loads.published_months import PublishedMonth, PublishedMonths, RejectedLine, TableSize, Verified, misfits
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.errors import advice_on, is_transient, said_by
from taxiway.warehouses.postgres.main_table import has_current_ledger, is_earlier
from taxiway.warehouses.postgres.partition import find_partition, sum_up
from taxiway.warehouses.postgres.published import difference_to, find_published
from taxiway.warehouses.postgres.session import STATEMENT_TIMEOUT, rows_by_name, transaction
from taxiway.warehouses.postgres.tables import DESTINATION, LoadTables
from taxiway.warehouses.sql import render


@dataclass(frozen=True)
class PostgresMonths(PublishedMonths):
    """The published months of Postgres.

    :param connection: the warehouse, with no transaction open
    :param connection_id: what messages call the connection
    :param purpose: what they are read for, for messages
    :param statement_timeout: longest run of a question to the ledger
    """

    connection: psycopg.Connection[Any]
    connection_id: str = "taxi_postgres"
    name: str = "Postgres"
    purpose: str = "compare"
    statement_timeout: str = STATEMENT_TIMEOUT

    def rejected_lines(
        self, source: Source, month: Month, load_id: str, most: int, *, by_reason: bool = False
    ) -> Sequence[RejectedLine]:
        """Return lines that an attempt could not read; none of an id that a load of Postgres can't have."""
        if not re.fullmatch("[0-9]{1,18}", load_id):
            return []
        return super().rejected_lines(source, month, load_id, most, by_reason=by_reason)

    def table_size(self, source: Source) -> TableSize:
        """Return what the published months of a source take up, and the server's folder, if it is on this machine.

        :raises TransientWarehouseError: Postgres can't answer now
        :raises WarehouseError: it refuses
        """
        where = f"{source.name}: {self.purpose}, public.{source.main_table}"
        with in_our_words(where, self.connection_id), transaction(self.connection) as cursor:
            values = {"table_name": f"public.{source.main_table}"}
            size, folder = cursor.execute(render("postgres/measure_main_table.sql"), values).fetchone() or (None, None)
        is_here = self.connection.info.host.startswith("/") or self.connection.info.hostaddr in ("127.0.0.1", "::1")
        return TableSize(size, Path(folder) if folder and is_here else None)

    def _ask(self, what: str, name: str, values: Mapping[str, Any], **names: Any) -> list[dict[str, Any]]:
        with (
            in_our_words(f"{what}: {self.purpose}, the ledger", self.connection_id),
            transaction(self.connection, self.statement_timeout) as cursor,
        ):
            if cursor.execute("SELECT to_regclass('taxiway.months') IS NULL").fetchone() == (True,):
                return []
            names = {**names, "is_earlier": not has_current_ledger(cursor)}
            statement = render(f"postgres/{name}.sql", **names)
            return rows_by_name(cursor.execute(statement, {**values, "destination": DESTINATION}))

    def months_of_table(self, source: Source) -> Sequence[Month]:
        """Return the months that the main table has partitions of.

        :raises TransientWarehouseError: Postgres can't answer now
        :raises WarehouseError: it refuses
        """
        where = f"{source.name}: {self.purpose}, public.{source.main_table}"
        with in_our_words(where, self.connection_id), transaction(self.connection) as cursor:
            values = {"table_name": f"public.{source.main_table}"}
            return [Month.of(month) for (month,) in cursor.execute(render("postgres/list_months.sql"), values)]

    def verify(self, source: Source, month: Month) -> Verified:
        """Compare the rows of a month with what the ledger says, in one transaction that sees one state of both.

        Which transactions wrote the rows tells whether any was changed since. If so, each row's id is computed anew
        from its values.

        :raises TransientWarehouseError: Postgres can't answer now
        :raises WarehouseError: it refuses
        :raises MainTableError: the main table is an earlier version's
        """
        tables = LoadTables(source, month, self.purpose)
        where = f"{source.name} {month}: {self.purpose}"
        with in_our_words(where, self.connection_id), transaction(self.connection) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            self._require_current(cursor, source, where)
            published = find_published(cursor, tables)
            partition = find_partition(cursor, tables)
            tables = tables.in_layout(published.layout if published else None)
            state = sum_up(cursor, partition, tables.layout) if partition else None
            rows, recorded = state.rows if state else 0, published.rows_staged if published else None
            difference = difference_to(tables, published, partition, state)
            if difference is None or not rows or recorded is None:
                return Verified(rows, recorded, difference or "")
            changed, examples = _changed_rows(cursor, tables)
        if rows == recorded and changed == 0:
            return Verified(rows, recorded, rewritten=True)
        return Verified(rows, recorded, _with_changed(difference, changed), changed=examples)

    def count_files(self, source: Source, months: Sequence[Month]) -> Mapping[Month, Mapping[str, int]]:
        """Count the rows of months by file, in one statement that sees one state of the main table.

        :raises TransientWarehouseError: Postgres can't answer now
        :raises WarehouseError: it refuses
        :raises MainTableError: the main table is an earlier version's
        """
        where = f"{source.name}: {self.purpose}, public.{source.main_table}"
        found: dict[Month, dict[str, int]] = {}
        with in_our_words(where, self.connection_id), transaction(self.connection) as cursor:
            if cursor.execute("SELECT to_regclass(%s) IS NULL", [f"public.{source.main_table}"]).fetchone() == (True,):
                return {}
            self._require_current(cursor, source, where)
            rows = cursor.execute(
                render("postgres/count_files.sql", main_table=source.main_table),
                {"months": [month.first_day for month in months]},
            )
            for month, filename, row_count in rows:
                found.setdefault(Month.of(month), {})[filename] = row_count
        return found

    @contextmanager
    def reading(self, source: Source, month: Month) -> Iterator[PostgresMonth]:
        """Open a month to read it, in one transaction that sees one state of it.

        :raises TransientWarehouseError: Postgres can't answer now
        :raises WarehouseError: it refuses
        :raises MainTableError: the main table is an earlier version's
        """
        where = f"{source.name} {month}: {self.purpose}"
        with in_our_words(where, self.connection_id), transaction(self.connection) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            self._require_current(cursor, source, where)
            yield PostgresMonth(cursor, source, month)

    def _require_current(self, cursor: psycopg.Cursor[Any], source: Source, where: str) -> None:
        if is_earlier(cursor, source):
            raise MainTableError(
                f"{where}: found public.{source.main_table} as version 0.1.0 made it, expected one partitioned by "
                f"source_month: load any month of {source.name}, which brings the table over with every row, and "
                f"{self.purpose} again"
            )

    def is_loading(self, source: Source, month: Month) -> bool:
        """Say that nothing is published before the ledger has it: both are one transaction."""
        return False


def _changed_rows(cursor: psycopg.ClientCursor[Any], tables: LoadTables) -> tuple[int | None, Sequence[str]]:
    """Count the rows whose ids don't fit, and name some; None if a column of theirs is gone."""
    columns = tables.layout.columns
    statement = render(
        "postgres/find_changed_rows.sql",
        main_table=tables.source.main_table,
        columns=columns,
        others=[column for column in tables.source.columns if column not in columns],
    )
    try:
        with cursor.connection.transaction():
            found = cursor.execute(statement, {"month": tables.month.first_day, "filename": tables.filename}).fetchone()
    except psycopg.errors.UndefinedColumn:
        return None, ()
    _, changed, examples = found or (0, 0, None)
    return changed, tuple(examples or ())


def _with_changed(difference: str, changed: int | None) -> str:
    if changed is None:
        return f"{difference}; a column of its rows is gone"
    return f"{difference}; {misfits(changed)}" if changed else difference


@dataclass(frozen=True)
class PostgresMonth(PublishedMonth):
    """A published month of Postgres, as one transaction sees it.

    :param cursor: of that transaction
    :param source: the source
    :param month: the month
    """

    cursor: psycopg.ClientCursor[Any]
    source: Source
    month: Month

    def _rows(self, name: str, values: Mapping[str, Any] | None = None, **names: Any) -> list[dict[str, Any]]:
        statement = render(f"postgres/{name}.sql", main_table=self.source.main_table, **names)
        return rows_by_name(self.cursor.execute(statement, {"month": self.month.first_day, **(values or {})}))


@contextmanager
def in_our_words(where: str, connection_id: str, *, connecting: bool = False) -> Iterator[None]:
    """Say in Taxiway's words what Postgres says.

    :param where: source, month and task, for messages
    :param connection_id: the connection that it is about
    :param connecting: whether the connection is being made
    :raises TransientWarehouseError: a retry may help
    :raises WarehouseError: it would not
    """
    try:
        yield
    except psycopg.Error as error:
        where = f"{where}, connection {connection_id}: Postgres says: {said_by(error)}"
        otherwise = "correct that, or load the month again with force"
        advice = advice_on(error, connection_id, connecting=connecting, otherwise=otherwise)
        if is_transient(error, connecting=connecting):
            raise TransientWarehouseError(
                f"{where}. Expected an answer: the task is tried again. If that goes on failing, {advice}"
            ) from error
        raise WarehouseError(
            f"{where}. Expected the month that the ledger names, and the right to read it: {advice}, "
            f"and clear the task with its downstream tasks"
        ) from error
