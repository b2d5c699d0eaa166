"""Operator: bring a downloaded month to Cloud Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taxiway.orchestration.operators.gcp_month_operator import GcpMonthOperator
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.send import send_month
from taxiway.warehouses.bigquery.step import Step

if TYPE_CHECKING:
    from airflow.sdk import Context


class UploadMonthOperator(GcpMonthOperator):
    """Look through a downloaded month's lines, and upload the file as it is, unless the lake has it.

    Where lines can't be read as rows, they are kept as rejects, and a copy without them is uploaded for the load,
    beside the lake, as long as the run lasts.
    """

    keeps_rejects = False

    def run_step(self, step: Step, context: Context) -> dict[str, Any]:
        """Upload the file."""

        def entered(load: Load) -> None:
            step.known_load = load

        load, uploaded = send_month(step.warehouse, step.lake, step.tables, step.load, entered)
        self.log.info(
            "%s: %s %s: %d rows, %d lines rejected",
            step.tables.where,
            step.tables.uri(uploaded.name),
            "is there already" if uploaded.skipped else "uploaded",
            load.rows_read,
            load.rows_rejected,
        )
        return load.to_dict()
