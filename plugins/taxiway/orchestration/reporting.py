"""What the tasks of reports share: the source, its months, the warehouse, and the folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from airflow.sdk import Variable

from taxiway.errors import ReportError
from taxiway.loads.published_months import Recorded
from taxiway.orchestration.open_postgres import connected
from taxiway.orchestration.taxi_conf import taxi_command
from taxiway.paths import SOURCES_FOLDER
from taxiway.reports.charts import draw_charts
from taxiway.reports.figures import Period, figures_of
from taxiway.reports.folder import FOLDER_VARIABLE, reports_folder, write_report
from taxiway.reports.page import page_of
from taxiway.sources.months import Month
from taxiway.sources.source import Source, find_source
from taxiway.warehouses.postgres.published_months import PostgresMonths, in_our_words
from taxiway.warehouses.postgres.summary import sum_up, summarized_months


def source_of(name: str) -> Source:
    """Read the source of a report.

    :param name: a file of ``include/sources`` without its ending
    :raises SourceConfigError: the source doesn't exist, or its file is wrong
    :raises ReportError: it has no report
    """
    source = find_source(SOURCES_FOLDER, name)
    if source.report is None:
        raise ReportError(
            f"{name}: found no key report in include/sources/{name}.yaml, expected the columns that a report is made "
            f"from: docs/reports.md"
        )
    return source


@contextmanager
def opened(where: str, conn_id: str) -> Iterator[psycopg.Connection[Any]]:
    """Open the warehouse.

    :param where: source, month and task, for messages
    :param conn_id: Airflow's connection
    :raises SettingError: the connection is missing, can't be read, or is of another type
    :raises TransientWarehouseError: Postgres can't answer now
    :raises WarehouseError: it refuses
    """
    with connected(where, conn_id) as connection, in_our_words(where, conn_id):
        yield connection


def published(connection: psycopg.Connection[Any], source: Source, conn_id: str) -> Mapping[Month, Recorded]:
    """Return the published months of a source, each as the ledger has it."""
    return PostgresMonths(connection, conn_id, purpose="report").months(source)


def months_to_report(months: Mapping[Month, Recorded], source: Source, month: str) -> list[Month]:
    """Return the months that a run reports.

    :param months: the published ones
    :param source: the source
    :param month: the month that was asked for, as ``YYYY-MM``; empty for every one that is published
    :raises InvalidMonthError: it is not a month
    :raises ReportError: it isn't published
    """
    wanted = [Month.parse(month)] if month else sorted(months)
    if wanted and wanted[0] in months:
        return wanted
    load = taxi_command("trigger", source, wanted[0] if wanted else source.first_month, "postgres")
    raise ReportError(
        f"{source.name} {month or '(every month)'}: found no published month in Postgres, expected one: load it first: "
        f"{load}"
    )


def summed_up_months(
    connection: psycopg.Connection[Any], source: Source, first: Month, last: Month, months: Mapping[Month, Recorded]
) -> set[Month]:
    """Return the months whose summary is of the file that is published now; a month without rows needs none.

    :param connection: the warehouse
    :param source: the source
    :param first: the first month
    :param last: the last month
    :param months: the published ones
    """
    found = summarized_months(connection, source, first, last)
    return {
        month
        for month, recorded in months.items()
        if (found[month] == recorded.sha256 if month in found else first <= month <= last and not recorded.rows)
    }


def write_period(
    connection: psycopg.Connection[Any], source: Source, period: Period, months: Mapping[Month, Recorded]
) -> Path:
    """Write the report of a period from the summary of its months.

    :param connection: the warehouse
    :param source: the source
    :param period: the period
    :param months: the published ones
    :return: the page
    :raises ReportError: the folder can't be written to
    """
    # Not given to Variable.get, which takes each default for a secret.
    value = Variable.get(FOLDER_VARIABLE, default=None)
    figures = figures_of(source, period, partial(sum_up, connection, source, period.first, period.last))
    charts = draw_charts(figures)
    files = {month: months[month].sha256 for month in period.months if month in months and not months[month].rows}
    files |= summarized_months(connection, source, period.first, period.last)
    page = page_of(figures, charts, files)
    return write_report(reports_folder(value), source, period, page, {chart.name: chart.png for chart in charts})
