"""Callbacks that Airflow leaves to its DAG processor: a process of this call runs them while there is none.

They are those of a run that has ended, and those of a task whose worker was lost.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psutil
from airflow.callbacks.database_callback_sink import DatabaseCallbackSink
from airflow.models.callback import DagProcessorCallback
from airflow.utils.session import NEW_SESSION, create_session, provide_session
from airflow.utils.sqlalchemy import with_row_locks
from sqlalchemy import select

from dags_backfill.processes import bind_children, end_processes

if TYPE_CHECKING:
    from airflow.callbacks.callback_requests import CallbackRequest
    from sqlalchemy.orm import Session

LONGEST_END = 60.0
"""Seconds that callbacks may still take when all runs have ended."""


class Callbacks(DatabaseCallbackSink):
    """Takes requests from the executors, as Airflow's own sink does, and has them run."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._waiting: list[UUID] = []
        self._process: BaseProcess | None = None
        self._orders: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Process id of what was started here; None without it."""
        return None if self._process is None else self._process.pid

    @provide_session
    def send(self, callback: CallbackRequest, *, session: Session = NEW_SESSION) -> None:
        """Record a request: if this call is killed, a DAG processor finds it."""
        request = DagProcessorCallback(callback=callback, priority_weight=1)
        session.add(request)
        session.flush()
        self._waiting.append(request.id)

    def run(self) -> None:
        """Have the requests run that have come since; by the DAG processor, if one is alive."""
        if not self._waiting:
            return
        with create_session() as session:
            is_left_to_it = _dag_processor_is_alive(session)
        # Not before the session has ended: a process that is forked would share its connection.
        if not is_left_to_it:
            self._start()
            self._order(self._waiting)
        self._waiting = []

    def stop(self, *, wait: bool) -> None:
        """End the process, if it was started here.

        :param wait: whether it may finish what it has
        """
        if self._process is None or self._orders is None:
            return
        if wait:
            self._order(None)
            self._process.join(LONGEST_END)
        with contextlib.suppress(psutil.NoSuchProcess):
            end_processes([psutil.Process(self._process.pid)])
        self._process.join()
        self._process = None
        self._orders.close()

    def _order(self, ids: list[UUID] | None) -> None:
        if self._orders is not None:
            with contextlib.suppress(OSError):  # it has ended, and said why: no callback stops a backfill
                self._orders.send(ids)

    def _start(self) -> None:
        if self._process is not None:
            if self._process.is_alive():
                return
            self.stop(wait=False)
        bind_children()
        linux = sys.platform == "linux"
        context = multiprocessing.get_context("fork") if linux else multiprocessing.get_context("spawn")
        orders, self._orders = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(orders,), name="callbacks")
        process.start()
        orders.close()
        self._process = process


def _work(orders: Connection) -> None:
    """Run callbacks as a DAG processor does, until there are no more orders.

    :param orders: ids of requests; None in place of the last ones
    """
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.manager import DagFileProcessorManager

    class CallbackManager(DagFileProcessorManager):
        """Reads no DAG file but those of the callbacks."""

        def prepare(self) -> None:
            # As Airflow's own does: Variables and connections are read from the database.
            os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
            self.prepare_process_context()
            self._dag_bundles = list(DagBundlesManager().get_all_dag_bundles())

        def run_callbacks(self, requests: Sequence[Any]) -> None:
            for request in requests:
                self._add_callback_to_queue(request)
            while self._file_queue or self._processors:
                self._start_new_processes()  # type: ignore[no-untyped-call]
                self._service_processor_sockets(timeout=0.1)
                self._collect_results()  # type: ignore[no-untyped-call]
                self._kill_timed_out_processors()  # type: ignore[no-untyped-call]

    manager = CallbackManager(max_runs=1)
    manager.prepare()
    while (ids := orders.recv()) is not None:
        manager.run_callbacks(_claimed(ids))


def _claimed(ids: Sequence[UUID]) -> Sequence[CallbackRequest]:
    """Take requests out of the database, except those that a DAG processor has just taken."""
    with create_session() as session:
        found = with_row_locks(
            select(DagProcessorCallback).where(DagProcessorCallback.id.in_(ids)).order_by(DagProcessorCallback.id),
            session,
            of=DagProcessorCallback,
            skip_locked=True,
        )
        rows = session.scalars(found).all()
        for row in rows:
            session.delete(row)
        return [row.get_callback_request() for row in rows]


def _dag_processor_is_alive(session: Session) -> bool:
    from airflow.jobs.job import most_recent_job

    job = most_recent_job("DagProcessorJob", session=session)
    return job is not None and job.is_alive()
