"""Runs that wait or go on, and whether anybody works on them.

A task that is cleared queues its run again. If the DAG is paused, or no
scheduler is alive, nobody works on that run: a backfill may take it over.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow.configuration import conf
from airflow.jobs.job import Job, most_recent_job
from airflow.models.backfill import Backfill
from airflow.models.dag import DagModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.net import get_hostname
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy import select

from dags_backfill.errors import BackfillError
from dags_backfill.interrupted_runs import reset, task_processes

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

TEMPORARY_RUN = "__airflow_temporary_run_"
"""How the ids begin of the runs that ``airflow tasks test`` makes."""


def is_alive(job_type: str, session: Session) -> bool:
    """Say whether one of Airflow's services has reported lately.

    :param job_type: its kind of job, such as ``SchedulerJob``
    """
    job = most_recent_job(job_type, session=session)
    return job is not None and job.is_alive()


def who_works_on(run: DagRun, session: Session) -> str | None:
    """Say who works on a run that has not ended; None if nobody does.

    :param run: a queued or running run, of no backfill that is unfinished
    """
    tasks = session.scalars(
        select(TaskInstance)
        .where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
        .execution_options(populate_existing=True)
    ).all()
    for task in tasks:
        if task.state in (TaskInstanceState.RUNNING, TaskInstanceState.RESTARTING) and _reports(task):
            return f"its task {task.task_id} runs on {task.hostname}"
        if task.state == TaskInstanceState.QUEUED and task.queued_by_job_id is not None:
            job = session.get(Job, task.queued_by_job_id, populate_existing=True)
            if job is not None and job.is_alive():
                return f"its task {task.task_id} is about to start"
    if run.triggered_by == DagRunTriggeredByType.TEST or run.run_id.startswith(TEMPORARY_RUN):
        # Such a run is one process, which starts its tasks itself. Between two tasks, only their records show it.
        if max(task.updated_at or _never() for task in tasks) > _lost() if tasks else True:
            return "airflow dags test or tasks test"
        return None
    paused = session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == run.dag_id))
    if paused is not False or not is_alive("SchedulerJob", session):
        return None
    backfill = session.get(Backfill, run.backfill_id) if run.backfill_id is not None else None
    if run.state == DagRunState.QUEUED and backfill is not None and backfill.is_paused:
        # A cancelled backfill stays paused, and schedulers start no run of a paused backfill.
        return None
    return "Airflow's scheduler"


def take_over(run: DagRun, session: Session) -> None:
    """Put the open tasks of a run that nobody works on back into no state.

    :param run: the run, with its row locked by the caller's transaction
    :raises BackfillError: somebody has begun to work on it, or it has ended
    """
    if run.state not in (DagRunState.QUEUED, DagRunState.RUNNING) or who_works_on(run, session):
        raise BackfillError(f"{run.dag_id}: the run {run.run_id} has changed in this moment: call again")
    for task in session.scalars(
        select(TaskInstance)
        .where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
        .with_for_update(of=TaskInstance)
    ):
        reset(task, session)


def _reports(task: TaskInstance) -> bool:
    """Say whether a running task has a process: one on this machine is looked for, any other reports."""
    if task.hostname == get_hostname() and task.pid is not None:
        return bool(task_processes([task]))
    return (task.last_heartbeat_at or task.start_date or _never()) > _lost()


def _lost() -> datetime:
    """Return the moment since which a task that is alive has reported."""
    return datetime.now(timezone.utc) - timedelta(seconds=conf.getint("scheduler", "task_instance_heartbeat_timeout"))


def _never() -> datetime:
    return datetime.min.replace(tzinfo=timezone.utc)
