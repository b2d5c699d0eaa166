"""A triggerer just for this call, started when the first task waits for one."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from dags_backfill.processes import end_child, start_child
from dags_backfill.takeover import is_alive

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

STOP_SECONDS = 2.0
"""How long the triggerer has to stop; its triggers are done by then, or not wanted any more."""


class Triggerer:
    """Runs Airflow's triggerer while deferred tasks of a backfill have none."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._process: BaseProcess | None = None
        self._answers: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the triggerer that was started here; None without one."""
        return None if self._process is None else self._process.pid

    def start_if_needed(self, backfill_id: int) -> None:
        """Start a triggerer if a task of the backfill is deferred and none is alive."""
        from airflow.utils.session import create_session

        if self._process is not None:
            if self._process.is_alive():
                return
            self.stop()
        with create_session() as session:
            if not _has_deferred_task(backfill_id, session) or is_alive("TriggererJob", session):
                return
        self._answers, question = multiprocessing.Pipe(duplex=False)
        self._process = start_child(_run, "triggerer", question)
        question.close()

    def stop(self) -> None:
        """Stop the triggerer, if it was started here."""
        if self._process is None or self._answers is None:
            return
        end_child(self._process, STOP_SECONDS)
        self._process = None
        if self._answers.poll():
            _end_job(self._answers.recv())
        self._answers.close()


def _run(answers: Connection) -> None:
    """Run the triggerer until a signal ends it.

    :param answers: where to tell the id of its job
    """
    from airflow.configuration import conf
    from airflow.jobs.job import Job, execute_job
    from airflow.jobs.triggerer_job_runner import TriggererJobRunner

    job = Job(heartrate=conf.getfloat("triggerer", "job_heartbeat_sec"))
    runner = TriggererJobRunner(job=job, capacity=conf.getint("triggerer", "capacity"))
    job.prepare_for_execution()
    answers.send(job.id)
    try:
        execute_job(job, execute_callable=runner._execute)
    finally:
        job.complete_execution()


def _end_job(job_id: int) -> None:
    """Note that a triggerer has ended, which it may have been too slow to do: the next one must not rely on it."""
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session
    from airflow.utils.state import JobState

    with create_session() as session:
        session.execute(
            update(Job).where(Job.id == job_id, Job.state == JobState.RUNNING).values(state=JobState.SUCCESS)
        )


def _has_deferred_task(backfill_id: int, session: Session) -> bool:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.state import TaskInstanceState

    query = (
        select(TaskInstance.id)
        .join(TaskInstance.dag_run)
        .where(DagRun.backfill_id == backfill_id, TaskInstance.state == TaskInstanceState.DEFERRED)
    )
    return session.scalar(query.limit(1)) is not None
