"""The routes of the board.

Each asks Airflow's auth manager: who isn't logged in gets 401, or as a page the login, and a user sees the months of
DAGs whose runs the user may read. Nothing is changed here: the page starts and ends runs by Airflow's own REST API,
which asks as well.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import jinja2
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag, requires_authenticated
from airflow.sdk.exceptions import AirflowException
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from taxiway.board.asking import Answer, Ledger
from taxiway.board.charts import Artist
from taxiway.board.months import attempt_of, write_board
from taxiway.board.rights import month_dags, readable, runs_there
from taxiway.board.runs import last_end, runs_and_rights
from taxiway.errors import SourceConfigError, TaxiwayError
from taxiway.messages import one_line, said_by_driver
from taxiway.orchestration.login import lead_to_login
from taxiway.orchestration.month_of_run import run_of_name
from taxiway.orchestration.standing import runs_ended, with_end, with_ends
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID
from taxiway.orchestration.warehouses import WAREHOUSES, dag_id_of
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, find_source

PAGE = Path(__file__).with_name("board.html")

FILES = {path.name: path for path in (Path(__file__).parent / "static").iterdir()}
"""What the page is made of: only these files are served."""

MOST_ATTEMPTS, MOST_LINES = 50, 100
"""How many attempts of a month, and rejected lines of an attempt, the page shows."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer, unless the route says something else: scripts and styles come from here only, none from the page."""

CHART_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Of a chart: matplotlib writes its styles into it, and it has nothing else."""

ChartName = Literal["rows", "seconds", "rejected", "freshness"]
WarehouseName = Literal["postgres", "bigquery"]
DagId = Annotated[str, InPath(pattern=r"^[a-z][a-z0-9_]{0,249}$")]
MonthText = Annotated[str, InPath(pattern=r"^([12][0-9]{3}-(0[1-9]|1[0-2])|whole)$")]
LoadId = Annotated[str, Query(pattern=r"^[a-z0-9_]{1,200}$")]

router = APIRouter()


def create_app() -> FastAPI:
    """Return the board's app; it has no page about its own routes, which would need no login."""
    app = FastAPI(title="Taxiway", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.ledgers = {name: Ledger(name) for name in WAREHOUSES}
    app.state.artist = Artist()
    app.middleware("http")(_with_headers)
    lead_to_login(app)
    app.include_router(router)
    return app


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def shown_dags(user: GetUserDep) -> frozenset[str]:
    """Return the DAGs whose months the user may see."""
    return readable(month_dags(), user)


ShownDags = Annotated[frozenset[str], Depends(shown_dags)]


@router.get("/board", dependencies=[Depends(requires_authenticated())])
def page(dag_id: str = "") -> HTMLResponse:
    """Return the page, without months.

    :param dag_id: the DAG whose months are shown; all if there is none
    """
    dags = month_dags()
    known = not dag_id or dag_id == TAXI_DAG_ID or dag_id in dags
    only = dag_id if dag_id in dags else ""
    return HTMLResponse(
        _template().render(
            dag_id=only,
            warehouses=[dags[only][0]] if only else list(WAREHOUSES),
            other_dag="" if known else one_line(dag_id, 250),
        )
    )


@router.get("/api/months")
async def months(request: Request, shown: ShownDags, warehouse: WarehouseName, dag_id: str = "") -> Response:
    """Return how the months of a warehouse stand.

    :param dag_id: the DAG whose months are returned; all if there is none
    """
    answer = await _ledger(request, warehouse).months(await run_in_threadpool(last_end, warehouse))
    return await run_in_threadpool(_months, answer, warehouse, shown & {dag_id} if dag_id else shown)


@router.get("/api/months/{dag_id}/{month}", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))])
async def attempts(request: Request, user: GetUserDep, dag_id: DagId, month: MonthText) -> JSONResponse:
    """Return the last attempts to load a month."""
    warehouse, source = await run_in_threadpool(_source_of, dag_id)
    asked, asked_at = Month.parse(month), datetime.now(timezone.utc)
    try:
        found = await _ledger(request, warehouse).ask(lambda opened: opened.attempts(source, asked, MOST_ATTEMPTS))
        runs = {run_of_name(attempt.run_id, dag_id) for attempt in found}
        present = await run_in_threadpool(runs_there, runs, user)
        ended = await run_in_threadpool(runs_ended, runs, asked_at)
    except (TaxiwayError, SQLAlchemyError, AirflowException) as error:
        return JSONResponse({"problem": _said(error), "attempts": []})
    known = [with_end(attempt, dag_id, ended) for attempt in found]
    return JSONResponse({"problem": "", "attempts": [attempt_of(each, dag_id, present) for each in known]})


@router.get(
    "/api/months/{dag_id}/{month}/rejected",
    dependencies=[
        Depends(requires_access_dag("GET", entity)) for entity in (DagAccessEntity.RUN, DagAccessEntity.TASK_LOGS)
    ],
)
async def rejected(
    request: Request,
    dag_id: DagId,
    month: MonthText,
    load_id: LoadId,
    sort: Literal["line", "reason"] = "line",
) -> JSONResponse:
    """Return the first lines that an attempt could not read.

    They are data of a run, so the user must be able to read the DAG's runs and its task logs.

    :param load_id: the attempt
    :param sort: by line, or by reason
    """
    warehouse, source = await run_in_threadpool(_source_of, dag_id)
    asked = Month.parse(month)
    try:
        lines = await _ledger(request, warehouse).ask(
            lambda opened: opened.rejected_lines(source, asked, load_id, MOST_LINES, by_reason=sort == "reason")
        )
    except TaxiwayError as error:
        return JSONResponse({"problem": _said(error), "lines": []})
    return JSONResponse(
        {
            "problem": "",
            "lines": [
                {"line": each.line_number, "text": one_line(each.raw_line, 500), "reason": one_line(each.reason, 500)}
                for each in lines
            ],
        }
    )


@router.get("/api/runs", dependencies=[Depends(requires_authenticated())])
def runs(user: GetUserDep) -> JSONResponse:
    """Return which runs of ``taxi`` load months now, and what the user may do with them."""
    return JSONResponse(runs_and_rights(user))


@router.get("/charts/{name}.svg")
async def chart(
    request: Request,
    shown: ShownDags,
    name: ChartName,
    warehouse: WarehouseName,
    theme: Literal["light", "dark"] = "light",
    dag_id: str = "",
) -> Response:
    """Return a chart of the months that the user may see.

    :param dag_id: the DAG whose months are drawn; all if there is none
    """
    dag_ids = shown & {dag_id} if dag_id else shown
    if not await run_in_threadpool(_shows, warehouse, dag_ids):
        raise HTTPException(403, "You may see no month of this warehouse")
    answer = await _ledger(request, warehouse).months()
    if answer.problem:
        raise HTTPException(503, answer.problem)
    sources = [source for source in answer.sources if dag_id_of(warehouse, source.name) in dag_ids]
    artist: Artist = request.app.state.artist
    svg = await artist.draw(name, theme, sources, answer.loads)
    return Response(svg, media_type="image/svg+xml", headers={"Content-Security-Policy": CHART_POLICY})


@router.get("/static/{name}", dependencies=[Depends(requires_authenticated())])
def static(request: Request, name: str) -> Response:
    """Return a file of the page; a browser that has it is told so."""
    if name not in FILES:
        raise HTTPException(404, "The board has no such file")
    body, tag = _file(name)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=mimetypes.guess_type(name)[0], headers=headers)


def _months(answer: Answer, warehouse: str, dag_ids: frozenset[str]) -> Response:
    """Write what is shown of a warehouse; of one whose DAGs the user may not see, nothing, why it is down included."""
    if dag_ids not in answer.written:
        if _shows(warehouse, dag_ids):
            known = replace(answer, loads=with_ends(answer.loads, warehouse, answer.asked_at))
            before = answer.before.get(dag_ids)
            text, answer.before[dag_ids] = write_board(known, warehouse, WAREHOUSES[warehouse].title, dag_ids, before)
        else:
            text = json.dumps({"warehouse": warehouse, "hidden": True, "problem": "", "sources": []})
        answer.written[dag_ids] = text.encode()
    return Response(answer.written[dag_ids], media_type="application/json")


def _shows(warehouse: str, dag_ids: frozenset[str]) -> bool:
    """Say whether one of some DAGs loads months into a warehouse."""
    dags = month_dags()
    return any(dags[dag_id][0] == warehouse for dag_id in dag_ids & dags.keys())


def _ledger(request: Request, warehouse: str) -> Ledger:
    ledgers: dict[str, Ledger] = request.app.state.ledgers
    return ledgers[warehouse]


def _source_of(dag_id: str) -> tuple[str, Source]:
    if dag_id not in (dags := month_dags()):
        raise HTTPException(404, f"{dag_id} loads no months: expected one of {', '.join(dags)}")
    warehouse, name = dags[dag_id]
    try:
        return warehouse, find_source(SOURCES_FOLDER, name)
    except SourceConfigError as error:
        raise HTTPException(409, str(error)) from error


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, TaxiwayError) else f"Airflow says: {said_by_driver(error)}"


@cache
def _file(name: str) -> tuple[bytes, str]:
    body = FILES[name].read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(PAGE.read_text())
