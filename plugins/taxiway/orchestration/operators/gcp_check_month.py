"""Operator: check a month before it is published in BigQuery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taxiway.orchestration.operators.gcp_month_operator import GcpMonthOperator
from taxiway.warehouses.bigquery.check import check_month
from taxiway.warehouses.bigquery.step import Step

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpCheckMonthOperator(GcpMonthOperator):
    """Check that every row of the file is accounted for, and what the source wants checked."""

    def run_step(self, step: Step, context: Context) -> dict[str, Any]:
        """Check the month."""
        load = check_month(step.warehouse, step.tables, step.load)
        for warning in load.warnings:
            self.log.warning("%s: %s", step.tables.where, warning)
        self.log.info("%s: %d rows read, all accounted for", step.tables.where, load.rows_read)
        return load.to_dict()
