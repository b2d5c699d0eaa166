"""The reports, as the API server shows them. Airflow's auth manager decides who sees them; nothing is changed here."""

from __future__ import annotations

import json
import pathlib
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models import Variable  # the one of airflow.sdk reads no Variable of the database here
from fastapi import APIRouter, Depends, FastAPI, Path, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from taxiway.errors import SettingError
from taxiway.orchestration.login import lead_to_login
from taxiway.orchestration.report_link import MONTHLY_DAG_ID, YEAR_DAG_ID
from taxiway.program import airflow_command
from taxiway.reports.folder import FOLDER_VARIABLE, find_reports, read_report, reports_folder
from taxiway.reports.page import list_of

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
"""A page has its styles in itself, and nothing else may be fetched or run: not even what somebody wrote into it."""

SourceName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
PeriodName = Annotated[str, Path(pattern=r"^[12][0-9]{3}(-(0[1-9]|1[0-2]))?$")]

# Who sees the tasks of the reports sees the reports; a year is the sum of its months.
router = APIRouter(
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE, param_dag_id=MONTHLY_DAG_ID))]
)


def create_app() -> FastAPI:
    """Return the routes; there is no page about them, which would need no login."""
    app = FastAPI(title="Taxi reports", openapi_url=None, docs_url=None, redoc_url=None)
    lead_to_login(app)
    app.include_router(router)
    app.add_exception_handler(SettingError, _wrong_setting)
    return app


@router.get("/")
def reports() -> HTMLResponse:
    """Return the list of all reports."""
    return HTMLResponse(list_of(find_reports(_folder())), headers=HEADERS)


@router.get("/{source}/{period}")
def report(source: SourceName, period: PeriodName) -> Response:
    """Return the page of a report.

    :param source: its name
    :param period: a month as ``YYYY-MM``, or a year
    """
    folder = _folder()
    page = read_report(folder, source, period)
    if page is not None:
        return HTMLResponse(page, headers=HEADERS)
    what, dag_id = ("month", MONTHLY_DAG_ID) if "-" in period else ("year", YEAR_DAG_ID)
    command = airflow_command("dags", "test", dag_id, "-c", json.dumps({"source": source, what: period}))
    return PlainTextResponse(
        f"{source} {period}: found no report that can be read in {folder}, where the API server looks. Write it with "
        f"{command}. If a task has written it on another machine, give both machines one folder: docs/reports.md",
        status_code=404,
        headers=HEADERS,
    )


def _wrong_setting(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), status_code=503, headers=HEADERS)


def _folder() -> pathlib.Path:
    return reports_folder(Variable.get(FOLDER_VARIABLE, default_var=None))
