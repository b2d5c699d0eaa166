"""Callbacks that Airflow leaves to its DAG processor: a process of this call runs them while there is none.

They are those of a run that has ended, and those of a task whose worker was lost.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from airflow.callbacks.database_callback_sink import DatabaseCallbackSink
from airflow.utils.session import NEW_SESSION, create_session, provide_session

from dags_backfill.newest_api import keep_newest_version
from dags_backfill.processes import end_child, start_child
from dags_backfill.takeover import is_alive

if TYPE_CHECKING:
    from airflow.callbacks.callback_requests import CallbackRequest
    from sqlalchemy.orm import Session

LONGEST_END = 60.0
"""Seconds that callbacks may still take when all runs have ended."""


class Callbacks(DatabaseCallbackSink):
    """Takes requests from the executors, as Airflow's own sink does, and has them run."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._has_come = False
        self._process: BaseProcess | None = None
        self._orders: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Process id of what was started here; None without it."""
        return None if self._process is None else self._process.pid

    @provide_session
    def send(self, callback: CallbackRequest, *, session: Session = NEW_SESSION) -> None:
        """Record a request: if this call is killed before it is taken, a DAG processor or the next call finds it."""
        super().send(callback, session=session)
        self._has_come = True

    def run(self) -> None:
        """Have all recorded requests run if one has come here since; by the DAG processor, if one is alive."""
        if not self._has_come:
            return
        self._has_come = False
        with create_session() as session:
            is_left_to_it = is_alive("DagProcessorJob", session)
        # Not before the session has ended: a process that is forked would share its connection.
        if not is_left_to_it:
            self._start()
            self._order(True)

    def finish(self, say: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        """Let the process that was started here finish what it has.

        :param say: told that there may be a wait
        :param stopped: asked while waiting; wait no longer if it says so
        """
        if self._process is None or not self._process.is_alive():
            return
        say(f"Waiting for callbacks of runs that have ended, {LONGEST_END:.0f} seconds at most. Ctrl-C ends them.")
        self._order(False)
        deadline = time.monotonic() + LONGEST_END
        while self._process.is_alive() and time.monotonic() < deadline and not stopped():
            self._process.join(0.1)

    def stop(self) -> None:
        """End the process, if it was started here."""
        if self._process is None or self._orders is None:
            return
        end_child(self._process)
        self._process = None
        self._orders.close()

    def _order(self, go_on: bool) -> None:
        if self._orders is not None:
            with contextlib.suppress(OSError):  # it has ended, and said why: no callback stops a backfill
                self._orders.send(go_on)

    def _start(self) -> None:
        if self._process is not None:
            if self._process.is_alive():
                return
            self.stop()
        orders, self._orders = multiprocessing.Pipe(duplex=False)
        self._process = start_child(_work, "callbacks", orders)
        orders.close()


def _work(orders: Connection) -> None:
    """Run callbacks as a DAG processor does, but read no DAG file other than theirs.

    :param orders: True if requests were recorded; False to end
    """
    from airflow.dag_processing.manager import DagFileProcessorManager

    keep_newest_version()
    manager = DagFileProcessorManager(max_runs=1)
    manager.prepare_server_process_context()
    manager.prepare_process_context()
    manager.load_dag_bundles()
    while orders.recv():
        while requests := manager.fetch_callbacks():
            for request in requests:
                manager._add_callback_to_queue(request)
            while manager._file_queue or manager._processors:
                manager._start_new_processes()
                manager._service_processor_sockets(timeout=0.1)
                manager._collect_results()
                manager._kill_timed_out_processors()
