"""What a call would do with each run of its range."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from sqlalchemy import select

from dags_backfill.errors import BackfillUsageError
from dags_backfill.interrupted_runs import is_interrupted
from dags_backfill.request import BackfillRequest
from dags_backfill.task_records import marked_runs, ran_to_its_end, task_records
from taxiway.program import airflow_command

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.timetables.base import DagRunInfo
    from sqlalchemy.orm import Session

    from dags_backfill.dag_files import ParsedDag


NEAR = (timedelta(days=2), timedelta(days=40), timedelta(days=400))
"""How far from a range without runs the next one is looked for: as near as most schedules have one, up to a year."""


class Action(enum.Enum):
    """What is done with one run; the value says it to the user."""

    CREATE = "create"
    FINISH = "finish: was interrupted"
    TAKE_OVER = "take over: its run waits, and nobody works on it"
    RERUN_FAILED = "rerun failed"
    RERUN = "rerun"
    SKIP_SUCCEEDED = "skip: already succeeded"
    SKIP_NOT_RUN = (
        "skip: recorded as succeeded, though it has not run to its end (run it with --reprocess-behavior completed)"
    )
    SKIP_FAILED = "skip: failed earlier (rerun it with --reprocess-behavior failed)"
    SKIP_RUNNING = "skip: running elsewhere"

    @property
    def runs(self) -> bool:
        """Whether something is run."""
        return self in (Action.CREATE, Action.FINISH, Action.TAKE_OVER, Action.RERUN_FAILED, Action.RERUN)


@dataclass(frozen=True)
class PlannedRun:
    """One run of the range.

    :param info: the run as the DAG's schedule has it
    :param label: its name in messages: the month, the day or the moment, in the DAG's time zone
    :param date: its logical date, as a call asks for it: the day or the moment, in the DAG's time zone
    :param action: what is done with it
    :param run_id: the run that exists already; None if there is none
    :param worker: who works on a run that goes on elsewhere; None for any other run
    """

    info: DagRunInfo
    label: str
    date: str
    action: Action
    run_id: str | None
    worker: str | None = None


@dataclass(frozen=True)
class Plan:
    """What is done with a range.

    :param runs: the runs of the range, in the order in which they start
    :param left_out: which parts of the range have no runs, and why, one sentence each
    """

    runs: Sequence[PlannedRun]
    left_out: Sequence[str]


def plan_runs(request: BackfillRequest, parsed: ParsedDag, session: Session) -> Plan:
    """Decide what is done with each run of the range.

    :param parsed: the DAG as its file says
    :raises BackfillUsageError: if nothing can be run, or not like this; says why
    """
    dag = parsed.dag
    infos, outside = _runs_of_schedule(request, parsed)
    _check_dependence_on_past(request, dag)
    labels = _labels(dag, [_logical_date(info) for info in infos])
    planned, left_out = [], []
    reasons = [parsed.nothing_for(_logical_date(info)) for info in infos]
    # Dates that follow each other and have the same reason, or none, come together.
    for reason, group in itertools.groupby(zip(infos, labels, reasons, strict=True), key=lambda entry: entry[2]):
        dates = list(group)
        if reason is not None:
            left_out.append(f"{named([label for _, label, _ in dates])}: not run, because {reason}")
            continue
        for info, label, _ in dates:
            run = _latest_run(dag.dag_id, info, session)
            action, worker = _action(run, request.reprocess, session)
            typed = _typed(dag, _logical_date(info), label)
            planned.append(PlannedRun(info, label, typed, action, run.run_id if run else None, worker))
    if not planned:
        raise _no_run(request, dag, [*left_out, *outside])
    return Plan(list(reversed(planned)) if request.backwards else planned, [*left_out, *outside])


def named(labels: Sequence[str]) -> str:
    """Name dates that follow each other: ``2019-01``, or ``2019-01 to 2019-12``."""
    return labels[0] if len(labels) == 1 else f"{min(labels)} to {max(labels)}"


def _runs_of_schedule(request: BackfillRequest, parsed: ParsedDag) -> tuple[Sequence[DagRunInfo], Sequence[str]]:
    """Return the runs of the range that the schedule has started by now, and say which parts have no runs."""
    from airflow.utils.types import DagRunType

    dag = parsed.dag
    if not dag.timetable.periodic or dag.timetable.partitioned:
        raise BackfillUsageError(
            f"DAG {dag.dag_id!r} has no schedule with logical dates ({dag.timetable.summary}): "
            f"there is nothing to go through. Start single runs with '{airflow_command('dags', 'trigger', dag.dag_id)}'"
        )
    if dag.allowed_run_types is not None and DagRunType.BACKFILL_JOB not in dag.allowed_run_types:
        raise BackfillUsageError(f"DAG {dag.dag_id!r} does not allow backfill runs (allowed_run_types)")
    now = datetime.now(timezone.utc)
    outside = []
    # The first day counts from its first moment, the DAG perhaps from a later hour of it.
    if dag.start_date and request.start.date() < dag.start_date.date():
        outside.append(f"before {dag.start_date:%Y-%m-%d}: no runs, because DAG {dag.dag_id!r} starts then")
    if dag.end_date and request.end.date() > dag.end_date.date():
        outside.append(f"after {dag.end_date:%Y-%m-%d}: no runs, because DAG {dag.dag_id!r} ends then")
    infos = []
    # Airflow's own backfill goes beyond the DAG's start and end; a schedule has no runs there.
    start, end = max(request.start, dag.start_date or request.start), min(request.end, dag.end_date or request.end)
    for info in dag.iter_dagrun_infos_between(start, end):
        if not _has_come(info, now):
            outside.append(
                f"from {_logical_date(info):%Y-%m-%d %H:%M} UTC on: not run, because the schedule starts "
                f"these runs in the future, the first at {info.run_after.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
            )
            break
        infos.append(info)
    if not infos:
        raise _no_run(request, dag, [f"its schedule is {dag.timetable.summary}", *outside], _nearest(request, parsed))
    return infos, outside


def _has_come(info: DagRunInfo, now: datetime) -> bool:
    """Say whether the schedule has started the run: it may do so later than its data interval ends."""
    return info.run_after <= now


def _no_run(
    request: BackfillRequest, dag: SerializedDAG, reasons: Sequence[str], next_step: str = ""
) -> BackfillUsageError:
    return BackfillUsageError(f"DAG {dag.dag_id!r} has no run from {request.range}: {'; '.join(reasons)}{next_step}")


def _nearest(request: BackfillRequest, parsed: ParsedDag) -> str:
    """Name the runs before and after a range that has none, and the call that runs them; empty if none is near."""
    dag, now = parsed.dag, datetime.now(timezone.utc)
    latest = min(dag.end_date or now, now)
    earliest = dag.start_date or request.start
    start, end = (min(max(moment, earliest), latest) for moment in (request.start, request.end))
    for reach in NEAR:
        first, last = start - min(reach, start - earliest), end + min(reach, latest - end)
        dates = [_logical_date(info) for info in dag.iter_dagrun_infos_between(first, last) if _has_come(info, now)]
        dates = [date for date in dates if parsed.nothing_for(date) is None]
        near = [date for date in dates if date <= start][-1:] + [date for date in dates if date >= end][:1]
        if near:
            labels = _labels(dag, near)
            typed = [_typed(dag, date, label) for date, label in zip(near, labels, strict=True)]
            labels = sorted(set(labels))
            which = f"runs are {' and '.join(labels)}: run them" if labels[1:] else f"run is {labels[0]}: run it"
            return f". The nearest {which} with {request.command(first=typed[0], last=typed[-1])}"
    return ""


def _check_dependence_on_past(request: BackfillRequest, dag: SerializedDAG) -> None:
    """Refuse to run tasks before the tasks of past runs that they depend on, as Airflow does."""
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


def _action(run: DagRun | None, reprocess: str, session: Session) -> tuple[Action, str | None]:
    """Return what is done with a date that has this run, and who works on the run if somebody else does."""
    from airflow.utils.state import DagRunState

    from dags_backfill.takeover import who_works_on

    if run is None:
        return Action.CREATE, None
    if run.state in (DagRunState.QUEUED, DagRunState.RUNNING):
        worker = who_works_on(run, session)
        return (Action.SKIP_RUNNING if worker else Action.TAKE_OVER), worker
    if run.state == DagRunState.FAILED:
        if is_interrupted(run, session):
            return Action.FINISH, None
        return (Action.SKIP_FAILED if reprocess == "none" else Action.RERUN_FAILED), None
    if reprocess == "completed":
        return Action.RERUN, None
    # A run without any task is believed: ``airflow db clean`` deletes the tasks of old runs, and keeps some runs.
    tasks = task_records(run.dag_id, [run.run_id], session).get(run.run_id)
    believed = tasks is None or ran_to_its_end(run, tasks, marked_runs([run], session), session)
    return (Action.SKIP_SUCCEEDED if believed else Action.SKIP_NOT_RUN), None


def _logical_date(info: DagRunInfo) -> datetime:
    if info.logical_date is None:
        raise BackfillUsageError("the DAG's schedule has a run without a logical date: it can't be asked for by date")
    return info.logical_date.astimezone(timezone.utc)


def _typed(dag: SerializedDAG, date: datetime, label: str) -> str:
    """Return a logical date as a call asks for it: as a day, if its name is a day or a month."""
    return label if "T" in label else f"{date.astimezone(dag.timezone):%Y-%m-%d}"


def _labels(dag: SerializedDAG, dates: Sequence[datetime]) -> list[str]:
    """Name each date as short as the schedule allows: months, days, or moments, in the DAG's time zone."""
    neighbours = itertools.islice(dag.iter_dagrun_infos_between(dates[0], dates[0] + timedelta(days=800)), 2)
    first, *later = [_logical_date(info) for info in neighbours]
    gap = later[0] - first if later else timedelta.max
    for shortest, pattern in ((timedelta(days=28), "%Y-%m"), (timedelta(hours=23), "%Y-%m-%d")):
        labels = [date.astimezone(dag.timezone).strftime(pattern) for date in dates]
        if gap >= shortest and len(set(labels)) == len(dates):
            return labels
    # With the offset: where a clock is set back, an hour comes twice.
    return [date.astimezone(dag.timezone).isoformat() for date in dates]
