"""A triggerer just for this call, started when the first task waits for one."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import select

from taxiway.backfill.processes import bound_to_parent, end_processes

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class Triggerer:
    """Runs ``airflow triggerer`` while deferred tasks of a backfill have none."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the triggerer that was started here; None without one."""
        return None if self._process is None else self._process.pid

    def start_if_needed(self, backfill_id: int) -> None:
        """Start a triggerer if a task of the backfill is deferred and none is alive."""
        from airflow.utils.session import create_session

        if self._process is not None and self._process.poll() is None:
            return
        with create_session() as session:
            if not _has_deferred_task(backfill_id, session) or _triggerer_is_alive(session):
                return
        self._process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"],
            stdin=subprocess.DEVNULL,
            # SIGTERM: it has a process of its own to end.
            preexec_fn=bound_to_parent(signal.SIGTERM),
        )

    def stop(self) -> None:
        """Stop the triggerer, if it was started here."""
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                end_processes([psutil.Process(self._process.pid)], grace=10)
            self._process.wait()
            self._process = None


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


def _triggerer_is_alive(session: Session) -> bool:
    from airflow.jobs.job import most_recent_job

    job = most_recent_job("TriggererJob", session=session)
    return job is not None and job.is_alive()
