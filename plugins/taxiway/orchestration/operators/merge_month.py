"""Operator: publish a month."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import psycopg

from taxiway.orchestration.assets import announce
from taxiway.orchestration.operators.month_operator import MonthOperator
from taxiway.warehouses.postgres.publish import merge_month
from taxiway.warehouses.postgres.tables import LoadTables

if TYPE_CHECKING:
    from airflow.sdk import Context


class MergeMonthOperator(MonthOperator):
    """Publish a month in the main table, whole or not at all.

    Returns ``{"inserted": int, "deleted": int, "unchanged": int}``.
    """

    so_far_unanswered = "The month may be published or not, which taxiway.loads says and the next try finds out"

    def run_step(self, connection: psycopg.Connection[Any], tables: LoadTables, context: Context) -> dict[str, int]:
        """Publish the month."""
        counts = merge_month(connection, tables)
        announce(self.outlets, context, tables.source.name, str(tables.month))
        self.log.info(
            "%s %s: published in %s: %d rows inserted, %d deleted, %d unchanged",
            tables.source.name,
            tables.month,
            tables.source.main_table,
            counts.inserted,
            counts.deleted,
            counts.unchanged,
        )
        return asdict(counts)
