"""Leads from the task that has written a report to its page in the web UI."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.execution_time.xcom import XCom

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

MONTHLY_DAG_ID = "taxi_monthly_report"
YEAR_DAG_ID = "taxi_year_report"

ROUTE = "/taxiway-reports"
"""Where the API server has the reports, below its own address."""


class ReportLink(BaseOperatorLink):
    """The button *Report* of a task: leads to the page that it has written; to the list, if there are several."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, without a host: a worker may know the API server by another name than the browser.

        :return: a path; empty if the task has written nothing
        """
        paths = XCom.get_value(ti_key=ti_key, key="return_value")
        if not paths:
            return ""
        page = PurePath(paths[0])
        name = f"{page.parent.name}/{page.stem}" if len(paths) == 1 else ""
        below = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
        return f"{below}{ROUTE}/{name}"
