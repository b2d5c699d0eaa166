"""Operator: give the rows of a staged month their types and ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psycopg

from taxiway.core.tables import LoadTables
from taxiway.operators.month_operator import MonthOperator
from taxiway.postgres.hash import hash_rows
from taxiway.postgres.stage import Staged

if TYPE_CHECKING:
    from airflow.sdk import Context


class HashRowsOperator(MonthOperator):
    """Turn a staged month into typed rows with ``unique_row_id`` and ``filename``.

    Returns the number of rows.

    :param staged: what ``stage_month`` returned (templated)
    """

    template_fields: Sequence[str] = ("month", "staged")

    def __init__(self, *, staged: Any, **kwargs: Any) -> None:
        """Assign the parameters; all else waits for the step."""
        super().__init__(**kwargs)
        self.staged = staged

    def run_step(self, connection: psycopg.Connection[Any], tables: LoadTables, context: Context) -> int:
        """Hash the rows."""
        rows = hash_rows(connection, tables, Staged(**self.staged))
        self.log.info("%s %s: %d rows have an id", tables.source.name, tables.month, rows)
        return rows
