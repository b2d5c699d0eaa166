"""The checks of Airflow's metadata database, and of what it says about services and runs."""

from __future__ import annotations

import json
import urllib.request
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

from airflow.configuration import conf
from airflow.utils.session import create_session
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from taxiway.cli import commands
from taxiway.cli.doctor.dag_files import METADATA
from taxiway.cli.stranded_runs import START, UNENDED, said_of, stranded_of
from taxiway.doctor.check import Check, Finding, fail, ok, warn
from taxiway.messages import one_line, said_by_driver
from taxiway.program import airflow_command

if TYPE_CHECKING:
    from airflow.jobs.job import Job
    from sqlalchemy.orm import Session

JOBS = {"scheduler": "SchedulerJob", "dag processor": "DagProcessorJob", "triggerer": "TriggererJob"}
"""Services that report to the metadata database, and Airflow's names of their jobs."""

MOST_RUNS = 200
"""Runs that are looked at."""

ANSWER_SECONDS = 5.0
"""Longest wait for the API server."""


def metadata() -> Finding:
    """Does the database answer, and does it have the tables of this Airflow?"""
    from dags_backfill.configuration import metadata_problem, named_by

    named = named_by("database", "sql_alchemy_conn")
    if commands.start_errors:
        first, *log = commands.start_errors
        return fail("; ".join([first, *log[-3:]]), "correct what its log says, if it says something; then make setup")
    try:
        with create_session() as session:
            dialect = session.get_bind().dialect
            session.execute(text("SELECT 1"))
    except DBAPIError as error:
        return fail(
            f"the database{named} doesn't answer: {said_by_driver(error)}",
            "start its server, or correct [database] sql_alchemy_conn; make setup does both for embedded Postgres",
        )
    if dialect.name != "postgresql":
        return fail(
            f"the database{named} is {dialect.name}, expected Postgres",
            "make setup makes one; take AIRFLOW__DATABASE__SQL_ALCHEMY_CONN out of .env and the shell first",
        )
    if problem := metadata_problem():
        return fail(problem, airflow_command("db", "migrate"))
    version = ".".join(map(str, dialect.server_version_info or ()))
    return ok(f"Postgres {version}, with the tables of this Airflow")


def executor() -> Finding:
    """Can Airflow's executor be loaded?"""
    from dags_backfill.configuration import executor_problem

    if problem := executor_problem():
        return fail(problem, "take AIRFLOW__CORE__EXECUTOR out of .env and the shell, or install the provider")
    return ok(conf.get("core", "executor"))


def api_server() -> Finding:
    """Does the API server answer, if the scheduler runs, whose tasks report to it?"""
    # Where tasks report to comes first: people may reach it by another address, which is none of this machine.
    given = conf.get("core", "execution_api_server_url", fallback="") or conf.get("api", "base_url", fallback="")
    with create_session() as session:
        needed = _is_alive(_jobs(session)["scheduler"])
    if not (given or needed):
        return ok("not running")  # at Airflow's default address another one may run
    address = (given or "http://localhost:8080").rstrip("/").removesuffix("/execution")
    try:
        # No proxy knows a service of this machine, or between containers.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{address}/api/v2/monitor/health", timeout=ANSWER_SECONDS) as answer:
            json.load(answer)["metadatabase"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        said = one_line(str(error), 200)
        if needed:
            return fail(f"the scheduler runs, and {address} doesn't answer: {said}", START)
        return ok(f"not running at {address}")
    return ok(f"runs at {address}")


def service(name: str) -> Finding:
    """Does a service report, if others do or a run is due?

    :param name: one of :data:`JOBS`
    """
    with create_session() as session:
        jobs = _jobs(session)
        due = _runs_due(session) if name == "scheduler" else 0
    job, others = jobs[name], [each for each, job in jobs.items() if each != name and _is_alive(job)]
    if job is not None and _is_alive(job):
        return ok(f"runs on {job.hostname}, reported last at {job.latest_heartbeat:%H:%M:%S} UTC")
    last = "has never run" if job is None else f"reported last at {job.latest_heartbeat:%Y-%m-%d %H:%M} UTC"
    if others:
        return fail(f"{last}, and {' and '.join(others)} run", START)
    if due:
        return warn(f"{last}, and a run of {due} {'DAG' if due == 1 else 'DAGs'} is due that it has to start", START)
    if job is not None and job.state == "running":
        return warn(f"{last}, and hasn't been stopped", START)
    return ok(f"{last}; airflow dags backfill does without")


def runs() -> Finding:
    """Does somebody work on each run that hasn't ended?"""
    from airflow.models.dagrun import DagRun

    goes_on = DagRun.state.in_(UNENDED)
    with create_session() as session:
        total = session.scalar(select(func.count()).select_from(DagRun).where(goes_on)) or 0
        found = session.scalars(
            select(DagRun).where(goes_on).order_by(DagRun.dag_id, DagRun.logical_date).limit(MOST_RUNS)
        ).all()
        if stranded := stranded_of(found, session):
            return warn(*said_of(stranded, session))
    seen = f"; only the first {MOST_RUNS} were looked at" if total > MOST_RUNS else ""
    return ok(f"{total} under way{seen}")


def _jobs(session: Session) -> dict[str, Job | None]:
    from airflow.jobs.job import most_recent_job

    return {name: most_recent_job(kind, session=session) for name, kind in JOBS.items()}


def _is_alive(job: Job | None) -> bool:
    return job is not None and job.is_alive()


def _runs_due(session: Session) -> int:
    """Count the DAGs that aren't paused, and whose next run should have begun."""
    from airflow.models.dag import DagModel

    return (
        session.scalar(
            select(func.count())
            .select_from(DagModel)
            .where(
                DagModel.is_paused.is_(False),
                DagModel.is_stale.is_(False),
                DagModel.next_dagrun_create_after < datetime.now(timezone.utc),
            )
        )
        or 0
    )


CHECKS = (
    Check(METADATA, metadata, "correct [database] sql_alchemy_conn: docs/troubleshooting.md"),
    Check("executor", executor, "set AIRFLOW__CORE__EXECUTOR to LocalExecutor"),
    Check("api server", api_server, START, needs=METADATA),
    *(Check(name, partial(service, name), START, needs=METADATA) for name in JOBS),
    Check("runs", runs, "look at the runs in the web UI: make up", needs=METADATA),
)
"""All of them."""
