"""A worker that can be started with another environment, and whose tasks can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

import airflow.sdk.exceptions
import psutil
from airflow.sdk.exceptions import DownstreamTasksSkipped

from taxiway import errors
from taxiway.orchestration import month_of_run
from taxiway.paths import ROOT

SETTINGS = ("AIRFLOW_CONN_", "AIRFLOW_VAR_")


class TaskKilledError(Exception):
    """The process of a task has ended without a word."""


class LoadingWorker:
    """A running worker; use it in a ``with`` statement. Its :meth:`execute` is one of a ``Loading``.

    :param environment: what it has in its environment besides this process's
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", **environment}
        self._pid: int | None = None
        self._started = threading.Event()

    def __enter__(self) -> LoadingWorker:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.task_runner"],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            for process in (*psutil.Process(self._process.pid).children(), self._process):
                process.kill()
            self._process.wait(10)
        finally:
            self._process.stdout.close()

    def execute(self, *order: Any) -> Any:
        """Run a task in a process of its own, as ``execute_task`` does in this one.

        It has the connections, the variables and the folder of sources that this process has by then.

        :return: what it leaves in XCom
        :raises TaskKilledError: it was killed
        :raises DownstreamTasksSkipped: it says that there is nothing to do
        :raises Exception: its own error
        """
        assert self._process.stdin is not None
        settings = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
        print(json.dumps([settings, str(month_of_run.SOURCES_FOLDER), order]), file=self._process.stdin, flush=True)
        self._pid = self._answer()
        self._started.set()
        answer = self._answer()
        self._started.clear()
        if answer is None:
            raise TaskKilledError(order[0])
        if "skipped" in answer:
            raise DownstreamTasksSkipped(tasks=answer["skipped"])
        if "error" in answer:
            name, message = answer["error"]
            raise (getattr(errors, name, None) or getattr(airflow.sdk.exceptions, name))(message)
        return answer["result"]

    def kill_task(self) -> None:
        """Kill the task that runs."""
        assert self._started.wait(30)
        assert self._pid is not None
        psutil.Process(self._pid).kill()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the worker has ended with {self._process.wait(10)}"
        return json.loads(line)
