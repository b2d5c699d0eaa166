"""How the runs of a range stand, read from the metadata database."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from dags_backfill.plan import Action, PlannedRun
from dags_backfill.task_records import TaskRecord, marked_runs, ran_to_its_end, task_records
from taxiway.messages import printable

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session


class RunState(enum.Enum):
    """How one run of the range stands."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUCCEEDED_EARLIER = "already succeeded"
    RECORDED = "recorded as succeeded, though it has not run to its end"
    FAILED_EARLIER = "failed earlier"
    RUNNING_ELSEWHERE = "running elsewhere"
    MISSING = "gone"

    @property
    def succeeded(self) -> bool:
        """Whether the run has been run, and has succeeded."""
        return self in (RunState.SUCCEEDED, RunState.SUCCEEDED_EARLIER)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do for the run."""
        return self.succeeded or self is RunState.RECORDED

    @property
    def open(self) -> bool:
        """Whether this call still has to do with the run."""
        return self in (RunState.WAITING, RunState.RUNNING)


@dataclass(frozen=True)
class RunStatus:
    """One run of the range at one moment.

    :param label: its name in messages
    :param state: how it stands
    :param date: its logical date, as a call asks for it
    :param worker: who works on it elsewhere, as it was planned; None for any other run
    :param run_id: Airflow's id; None if there is no run
    :param tasks_done: how many of its tasks have ended
    :param tasks: how many tasks it has
    :param active: ids of the tasks that are going on
    :param retrying: ids of the tasks that wait for another try
    :param asking: ids of the tasks that wait for a person
    :param failures: how often each task has failed, for tasks that have
    :param duration: how long it took, or has taken so far; None before it starts
    """

    label: str
    state: RunState
    date: str = ""
    worker: str | None = None
    run_id: str | None = None
    tasks_done: int = 0
    tasks: int = 0
    active: tuple[str, ...] = ()
    retrying: tuple[str, ...] = ()
    asking: tuple[str, ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)
    duration: timedelta | None = None


@dataclass(frozen=True)
class FailureReason:
    """Why a run failed.

    :param task: the task that failed; None if none did
    :param message: the exception, or what else is known
    :param log: the task's log; None if there is none
    """

    task: str | None
    message: str
    log: Path | None


def statuses(dag_id: str, planned: Sequence[PlannedRun], session: Session) -> list[RunStatus]:
    """Read how each run of the plan stands, in the plan's order."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState

    dates = [run.info.logical_date for run in planned]
    found = {
        run.logical_date: run
        for run in session.scalars(
            select(DagRun)
            .where(DagRun.dag_id == dag_id, DagRun.logical_date.in_(dates))
            .execution_options(populate_existing=True)
        )
    }
    tasks = task_records(dag_id, [run.run_id for run in found.values()], session)
    earlier = {run.info.logical_date for run in planned if run.action is Action.SKIP_SUCCEEDED}
    ended = [run for date, run in found.items() if run.state == DagRunState.SUCCESS and date not in earlier]
    marked = marked_runs(ended, session)
    result = []
    for run in planned:
        dag_run = found.get(run.info.logical_date)
        if dag_run is None:
            state = RunState.WAITING if run.action is Action.CREATE else RunState.MISSING
            result.append(RunStatus(run.label, state, run.date))
        else:
            of_run = tasks.get(dag_run.run_id, [])
            state = _seen_from(run.action, dag_run, of_run, marked, session)
            result.append(_status(run, state, dag_run, of_run))
    return result


def _seen_from(
    action: Action, run: DagRun, tasks: Sequence[TaskRecord], marked: Collection[str], session: Session
) -> RunState:
    """Tell what this call runs from what was there before, or belongs to others."""
    from airflow.utils.state import DagRunState

    if run.state == DagRunState.SUCCESS:
        if action is Action.SKIP_SUCCEEDED:
            return RunState.SUCCEEDED_EARLIER
        if action.runs and not tasks:
            return RunState.MISSING
        return RunState.SUCCEEDED if tasks and ran_to_its_end(run, tasks, marked, session) else RunState.RECORDED
    if run.state == DagRunState.FAILED:
        return RunState.FAILED_EARLIER if action is Action.SKIP_FAILED else RunState.FAILED
    if action.runs:
        return RunState.WAITING if run.state == DagRunState.QUEUED else RunState.RUNNING
    return RunState.RUNNING_ELSEWHERE


def _status(planned: PlannedRun, state: RunState, run: DagRun, tasks: Sequence[TaskRecord]) -> RunStatus:
    from airflow._shared.timezones import timezone
    from airflow.utils.state import State, TaskInstanceState

    counts = Counter(task.state for task in tasks)
    duration = None
    if state is not RunState.WAITING and run.start_date is not None:
        duration = (run.end_date or timezone.utcnow()) - run.start_date
    return RunStatus(
        label=planned.label,
        state=state,
        date=planned.date,
        worker=planned.worker,
        run_id=run.run_id,
        tasks_done=sum(number for task_state, number in counts.items() if task_state in State.finished),
        tasks=len(tasks),
        active=_names(tasks, TaskInstanceState.RUNNING, TaskInstanceState.QUEUED, TaskInstanceState.DEFERRED),
        retrying=_names(tasks, TaskInstanceState.UP_FOR_RETRY, TaskInstanceState.UP_FOR_RESCHEDULE),
        asking=_names(tasks, TaskInstanceState.AWAITING_INPUT),
        failures=Counter({task.task_id: task.failures for task in tasks if task.failures}),
        duration=duration,
    )


def _names(tasks: Sequence[TaskRecord], *states: str) -> tuple[str, ...]:
    return tuple(sorted({task.task_id for task in tasks if task.state in states}))


def failure_reason(dag_id: str, run_id: str, session: Session) -> FailureReason:
    """Find out why a run failed: the first of its tasks that did, and the exception in its log."""
    from airflow.configuration import conf
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.helpers import log_filename_template_renderer
    from airflow.utils.state import TaskInstanceState

    failed = session.scalars(
        select(TaskInstance)
        .where(
            TaskInstance.dag_id == dag_id,
            TaskInstance.run_id == run_id,
            TaskInstance.state == TaskInstanceState.FAILED,
        )
        .order_by(TaskInstance.end_date.asc().nulls_last())
    ).first()
    logs = Path(conf.get_mandatory_value("logging", "base_log_folder"))
    if failed is None:
        return FailureReason(
            task=None,
            message="no task failed: the run was cancelled, somebody marked it as failed, it took longer than its "
            "dagrun_timeout, or it has tasks that wait for each other",
            log=None,
        )
    name = failed.task_id if failed.map_index < 0 else f"{failed.task_id}[{failed.map_index}]"
    log = logs / log_filename_template_renderer()(ti=failed)
    return FailureReason(task=name, message=exception_in_log(log), log=log)


def retry_reason(dag_id: str, run: RunStatus, task_id: str, session: Session) -> str | None:
    """Find out why the last try that has ended of a task failed; None if its log doesn't tell."""
    from airflow.configuration import conf
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.helpers import log_filename_template_renderer

    task = session.scalars(
        select(TaskInstance)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run.run_id, TaskInstance.task_id == task_id)
        .order_by(TaskInstance.try_number.desc())
    ).first()
    if task is None:
        return None
    logs = Path(conf.get_mandatory_value("logging", "base_log_folder"))
    try:
        return _said_in(logs / log_filename_template_renderer()(ti=task, try_number=run.failures[task_id]))
    except OSError:
        return None


def exception_in_log(log: Path) -> str:
    """Return the last exception that a task's log tells of, as class and message.

    :param log: a task's log, JSON lines
    """
    try:
        return _said_in(log) or "the task ended without an exception: its process was killed"
    except OSError:
        return "its log is not on this machine"


def _said_in(log: Path) -> str | None:
    exception = error = None
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _entry(line)
        if entry.get("error_detail"):
            # Outermost first: what was raised, then what caused it.
            detail = entry["error_detail"][0]
            exception = f"{detail.get('exc_type')}: {detail.get('exc_value')}"
        if entry.get("level") in ("error", "critical"):
            error = str(entry.get("event"))
    said = exception or error
    return printable(" ".join(said.splitlines())) if said else None


def _entry(line: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return entry if isinstance(entry, dict) else {}
