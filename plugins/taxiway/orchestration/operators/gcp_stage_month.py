"""Operator: stage an uploaded month in BigQuery."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from taxiway.orchestration.operators.gcp_job_operator import GcpJobOperator
from taxiway.warehouses.bigquery.stage import finish_staging, staging_job_name, start_staging
from taxiway.warehouses.bigquery.step import Step
from taxiway.warehouses.bigquery.warehouse import last_job

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpStageMonthOperator(GcpJobOperator):
    """Load an uploaded month into a staging table of its own, which BigQuery deletes after a day."""

    def start(self, step: Step, context: Context) -> Any:
        """Start the load job."""
        return start_staging(step.warehouse, step.tables, step.load)

    def find(self, step: Step) -> Any | None:
        """Find the load job."""
        return last_job(step.warehouse, staging_job_name(step.load))

    def finish(self, step: Step, job: Any) -> dict[str, Any]:
        """Count the rows."""
        finish_staging(step.warehouse, step.lake, step.tables, step.load, job)
        return replace(step.load, staged_by=job.job_id).to_dict()
