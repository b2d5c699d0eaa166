"""Runs ``airflow`` commands in processes that have imported the libraries before: the longest part of a short command.

A process imports them once and is forked for each command. The command has its own environment, arguments, folder and
output, and imports everything of Airflow and of the project itself, as if Python had just started.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

LIBRARIES = (
    "argcomplete", "asyncpg", "attrs", "cryptography.fernet", "filelock", "fsspec", "h11", "httpx", "jinja2",
    "jsonschema", "libcst", "msgspec", "opentelemetry.sdk.trace", "pathspec", "pendulum", "psutil", "psycopg",
    "psycopg2.extras", "pydantic.json_schema", "rich.console", "rich.traceback", "sqlalchemy.dialects.postgresql",
    "sqlalchemy.ext.asyncio", "sqlalchemy.orm", "structlog", "tenacity", "upath.registry", "yaml",
)  # fmt: skip
"""What every command imports. Nothing here reads the settings of an Airflow."""


class CommandServer:
    """The process that is forked.

    :param program: the script of the commands
    :param home: a folder without settings, for the process itself
    """

    def __init__(self, program: Path, home: Path) -> None:
        self._one_at_a_time = threading.Lock()
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), str(program)],
                env={
                    **{name: os.environ[name] for name in os.environ if name != "PYTHONPATH"},
                    "AIRFLOW_HOME": str(home),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the tests, which kill what they wait for
            )

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as :func:`subprocess.run` does.

        :param timeout: seconds after which it is killed
        :raises subprocess.TimeoutExpired: it was
        """
        with tempfile.TemporaryFile("a+") as output, tempfile.TemporaryFile("a+") as errors:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                order = json.dumps([list(arguments), dict(environment), str(folder)]).encode()
                files = [output.fileno(), errors.fileno(), theirs.fileno()]
                with self._one_at_a_time:
                    socket.send_fds(self._orders, [_sent(len(order))], files)
                    self._orders.sendall(order)
                theirs.close()
                pid = _received(ours)
                ours.settimeout(timeout)
                try:
                    code = _received(ours)
                except BaseException as error:
                    os.kill(pid, signal.SIGKILL)
                    ours.settimeout(None)
                    _received(ours)
                    if not isinstance(error, TimeoutError):
                        raise
                    said = _written(output), _written(errors)
                    raise subprocess.TimeoutExpired(list(arguments), timeout, *said) from None
            return subprocess.CompletedProcess(list(arguments), code, _written(output), _written(errors))

    def stop(self) -> None:
        """End the process; a command that runs goes on."""
        self._orders.close()
        self._process.wait(10)


def _written(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _sent(number: int) -> bytes:
    return number.to_bytes(4, "big", signed=True)


def _received(answers: socket.socket) -> int:
    number = answers.recv(4)
    assert number, "the process that commands are forked from has ended"
    return int.from_bytes(number, "big", signed=True)


def main() -> None:
    """Fork for each order, until there are no more; the process that returns is a command."""
    # The script's folder comes first: a command has the one of its program there.
    program = sys.argv[2]
    sys.path[0] = str(Path(program).parent)
    for name in LIBRARIES:
        importlib.import_module(name)
    orders = socket.socket(fileno=int(sys.argv[1]))
    while True:
        length, files, _, _ = socket.recv_fds(orders, 4, 3)
        if not length:
            os._exit(0)
        text = orders.recv(int.from_bytes(length, "big", signed=True), socket.MSG_WAITALL)
        if os.fork() == 0:
            break
        for file in files:
            os.close(file)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
    orders.close()
    output, errors, answers = files
    command = os.fork()
    if command:
        os.write(answers, _sent(command))
        _, status = os.waitpid(command, 0)
        os.write(answers, _sent(os.waitstatus_to_exitcode(status)))
        os._exit(0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    for file in files:
        os.close(file)
    _become(program, *json.loads(text))


def _become(program: str, arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Be like a process that has just been started."""
    from setproctitle import setproctitle

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = [program, *arguments]
    sys.orig_argv = [sys.executable, *sys.argv]
    setproctitle(" ".join(sys.orig_argv))
    # What Python has imported of the project when it started, it had read the settings of the server with.
    for name in [name for name in sys.modules if name.split(".")[0] in ("taxiway", "taxiway_local", "dags_backfill")]:
        del sys.modules[name]
    importlib.import_module("taxiway_local.environment")


if __name__ == "__main__":
    main()
    runpy.run_path(sys.argv[0], run_name="__main__")
