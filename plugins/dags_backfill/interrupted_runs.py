"""Runs that were begun and not ended: finds them, and puts them in order.

An interrupted command leaves nothing half done, and neither does the next call after a killed one. Runs that had not
begun are removed. Runs that had begun are marked failed, with their open tasks in no state. This state identifies them,
and the next call finishes them: tasks that succeeded stay done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import delete, func, select, update

if TYPE_CHECKING:
    from airflow.models.backfill import Backfill
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

USER_SUFFIX = " (airflow dags backfill)"
"""Ends the triggering user of every backfill that this command creates: how it knows its own."""

JOB_TYPE = "BackfillJob"
"""Type of this command's jobs. Not SchedulerJob: neither the web UI nor ``airflow jobs check`` shall think
that a scheduler runs."""

NOTE_PREFIX = "Interrupted: "


@dataclass(frozen=True)
class Reconciled:
    """What was put in order.

    :param removed: ids of runs that had not begun, and are gone
    :param interrupted: ids of runs that are to be finished by the next call
    :param processes: task processes of this machine that have been told to end, by the database only
    """

    removed: tuple[str, ...]
    interrupted: tuple[str, ...]
    processes: tuple[psutil.Process, ...]


def unfinished_backfill(dag_id: str, session: Session) -> Backfill | None:
    """Return the DAG's backfill that has not been completed; Airflow allows one."""
    from airflow.models.backfill import Backfill

    return session.scalar(
        select(Backfill).where(Backfill.dag_id == dag_id, Backfill.completed_at.is_(None)).order_by(Backfill.id)
    )


def is_ours(backfill: Backfill) -> bool:
    """Say whether this command created a backfill, rather than the web UI or ``airflow backfill create``."""
    return (backfill.triggering_user_name or "").endswith(USER_SUFFIX)


def never_started(run: DagRun, session: Session) -> bool:
    """Say whether none of a new run's tasks has begun."""
    return run.clear_number == 0 and all(ti.state is None and ti.try_number == 0 for ti in _tasks(run, session))


def is_interrupted(run: DagRun, session: Session) -> bool:
    """Say whether a failed run was stopped, rather than failed by a task."""
    from airflow.utils.state import State

    states = {ti.state for ti in _tasks(run, session)}
    return None in states and not states & State.failed_states


def reconcile(backfill_id: int, reason: str, session: Session) -> Reconciled:
    """Put the open runs of a backfill in order, and complete it.

    :param backfill_id: the backfill, one of this command's own
    :param reason: why its runs end, for the note that people read in the web UI
    """
    from airflow.models.backfill import Backfill, BackfillDagRun
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState

    backfill = session.scalar(select(Backfill).where(Backfill.id == backfill_id).with_for_update())
    runs = session.scalars(
        select(DagRun)
        .where(DagRun.backfill_id == backfill_id, DagRun.state.in_([DagRunState.QUEUED, DagRunState.RUNNING]))
        .order_by(DagRun.logical_date)
        .with_for_update(of=DagRun)
    ).all()
    removed, interrupted, processes = [], [], []
    for run in runs:
        for task in _tasks(run, session, lock=True):
            processes += task_processes([task])
            reset(task, session)
        session.flush()
        if never_started(run, session):
            session.execute(delete(BackfillDagRun).where(BackfillDagRun.dag_run_id == run.id))
            session.delete(run)
            removed.append(run.run_id)
        else:
            run.set_state(DagRunState.FAILED)
            if run.note is None:
                run.note = f"{NOTE_PREFIX}{reason}. The same 'airflow dags backfill' finishes it."
            interrupted.append(run.run_id)
    if backfill is not None:
        backfill.completed_at = datetime.now(timezone.utc)
    session.flush()
    return Reconciled(tuple(removed), tuple(interrupted), tuple(processes))


def reset(task: TaskInstance, session: Session) -> None:
    """Put an open task back into no state; an attempt that had begun is kept as history, and not counted."""
    from airflow.utils.state import State, TaskInstanceState

    if task.state is None or task.state in State.finished:
        return
    if task.state in (TaskInstanceState.SCHEDULED, TaskInstanceState.QUEUED) and task.next_method is None:
        task.try_number -= 1
    elif task.state != TaskInstanceState.UP_FOR_RETRY:
        # A new id: a process that still works on the old one is told to end at its next heartbeat.
        task.prepare_db_for_next_try(session)
        task.max_tries += 1
    task.state = None
    # A mark of the run gives a task the moment of the mark only if it has no end.
    task.end_date = None
    task.queued_by_job_id = None
    task.external_executor_id = None
    task.trigger_id = None
    task.trigger_timeout = None
    task.clear_next_method_args()


def reset_orphans(backfill_id: int, job_id: int, lost_seconds: float, session: Session) -> None:
    """Have tasks run again that a scheduler had queued that is gone; what its processes still work on goes on.

    :param job_id: the job whose tasks are nobody's orphans
    :param lost_seconds: time without a heartbeat after which a running task counts as lost
    """
    from airflow.configuration import conf
    from airflow.jobs.job import Job
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.sqlalchemy import with_row_locks
    from airflow.utils.state import JobState, State, TaskInstanceState

    now = datetime.now(timezone.utc)
    silent = now - timedelta(seconds=conf.getint("scheduler", "scheduler_health_check_threshold"))
    lost = now - timedelta(seconds=lost_seconds)
    query = (
        select(TaskInstance)
        .join(TaskInstance.dag_run)
        .join(Job, Job.id == TaskInstance.queued_by_job_id)
        .where(
            DagRun.backfill_id == backfill_id,
            TaskInstance.state.in_(State.adoptable_states),
            Job.id != job_id,
            (Job.state.is_distinct_from(JobState.RUNNING)) | (Job.latest_heartbeat < silent),
        )
    )
    for task in session.scalars(with_row_locks(query, session, of=TaskInstance, skip_locked=True)).all():
        reporting = task.last_heartbeat_at is not None and task.last_heartbeat_at > lost
        if task.state == TaskInstanceState.QUEUED or not (reporting and task_processes([task])):
            reset(task, session)


def reset_queued(backfill_id: int, job_id: int, session: Session) -> None:
    """Have tasks run again that a job had queued, and whose processes are known to be gone."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.state import State

    query = (
        select(TaskInstance)
        .join(TaskInstance.dag_run)
        .where(
            DagRun.backfill_id == backfill_id,
            TaskInstance.state.in_(State.adoptable_states),
            TaskInstance.queued_by_job_id == job_id,
        )
    )
    for task in session.scalars(query.with_for_update(of=TaskInstance)).all():
        reset(task, session)


def task_processes(tasks: Sequence[TaskInstance]) -> list[psutil.Process]:
    """Return the processes of this machine that still work on the given running tasks."""
    from airflow.utils.net import get_hostname
    from airflow.utils.state import TaskInstanceState

    processes = []
    for task in tasks:
        if task.state not in (TaskInstanceState.RUNNING, TaskInstanceState.RESTARTING):
            continue
        if task.pid is None or task.start_date is None or task.hostname != get_hostname():
            continue
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(task.pid)
            # A younger process only has the number that the task's process had before.
            if process.create_time() <= task.start_date.timestamp() + 1 and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
    return processes


def open_runs(backfill_id: int, session: Session) -> int:
    """Count the runs of a backfill that have not ended."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState

    return (
        session.scalar(
            select(func.count())
            .select_from(DagRun)
            .where(DagRun.backfill_id == backfill_id, DagRun.state.in_([DagRunState.QUEUED, DagRunState.RUNNING]))
        )
        or 0
    )


def fail_dead_jobs(dag_id: str, session: Session) -> None:
    """Mark the jobs of dead commands as failed: the holder of the DAG's lock knows that they are dead."""
    from airflow.jobs.job import Job
    from airflow.utils.state import JobState

    session.execute(
        update(Job)
        .where(Job.job_type == JOB_TYPE, Job.dag_id == dag_id, Job.state == JobState.RUNNING)
        .values(state=JobState.FAILED, end_date=datetime.now(timezone.utc))
    )


def _tasks(run: DagRun, session: Session, *, lock: bool = False) -> Sequence[TaskInstance]:
    from airflow.models.taskinstance import TaskInstance

    query = select(TaskInstance).where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
    return session.scalars(query.with_for_update(of=TaskInstance) if lock else query).all()
