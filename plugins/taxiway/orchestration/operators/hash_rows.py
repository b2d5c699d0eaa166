"""Operator: give the rows of a staged month their types and ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psycopg

from taxiway.errors import MissingInputError
from taxiway.orchestration.operators.month_operator import MonthOperator
from taxiway.warehouses.postgres.hash import hash_rows
from taxiway.warehouses.postgres.stage import Staged, stage_month
from taxiway.warehouses.postgres.tables import LoadTables

if TYPE_CHECKING:
    from airflow.sdk import Context


class HashRowsOperator(MonthOperator):
    """Turn a staged month into typed rows with ``unique_row_id`` and ``filename``.

    The staging table is unlogged, so a server that crashes in the meantime empties it. Then the file is
    staged again here, from the cache.

    The number of rows is in the ledger; an XCom would say it twice, and cost a request to the API server.

    :param staged: what ``stage_month`` returned (templated)
    """

    template_fields: Sequence[str] = ("month", "staged")

    def __init__(self, *, staged: Any, **kwargs: Any) -> None:
        """Assign the parameters; all else waits for the step."""
        super().__init__(**kwargs)
        self.staged = staged

    def run_step(self, connection: psycopg.Connection[Any], tables: LoadTables, context: Context) -> None:
        """Hash the rows."""
        staged = Staged.from_dict(self.required(self.staged, tables, context))
        try:
            rows = hash_rows(connection, tables, staged)
        except MissingInputError as error:
            self.log.warning("%s: staging it again first", error)
            staged = stage_month(connection, tables, staged.file)
            rows = hash_rows(connection, tables, staged)
        self.log.info("%s %s: %d rows have an id", tables.source.name, tables.month, rows)
