"""Operator: clear up behind a run on Google Cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taxiway.orchestration.operators.gcp_month_operator import GcpMonthOperator
from taxiway.warehouses.bigquery.cleanup import drop_staging
from taxiway.warehouses.bigquery.step import Step

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpDropStagingOperator(GcpMonthOperator):
    """Drop the staging tables of this run, whatever became of it; Airflow runs it as a teardown."""

    enters_failures = False
    needs_load = False
    outcome = ""

    def run_step(self, step: Step, context: Context) -> None:
        """Drop the tables."""
        drop_staging(step.warehouse, step.lake, step.tables)
