"""What the page is told of the runs of the DAG ``taxi``: which load months now, and what a user may do with them.

The page starts and ends runs by Airflow's own REST API, which checks the user's rights again.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import and_, case, exists, func, select

from taxiway.loads.step_names import PUBLISH
from taxiway.messages import one_line
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID
from taxiway.orchestration.warehouses import WAREHOUSES

PREFIX = "board__"
"""What the ids of the runs begin with that the page starts: ``board__<press>__<warehouse>__<source>__<month>``."""

CANCELLED = "Cancelled on the board"
"""How the note begins that the page gives to a run that it ends; the moment follows."""

SHOWN_FOR = timedelta(minutes=10)
"""How long the page shows a press of *Load* after its last run has ended."""

LONGEST_PRESS = timedelta(days=2)
"""Age at which a press is no longer looked for, unless a run of it goes on."""

MOST_RUNS = 2_000
"""How many runs are shown that go on, and that have ended: the newest ones."""

PUBLISHING = [f"{warehouse}.{PUBLISH}" for warehouse in WAREHOUSES]
"""The tasks of ``taxi`` that publish a month."""

ACTIVE = (DagRunState.QUEUED, DagRunState.RUNNING)


def runs_and_rights(user: BaseUser) -> dict[str, Any]:
    """Return what the user may do, what keeps runs waiting, and the runs that the user may see.

    ``runs`` has all that are queued or running, and those that have ended of presses that go on, or have just ended.
    """
    with create_session() as session:
        dag = session.get(DagModel, TAXI_DAG_ID)
        is_known = dag is not None and not dag.is_stale
        told = {
            "may_load": is_known and _may("POST", user),
            "may_cancel": _may("PUT", user) and _may("DELETE", user),
            "may_unpause": _may("PUT", user, None),
            "is_paused": dag is not None and bool(dag.is_paused),
            "has_scheduler": (job := SchedulerJobRunner.most_recent_job(session=session)) is not None
            and job.is_alive(),
            "runs": [],
        }
        if _may("GET", user):
            told["runs"] = _runs(session, datetime.now(timezone.utc))
    return told


def last_end(warehouse: str) -> datetime | None:
    """Return when the last run ended that the page has started for a warehouse; None if there is none of late."""
    ended = select(func.max(DagRun.end_date)).where(
        DagRun.dag_id == TAXI_DAG_ID,
        DagRun.run_id.startswith(PREFIX, autoescape=True),
        DagRun.run_id.contains(f"__{warehouse}__", autoescape=True),
        DagRun.run_after > datetime.now(timezone.utc) - LONGEST_PRESS,
    )
    with create_session() as session:
        return session.scalar(ended)


def press_of(run_id: str) -> str:
    """Return which press of *Load* has started a run; empty if none has."""
    return run_id.split("__")[1] if run_id.startswith(PREFIX) and run_id.count("__") > 1 else ""


def _runs(session: Any, now: datetime) -> list[dict[str, Any]]:
    has_published = exists().where(
        TaskInstance.dag_id == DagRun.dag_id,
        TaskInstance.run_id == DagRun.run_id,
        TaskInstance.task_id.in_(PUBLISHING),
        TaskInstance.state == TaskInstanceState.SUCCESS,
    )
    is_cancelled = and_(
        DagRunNote.content.startswith(CANCELLED, autoescape=True),
        DagRunNote.updated_at >= DagRun.queued_at,  # otherwise somebody has cleared it since, and the note has stayed
    )
    runs = (
        select(
            DagRun.id,
            DagRun.run_id,
            DagRun.state,
            DagRun.conf,
            DagRun.run_after,
            DagRun.end_date,
            DagRun.triggering_user_name,
            case((is_cancelled, case((has_published, "success"), else_="cancelled"))).label("cancelled"),
        )
        .outerjoin(DagRunNote, DagRunNote.dag_run_id == DagRun.id)
        .where(DagRun.dag_id == TAXI_DAG_ID)
        .order_by(DagRun.id.desc())
        .limit(MOST_RUNS)
    )
    active = session.execute(runs.where(DagRun.state.in_(ACTIVE))).all()
    recent = runs.where(
        DagRun.run_id.startswith(PREFIX, autoescape=True),
        DagRun.run_after > now - LONGEST_PRESS,
        DagRun.state.not_in(ACTIVE),
    )
    ended = session.execute(recent).all()
    going = {press_of(run.run_id) for run in active}
    going |= {press_of(run.run_id) for run in ended if run.end_date is None or run.end_date > now - SHOWN_FOR}
    shown = [*active, *(run for run in ended if press_of(run.run_id) in going)]
    return [_run(run) for run in sorted(shown, key=lambda run: run.id)]


def _run(run: Any) -> dict[str, Any]:
    conf = run.conf if isinstance(run.conf, dict) else {}
    state = str(getattr(run.state, "value", run.state))
    said = {key: one_line(str(conf.get(key, "")), 40) for key in ("taxi", "year", "month", "warehouse")}
    return {
        "run_id": run.run_id,
        "press": press_of(run.run_id),
        # Airflow calls a cancelled run a success if merge_month didn't run, and a failure if it had published before.
        "state": state if state in ACTIVE else run.cancelled or state,
        "is_success": state == DagRunState.SUCCESS,
        "warehouse": said["warehouse"] or "postgres",
        "source": said["taxi"],
        "month": f"{said['year']}-{said['month']}" if said["year"] else "",
        "user": one_line(run.triggering_user_name or "", 100),
        "begun_at": run.run_after.astimezone(timezone.utc).isoformat(timespec="seconds"),
    }


def _may(method: Any, user: BaseUser, entity: DagAccessEntity | None = DagAccessEntity.RUN) -> bool:
    return get_auth_manager().is_authorized_dag(
        method=method,
        access_entity=entity,
        details=DagDetails(id=TAXI_DAG_ID, team_name=DagModel.get_team_name(TAXI_DAG_ID)),
        user=user,
    )
