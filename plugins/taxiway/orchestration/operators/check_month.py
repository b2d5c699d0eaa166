"""Operator: check a month before it is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from taxiway.orchestration.operators.month_operator import MonthOperator
from taxiway.warehouses.postgres.check import check_month
from taxiway.warehouses.postgres.tables import LoadTables

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckMonthOperator(MonthOperator):
    """Check that every row of the file is accounted for, and what the source's YAML wants checked.

    What it finds is in the ledger; an XCom would say it twice, and cost a request to the API server.
    """

    def run_step(self, connection: psycopg.Connection[Any], tables: LoadTables, context: Context) -> None:
        """Check the month."""
        checked = check_month(connection, tables)
        where = f"{tables.source.name} {tables.month}"
        self.log.info("%s: %d rows ready to be published, all of the file accounted for", where, checked.ready)
        for warning in checked.warnings:
            self.log.warning("%s: %s", where, warning)
        for name in checked.skipped:
            self.log.info("%s: check %s not measured: nothing to compare with yet", where, name)
