"""Operator: write the summary of months."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from taxiway.orchestration.assets import announce_summary
from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.reporting import months_to_report, opened, published, source_of
from taxiway.warehouses.postgres.summary import summarize_month

if TYPE_CHECKING:
    from airflow.sdk import Context


class SummarizeMonthsOperator(BaseOperator):
    """Write the rows of published months in ``public.monthly_zone_summary`` anew, each month in one transaction.

    Returns the number of rows by month.

    :param source_name: the source, a file of ``include/sources`` without its ending (templated)
    :param month: the month as ``YYYY-MM``; empty for every one that is published (templated)
    :param conn_id: the warehouse's connection
    """

    template_fields: Sequence[str] = ("source_name", "month")

    def __init__(self, *, source_name: str, month: str, conn_id: str = "taxi_postgres", **kwargs: Any) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.source_name = source_name
        self.month = month
        self.conn_id = conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Write the summaries.

        :raises AirflowFailException: the source has no report, the month isn't published, or Postgres refuses
        """
        rows = {}
        with retry_or_fail(context):
            source = source_of(self.source_name)
            where = f"{source.name} {self.month or '(every month)'}: {self.task_id}"
            with opened(where, self.conn_id) as connection:
                for month in months_to_report(published(connection, source, self.conn_id), source, self.month):
                    rows[str(month)] = summarize_month(connection, source, month)
                    announce_summary(context, source, month)
        return rows
