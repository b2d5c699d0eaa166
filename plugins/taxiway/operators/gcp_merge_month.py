"""Operator: publish a month in BigQuery."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from taxiway.bigquery.publish import finish_publishing, start_publishing
from taxiway.bigquery.step import Step
from taxiway.operators.gcp_job_operator import GcpJobOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpMergeMonthOperator(GcpJobOperator):
    """Publish a month in the main table, whole or not at all.

    Returns ``{"inserted": int, "deleted": int, "unchanged": int}``.
    """

    def start(self, step: Step, context: Context) -> Any:
        """Start the statement."""
        return start_publishing(step.warehouse, step.tables, step.load)

    def finish(self, step: Step, job: Any) -> dict[str, int]:
        """Count what it changed, and enter it in the ledger."""
        counts = finish_publishing(step.warehouse, step.tables, step.load, job)
        self.log.info(
            "%s: published in %s: %d rows inserted, %d deleted, %d unchanged",
            step.tables.where,
            step.tables.main_table,
            counts.inserted,
            counts.deleted,
            counts.unchanged,
        )
        return asdict(counts)
