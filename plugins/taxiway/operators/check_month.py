"""Operator: check that a month balances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from taxiway.core.tables import LoadTables
from taxiway.operators.month_operator import MonthOperator
from taxiway.postgres.publish import check_month

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckMonthOperator(MonthOperator):
    """Check that every row of the file is accounted for, before anything is published.

    Returns the number of rows that are ready to be published.
    """

    def run_step(self, connection: psycopg.Connection[Any], tables: LoadTables, context: Context) -> int:
        """Check the month."""
        ready = check_month(connection, tables)
        self.log.info("%s %s: %d rows read, all accounted for", tables.source.name, tables.month, ready)
        return ready
