"""Postgres for the conformance tests: a database of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from taxiway.loads.load import Load
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.postgres.upkeep import PostgresUpkeep
from taxiway.warehouses.postgres.warehouse import PostgresWarehouse
from tests.conformance.harness import Harness
from tests.conftest import PostgresServer


class PostgresHarness(Harness):
    """A database.

    :param server: its server
    :param database: its name
    """

    name = "postgres"
    load_order = "load_id"

    def __init__(self, server: PostgresServer, database: str) -> None:
        """Connect."""
        super().__init__()
        self.server, self.database = server, database
        self.connection = server.connect(database, autocommit=True)

    @classmethod
    @contextmanager
    def made(cls, request: pytest.FixtureRequest) -> Iterator[PostgresHarness]:
        """Make a database."""
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database = server.create_database()
        try:
            harness = cls(server, database)
            with closing(harness.connection):
                yield harness
        finally:
            server.drop_database(database)

    @contextmanager
    def open(self, load: Load) -> Iterator[PostgresWarehouse]:
        """Open the warehouse for one step."""
        with closing(self.server.connect(self.database)) as connection:
            yield PostgresWarehouse(connection, LoadTables.of(load))

    @contextmanager
    def upkeep(self) -> Iterator[PostgresUpkeep]:
        """Open the warehouse for maintenance."""
        with closing(self.server.connect(self.database)) as connection:
            yield PostgresUpkeep(connection, "taxi_postgres", "test")

    def ask(self, statement: str) -> list[Any]:
        """Return the rows of a statement."""
        return self.connection.execute(statement.replace("$taxi.", "taxiway.")).fetchall()  # type: ignore[arg-type]

    def do(self, statement: str) -> None:
        """Run a statement."""
        self.connection.execute(statement)  # type: ignore[arg-type]

    def main_table(self, source: Source) -> str:
        """The main table."""
        return f"public.{source.main_table}"

    def ready_table(self, load: Load) -> str:
        """The rows that are ready to be published."""
        return LoadTables.of(load).rows_table

    def of_month(self, load: Load) -> str:
        """A condition on the main table's rows of a month."""
        return f"filename = '{load.filename}'"

    def columns_of(self, table: str) -> list[str]:
        """The columns of a table."""
        return [column.name for column in self.connection.execute(f"SELECT * FROM {table} LIMIT 0").description or ()]

    def has_table(self, table: str) -> bool:
        """Say whether there is a table."""
        return self.ask(f"SELECT to_regclass('{table}')") != [(None,)]

    def left_behind(self, load: Load) -> list[str]:
        """Tables in the schema of the runs."""
        prefix = LoadTables.of(load).month_prefix
        found = self.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'taxiway_staging'")
        return [name for (name,) in found if name.startswith(prefix)]

    def make_old(self, load: Load) -> None:
        """Let the attempts of a run have begun 25 hours earlier."""
        earlier = "started_at = started_at - interval '25 hours'"
        self.do(f"UPDATE taxiway.loads SET {earlier} WHERE {self._of_ledger(load)} AND run_id = '{load.run_id}'")

    def create_table(self, table: str) -> None:
        """Create a table of somebody else's."""
        self.do(f"CREATE TABLE {table} (unique_row_id integer, mine integer)")

    def end_session(self, warehouse: Any) -> None:
        """End the connection, and wait until its session has ended: closing it doesn't."""
        pid = warehouse.connection.info.backend_pid
        assert self.ask(f"SELECT pg_terminate_backend({pid}, 10000)") == [(True,)]
