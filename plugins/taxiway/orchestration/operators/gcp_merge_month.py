"""Operator: publish a month in BigQuery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from taxiway.orchestration.assets import announce
from taxiway.orchestration.operators.gcp_job_operator import GcpJobOperator
from taxiway.warehouses.bigquery.publications import find_publication
from taxiway.warehouses.bigquery.publish import (
    finish_publishing,
    published_before,
    start_publishing,
    with_failed_publication,
)
from taxiway.warehouses.bigquery.step import Step

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpMergeMonthOperator(GcpJobOperator):
    """Publish a month in the main table, whole or not at all.

    Returns ``{"inserted": int, "deleted": int, "unchanged": int}``.
    """

    def start(self, step: Step, context: Context) -> Any:
        """Start the statement, once no other run is publishing the month."""
        found = start_publishing(step.warehouse, step.tables, step.load)
        while not found.own:
            self.log.info("%s: waits for the job %s of another run", step.tables.where, found.job.job_id)
            if self.deferrable:
                self.defer_until_done(step, found.job, method_name="start_again", own=False)
            step.warehouse.wait(found.job)
            found = start_publishing(step.warehouse, step.tables, step.load)
        return found.job

    def start_again(self, context: Context, event: dict[str, Any], load: Any = None) -> Any:
        """Go on after the triggerer has seen the end of another run's job.

        :param event: the trigger's; what became of the job is asked for
        :param load: the attempt; ``airflow dags test`` hands over nothing but the event
        """
        return self.guarded(context, load or self.load, lambda step: self.run_step(step, context))

    def guarded(self, context: Context, load: Any, act: Callable[[Step], Any]) -> Any:
        """Publish the month, and say which one it was to whoever follows the table."""
        counts = super().guarded(context, load, act)
        announce(self.outlets, context, self.source_name, self.month)
        return counts

    def run_again(self, step: Step, context: Context) -> Any:
        """Publish the month, unless the run has done so: then say again what that changed."""
        counts = published_before(step.warehouse, step.tables, step.load)
        if counts is None:
            return super().run_again(step, context)
        self.log.info("%s: published before in this run", step.tables.where)
        return asdict(counts)

    def find(self, step: Step) -> Any | None:
        """Find the statement's job."""
        return find_publication(step.warehouse, step.tables, step.load)

    def finish(self, step: Step, job: Any) -> dict[str, int]:
        """Count what it changed, and enter it in the ledger."""
        step.known_load = with_failed_publication(step.load, job)
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
