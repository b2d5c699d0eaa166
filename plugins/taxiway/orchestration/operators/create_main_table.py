"""Operator: create a source's main table in BigQuery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taxiway.orchestration.operators.gcp_month_operator import GcpMonthOperator
from taxiway.warehouses.bigquery.main_table import ensure_main_table
from taxiway.warehouses.bigquery.step import Step

if TYPE_CHECKING:
    from airflow.sdk import Context


class CreateMainTableOperator(GcpMonthOperator):
    """Create the source's main table where it is absent, and compare it with the source where it is there."""

    def run_step(self, step: Step, context: Context) -> dict[str, Any]:
        """Create the table."""
        ensure_main_table(step.warehouse, step.tables)
        return step.load.to_dict()
