"""Operator: write the reports of months."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.report_link import ReportLink
from taxiway.orchestration.reporting import months_to_report, opened, published, source_of, write_period
from taxiway.reports.figures import Period

if TYPE_CHECKING:
    from airflow.sdk import Context


class WriteMonthReportsOperator(BaseOperator):
    """Write the reports of months from their summaries: a page and its pictures each.

    Returns the paths of the pages.

    :param source_name: the source, a file of ``include/sources`` without its ending (templated)
    :param month: the month as ``YYYY-MM``; empty for every one that is published (templated)
    :param conn_id: the warehouse's connection
    """

    operator_extra_links = (ReportLink(),)
    template_fields: Sequence[str] = ("source_name", "month")

    def __init__(self, *, source_name: str, month: str, conn_id: str = "taxi_postgres", **kwargs: Any) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.source_name = source_name
        self.month = month
        self.conn_id = conn_id

    def execute(self, context: Context) -> list[str]:
        """Write the reports.

        :raises AirflowFailException: the month isn't published, Postgres refuses, or the folder can't be written to
        """
        paths = []
        with retry_or_fail(context):
            source = source_of(self.source_name)
            where = f"{source.name} {self.month or '(every month)'}: {self.task_id}"
            with opened(where, self.conn_id) as connection:
                months = published(connection, source, self.conn_id)
                for month in months_to_report(months, source, self.month):
                    path = write_period(connection, source, Period.of_month(month), months)
                    self.log.info("%s %s: the report is %s", source.name, month, path)
                    paths.append(str(path))
        return paths
