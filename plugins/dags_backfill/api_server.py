"""The execution API, which tasks report to: one that runs, or one just for this call."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException
from multiprocessing.process import BaseProcess
from urllib.parse import quote, urlsplit
from uuid import uuid4

from dags_backfill.errors import BackfillError
from dags_backfill.newest_api import keep_newest_version
from dags_backfill.processes import end_child, start_child

URL_VARIABLE = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
START_SECONDS = 180.0
"""A server that lives may take this long: on a machine with other work it takes a minute."""

LOOK_SECONDS = 3.0


class ExecutionApi:
    """Finds the execution API, or starts it, and makes this process's executors use it."""

    def __init__(self) -> None:
        """Know nothing yet, and start nothing."""
        self._process: BaseProcess | None = None
        self._url = ""
        self._before: str | None = None
        self._next_look = 0.0

    def start_if_missing(self) -> None:
        """Start a server unless one answers where Airflow expects it; returns before it is ready.

        To be called early: the server loads while the plan is made.
        """
        from airflow.executors.base_executor import get_execution_api_server_url

        if self._process is None:
            self._url = get_execution_api_server_url()
            if not _healthy(self._url):
                self._start()

    def wait_until_ready(self, dag_id: str, run_id: str, stopped: Callable[[], bool]) -> None:
        """Wait until tasks can report to the server.

        :param dag_id: DAG of a run that exists
        :param run_id: the run; a server that doesn't know it, or not our tokens, belongs to another Airflow
        :param stopped: asked while waiting; return early where it says so
        :raises BackfillError: if the server doesn't start
        """
        if self._process is None and not _knows_run(self._url, dag_id, run_id):
            print(f"{self._url} is not this Airflow's execution API: starting another", file=sys.stderr)
            self._start()
        deadline = time.monotonic() + START_SECONDS
        while self._process is not None and not _healthy(self._url) and not stopped():
            if not self._process.is_alive() or time.monotonic() > deadline:
                raise BackfillError(
                    f"Airflow's execution API did not start on {self._url}, and no task can run without it: "
                    "try again with --verbose to see why"
                )
            time.sleep(0.05)

    def lost(self) -> bool:
        """Say whether the server has gone away while tasks report to it: services may be stopped at any time.

        A server that is only slow is not lost. Looks every few seconds.
        """
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + LOOK_SECONDS
        if self._process is not None:
            return not self._process.is_alive()
        address = urlsplit(self._url)
        try:
            socket.create_connection((address.hostname or "", address.port or 80), timeout=1).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False

    def stop(self) -> None:
        """Stop the server, if it was started here."""
        if self._process is not None:
            end_child(self._process)
            self._process = None
            if self._before is None:
                os.environ.pop(URL_VARIABLE, None)
            else:
                os.environ[URL_VARIABLE] = self._before

    @property
    def pid(self) -> int | None:
        """Process id of the server that was started here; None without one."""
        return None if self._process is None else self._process.pid

    def _start(self) -> None:
        from airflow.api_fastapi.auth.tokens import get_signing_args

        # Without a configured secret Airflow makes one up, once a process: it must be there before we fork.
        get_signing_args()
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._url = f"http://127.0.0.1:{listener.getsockname()[1]}/execution/"
        self._before = os.environ.get(URL_VARIABLE)
        os.environ[URL_VARIABLE] = self._url
        self._process = start_child(_serve, "execution-api", listener)
        listener.close()


def _serve(listener: socket.socket) -> None:
    """Serve the execution API, and nothing else, until a signal ends it."""
    for signal_number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_DFL)
    # Building the API's routes makes millions of objects that stay: looking through them
    # again and again for garbage takes a third of the start.
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    import uvicorn
    from airflow.api_fastapi.app import cached_app

    keep_newest_version()
    config = uvicorn.Config(
        cached_app(apps="execution"),
        log_config=None,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _healthy(url: str) -> bool:
    answer = _get(f"{url.rstrip('/')}/health", {}, timeout=2)
    return answer is not None and b"healthy" in answer


def _knows_run(url: str, dag_id: str, run_id: str) -> bool:
    """Say whether a server takes our tokens and reads our metadata database."""
    from airflow.executors.executor_loader import ExecutorLoader

    token = ExecutorLoader.get_default_executor().jwt_generator.generate(extras={"sub": str(uuid4())})
    path = f"dag-runs/{quote(dag_id, safe='')}/{quote(run_id, safe='')}/state"
    return _get(f"{url.rstrip('/')}/{path}", {"Authorization": f"Bearer {token}"}, timeout=10) is not None


def _get(url: str, headers: dict[str, str], timeout: float) -> bytes | None:
    """Return the body of a successful answer; None for any other, or none."""
    if not url.startswith(("http://", "https://")):
        return None
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the line above
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return bytes(answer.read(1000)) if answer.status == HTTPStatus.OK else None
    except (OSError, HTTPException):
        return None
