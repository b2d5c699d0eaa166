"""Operator: write the reports of years."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from taxiway.errors import ReportError
from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.report_link import MONTHLY_DAG_ID, ReportLink
from taxiway.orchestration.reporting import opened, published, source_of, summed_up_months, write_period
from taxiway.program import airflow_command
from taxiway.reports.figures import Period
from taxiway.sources.months import Month
from taxiway.sources.strict_yaml import shown

if TYPE_CHECKING:
    from airflow.sdk import Context

    from taxiway.sources.source import Source


class WriteYearReportsOperator(BaseOperator):
    """Write the reports of years from the summaries of their months: a page and its pictures each.

    A year that lacks months is skipped, if a month has set the run off; asked for by hand, it is an error. Returns
    the paths of the pages.

    :param source_name: the source, a file of ``include/sources`` without its ending (templated)
    :param year: the year as ``YYYY``; empty for every one that has all its months (templated)
    :param conn_id: the warehouse's connection
    """

    operator_extra_links = (ReportLink(),)
    template_fields: Sequence[str] = ("source_name", "year")

    def __init__(self, *, source_name: str, year: str, conn_id: str = "taxi_postgres", **kwargs: Any) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.source_name = source_name
        self.year = year
        self.conn_id = conn_id

    def execute(self, context: Context) -> list[str]:
        """Write the reports.

        :raises AirflowFailException: months are missing, Postgres refuses, or the folder can't be written to
        :raises AirflowSkipException: a month has set the run off, and others of its year are missing
        """
        paths, missing = [], ""
        with retry_or_fail(context):
            source = source_of(self.source_name)
            where = f"{source.name} {self.year or '(every year)'}: {self.task_id}"
            if self.year and not re.fullmatch("[12][0-9]{3}", self.year):
                raise ReportError(f"{source.name}: {shown(self.year)} is not a year: write it as YYYY, such as 2019")
            first, last = (int(self.year), int(self.year)) if self.year else (1000, 2999)
            with opened(where, self.conn_id) as connection:
                months = published(connection, source, self.conn_id)
                found = summed_up_months(connection, source, Month(first, 1), Month(last, 12), months)
                complete = [year for year in sorted({month.year for month in found}) if not _lacking(year, found)]
                if not complete:
                    missing = self._missing(source, found, context["ti"].get_dag(MONTHLY_DAG_ID).is_paused)
                    if context["dag_run"].run_type != "asset_triggered":
                        raise ReportError(missing)
                for year in complete:
                    path = write_period(connection, source, Period.of_year(year), months)
                    self.log.info("%s %d: the report is %s", source.name, year, path)
                    paths.append(str(path))
        if missing:
            raise AirflowSkipException(missing)
        return paths

    def _missing(self, source: Source, found: Collection[Month], paused: bool) -> str:
        """Say what a report needs.

        :param found: the months that have a current summary
        :param paused: whether the DAG that sums months up is paused
        """
        what = "no year whose twelve months have a current summary"
        if self.year:
            what = f"no current summary of {', '.join(map(str, _lacking(int(self.year), found)))}"
        # Of a paused DAG, a triggered run would stay queued; of one that isn't, a scheduler would do the test's tasks.
        how = "test" if paused else "trigger"
        again = airflow_command("dags", how, MONTHLY_DAG_ID, "-c", json.dumps({"source": source.name}))
        return (
            f"{source.name} {self.year or '(every year)'}: found {what}, expected those of all twelve months: load "
            f"what is missing. Months that are published already are summed up by {again}"
        )


def _lacking(year: int, found: Collection[Month]) -> list[Month]:
    return [month for month in Period.of_year(year).months if month not in found]
