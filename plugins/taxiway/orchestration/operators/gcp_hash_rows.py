"""Operator: give the rows of a month that is staged in BigQuery their types and ids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from taxiway.orchestration.operators.gcp_job_operator import GcpJobOperator
from taxiway.warehouses.bigquery.hash import finish_hashing, hashing_job_name, start_hashing
from taxiway.warehouses.bigquery.step import Step
from taxiway.warehouses.bigquery.warehouse import last_job

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpHashRowsOperator(GcpJobOperator):
    """Turn a staged month into typed rows with ``unique_row_id``, ``filename`` and ``source_month``."""

    def start(self, step: Step, context: Context) -> Any:
        """Start the query."""
        return start_hashing(step.warehouse, step.tables, step.load)

    def find(self, step: Step) -> Any | None:
        """Find the query's job."""
        return last_job(step.warehouse, hashing_job_name(step.load))

    def finish(self, step: Step, job: Any) -> dict[str, Any]:
        """Count the rows, and keep those that can't be read as rejects."""
        load = finish_hashing(step.warehouse, step.tables, step.load, job)
        self.log.info("%s: %d rows have an id", step.tables.where, load.rows_staged)
        return replace(load, hashed_by=job.job_id).to_dict()
