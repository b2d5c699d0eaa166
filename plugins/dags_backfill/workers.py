"""The configured executors, as this command starts, asks and ends them."""

from __future__ import annotations

import functools
import importlib
import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import psutil

from dags_backfill.cli import worker_preparations
from dags_backfill.processes import GRACE_SECONDS, bind_children, end_processes

if TYPE_CHECKING:
    from airflow.callbacks.base_callback_sink import BaseCallbackSink
    from airflow.executors.base_executor import BaseExecutor

POLL_SECONDS = 0.02
"""Time between two questions whether a task has ended."""


class Workers:
    """Executors that end with this process, and leave no process behind."""

    def __init__(self, executors: Sequence[BaseExecutor], callbacks: BaseCallbackSink) -> None:
        """Take executors that are not started yet.

        :param executors: Airflow's configured executors
        :param callbacks: where they send requests for callbacks
        """
        self.executors = executors
        self.callbacks = callbacks
        self.started = False

    def start(self, dag_id: str, job_id: int | str | None, most_tasks: int) -> None:
        """Start the executors.

        :param dag_id: the DAG whose tasks they get
        :param job_id: the job that they work for
        :param most_tasks: how many tasks can go on at once; as many processes are started
        """
        from airflow.executors.local_executor import LocalExecutor

        bind_children()
        _prepare(dag_id)
        for executor in self.executors:
            executor.job_id = job_id
            executor.callback_sink = self.callbacks
            if isinstance(executor, LocalExecutor):
                # It starts as many processes as it may ever need.
                executor.parallelism = min(executor.parallelism, most_tasks)
            executor.start()
        self.started = True

    @property
    def occupied(self) -> int:
        """How many tasks the executors have now."""
        return sum(executor.slots_occupied for executor in self.executors)

    def wait(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Wait until a task ends, or for some seconds.

        :param stopped: asked while waiting; return at once if it says so
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not stopped():
            if self.started and not all(_nothing_reported(executor) for executor in self.executors):
                return
            time.sleep(POLL_SECONDS)

    def end(self, *, wait: bool, keep: Collection[int | None], force: Callable[[], bool]) -> None:
        """End the executors and their processes; without effect where they are not started.

        :param wait: whether tasks that run may run to their end
        :param keep: ids of child processes that are none of theirs
        :param force: asked while tasks clean up; kill them at once if it says so
        """
        if not self.started:
            return
        self.started = False
        for executor in self.executors:
            if wait:
                _dismiss(executor)
                executor.end()
            else:
                executor.terminate()
            executor.queued_tasks.clear()
            executor.running.clear()
            executor.event_buffer.clear()
        children = [child for child in psutil.Process().children() if child.pid not in keep]
        # A worker ends its task first: it needs a little more than the task itself.
        end_processes(children, first=signal.SIGHUP, grace=GRACE_SECONDS + 3, force=force)


def _dismiss(executor: BaseExecutor) -> None:
    """Send every worker of a LocalExecutor a message to end.

    Its own ``end`` sends one for each worker that is alive at that moment. A worker that took the message too early is
    gone by then. No message is sent for it, and another worker waits for ever.
    """
    from airflow.executors.local_executor import LocalExecutor

    if isinstance(executor, LocalExecutor):
        for _ in executor.workers:
            executor.activity_queue.put(None)


def _prepare(dag_id: str) -> None:
    """Set up what the workers inherit from this process."""
    from airflow.configuration import conf
    from airflow.executors.base_executor import get_execution_api_server_url

    # A worker often reads its task's last message a moment before the process is gone. Then it sleeps until the next
    # heartbeat, five seconds, and occupies its slot.
    if conf.getint("workers", "min_heartbeat_interval") > 1:
        os.environ["AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"] = "1"
    # Loaded and compiled once here, instead of once in each worker and each task.
    importlib.import_module("airflow.sdk.execution_time.supervisor")
    importlib.import_module("airflow.sdk.execution_time.task_runner")
    from airflow.sdk.api.client import Client

    # The certificates that a client of the execution API could need take longer to read than a task takes to start.
    Client(base_url=get_execution_api_server_url(), token="").close()
    keep_decoder()
    for prepare in worker_preparations:
        prepare(dag_id)


def keep_decoder() -> None:
    """Build once what each task's process would build twice: the decoder of what its supervisor sends."""
    comms: Any = importlib.import_module("airflow.sdk.execution_time.comms")
    if not (hasattr(comms, "TypeAdapter") and hasattr(comms, "ToTask")):
        return  # another Airflow than the one that this is for: its tasks build their own
    if not hasattr(comms.TypeAdapter, "cache_info"):
        comms.TypeAdapter = functools.cache(comms.TypeAdapter)
    comms.TypeAdapter(comms.ToTask)


def _nothing_reported(executor: BaseExecutor) -> bool:
    results: Any = getattr(executor, "result_queue", None)
    return results is None or bool(results.empty())
