"""What a call would do with each run of its range."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from sqlalchemy import select

from taxiway.backfill.errors import BackfillUsageError
from taxiway.backfill.leftovers import is_interrupted, never_started
from taxiway.backfill.request import BackfillRequest

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.timetables.base import DagRunInfo
    from sqlalchemy.orm import Session


class Action(enum.Enum):
    """What is done with one run; the value says it to the user."""

    CREATE = "create"
    FINISH = "finish: was interrupted"
    RERUN_FAILED = "rerun failed"
    RERUN = "rerun"
    SKIP_SUCCEEDED = "skip: already succeeded"
    SKIP_FAILED = "skip: failed earlier (rerun it with --reprocess-behavior failed)"
    SKIP_RUNNING = "skip: running"

    @property
    def runs(self) -> bool:
        """Whether something is run."""
        return self in (Action.CREATE, Action.FINISH, Action.RERUN_FAILED, Action.RERUN)


@dataclass(frozen=True)
class PlannedRun:
    """One run of the range.

    :param info: the run as the DAG's schedule has it
    :param label: its name in messages: the month, the day or the moment, in UTC
    :param action: what is done with it
    :param run_id: the run that exists already; None where there is none
    """

    info: DagRunInfo
    label: str
    action: Action
    run_id: str | None


def plan_runs(
    request: BackfillRequest, dag: SerializedDAG, session: Session, *, abandoned: int | None
) -> list[PlannedRun]:
    """Decide what is done with each run of the range, in the order in which runs start.

    :param dag: the DAG as its file says
    :param abandoned: id of a backfill that a killed command left behind; its runs count as interrupted
    :raises BackfillUsageError: where nothing can be run, or not like this; says why
    """
    infos = _runs_of_schedule(request, dag)
    _check_dependence_on_past(request, dag)
    labels = _labels(dag, [_logical_date(info) for info in infos])
    planned = []
    for info, label in zip(infos, labels, strict=True):
        run = _latest_run(dag.dag_id, info, session)
        action = _action(run, request.reprocess, abandoned, session)
        planned.append(PlannedRun(info=info, label=label, action=action, run_id=run.run_id if run else None))
    return list(reversed(planned)) if request.backwards else planned


def _runs_of_schedule(request: BackfillRequest, dag: SerializedDAG) -> Sequence[DagRunInfo]:
    from airflow.utils.types import DagRunType

    if not dag.timetable.periodic or dag.timetable.partitioned:
        raise BackfillUsageError(
            f"DAG {dag.dag_id!r} has no schedule with logical dates ({dag.timetable.summary}): "
            "there is nothing to go through. Start single runs with 'airflow dags trigger'"
        )
    if dag.allowed_run_types is not None and DagRunType.BACKFILL_JOB not in dag.allowed_run_types:
        raise BackfillUsageError(f"DAG {dag.dag_id!r} does not allow backfill runs (allowed_run_types)")
    now = datetime.now(timezone.utc)
    # Airflow's own backfill goes beyond the DAG's start and end; a schedule has no runs there.
    infos = [
        info
        for info in dag.iter_dagrun_infos_between(
            max(request.start, dag.start_date or request.start), min(request.end, dag.end_date or request.end)
        )
        if info.data_interval is not None and info.data_interval.end < now
    ]
    if not infos:
        raise BackfillUsageError(
            f"DAG {dag.dag_id!r} has no run from {request.range}: its schedule is {dag.timetable.summary}, "
            f"{_bounds(dag)}, and a run can start once its time has come"
        )
    return infos


def _bounds(dag: SerializedDAG) -> str:
    start = f"it starts on {dag.start_date:%Y-%m-%d}" if dag.start_date else "it has no start date"
    return f"{start} and ends on {dag.end_date:%Y-%m-%d}" if dag.end_date else start


def cut_off(request: BackfillRequest, dag: SerializedDAG) -> str | None:
    """Say which part of the range lies outside the DAG's own start and end; None where none does."""
    if (dag.start_date and request.start < dag.start_date) or (dag.end_date and request.end > dag.end_date):
        # The first day counts from its first moment, the DAG perhaps from a later hour of it.
        same_days = (dag.start_date is None or request.start.date() >= dag.start_date.date()) and (
            dag.end_date is None or request.end.date() <= dag.end_date.date()
        )
        return None if same_days else f"{dag.dag_id}: {_bounds(dag)}: the rest of the range has no runs"
    return None


def _check_dependence_on_past(request: BackfillRequest, dag: SerializedDAG) -> None:
    """Refuse to run tasks before those of past runs that they depend on, as Airflow does."""
    names = sorted(task.task_id for task in dag.tasks if task.depends_on_past)
    if names and request.backwards:
        raise BackfillUsageError(
            f"--run-backwards: {', '.join(names)} of DAG {dag.dag_id!r} depend on past runs, which would come later"
        )


def _latest_run(dag_id: str, info: DagRunInfo, session: Session) -> DagRun | None:
    from airflow.models.dagrun import DagRun

    return session.scalar(
        select(DagRun)
        .where(DagRun.dag_id == dag_id, DagRun.logical_date == info.logical_date)
        .order_by(DagRun.start_date.is_(None), DagRun.start_date.desc())
        .limit(1)
    )


def _action(run: DagRun | None, reprocess: str, abandoned: int | None, session: Session) -> Action:
    from airflow.utils.state import DagRunState

    if run is None:
        return Action.CREATE
    if run.state in (DagRunState.QUEUED, DagRunState.RUNNING):
        if abandoned is None or run.backfill_id != abandoned:
            return Action.SKIP_RUNNING
        return Action.CREATE if never_started(run, session) else Action.FINISH
    if run.state == DagRunState.FAILED:
        if is_interrupted(run, session):
            return Action.FINISH
        return Action.SKIP_FAILED if reprocess == "none" else Action.RERUN_FAILED
    return Action.RERUN if reprocess == "completed" else Action.SKIP_SUCCEEDED


def _logical_date(info: DagRunInfo) -> datetime:
    if info.logical_date is None:
        raise BackfillUsageError("the DAG's schedule has a run without a logical date: it can't be asked for by date")
    return info.logical_date.astimezone(timezone.utc)


def _labels(dag: SerializedDAG, dates: Sequence[datetime]) -> list[str]:
    """Name each date as short as the schedule allows: months, days, or moments."""
    neighbours = itertools.islice(dag.iter_dagrun_infos_between(dates[0], dates[0] + timedelta(days=800)), 2)
    first, *later = [_logical_date(info) for info in neighbours]
    gap = later[0] - first if later else timedelta.max
    for shortest, pattern in ((timedelta(days=28), "%Y-%m"), (timedelta(hours=23), "%Y-%m-%d")):
        labels = [date.strftime(pattern) for date in dates]
        if gap >= shortest and len(set(labels)) == len(dates):
            return labels
    return [date.strftime("%Y-%m-%dT%H:%M:%S") for date in dates]
