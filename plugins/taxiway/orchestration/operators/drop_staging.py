"""Operator: clear up behind a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from taxiway.orchestration.operators.month_operator import MonthOperator
from taxiway.warehouses.postgres.cleanup import drop_staging
from taxiway.warehouses.postgres.tables import LoadTables

if TYPE_CHECKING:
    from airflow.sdk import Context


class DropStagingOperator(MonthOperator):
    """Drop the staging tables of this run, whatever became of it; Airflow runs it as a teardown."""

    so_far = so_far_unanswered = "Tables of this run may be left in the schema taxiway_staging"

    def run_step(self, connection: psycopg.Connection[Any], tables: LoadTables, context: Context) -> None:
        """Drop the tables."""
        drop_staging(connection, tables)
