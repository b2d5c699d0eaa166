"""Runs ``airflow`` commands in processes that have imported the libraries before: the longest part of a short command.

A process imports them once and is forked for each command. The command has its own environment, arguments, folder,
input and output, and imports everything of Airflow and of the project itself, as if Python had just started.

Several commands in the same environment may be forked from a process of that environment, which has imported Airflow
and has made what commands of their kind need. Each has connections and Variables of its own all the same.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
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
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

LIBRARIES = (
    # What every command imports.
    "alembic.context", "argcomplete", "asyncpg", "attrs", "cryptography.fernet", "filelock", "fsspec", "h11", "httpx",
    "jinja2.ext", "jsonschema", "libcst", "msgspec", "opentelemetry.sdk.trace", "pathspec", "pendulum", "psutil",
    "psycopg", "psycopg2.extras", "pydantic.json_schema", "rich.console", "rich.traceback",
    "sqlalchemy.dialects.postgresql", "sqlalchemy.ext.asyncio", "sqlalchemy.orm", "structlog", "tenacity",
    "upath.registry", "yaml",
    # What tasks and servers import.
    "aiohttp", "cadwyn", "croniter", "cron_descriptor", "dill", "fastapi", "jwt", "pydantic_settings", "requests",
    "requests_toolbelt", "sqlparse", "svcs", "uvicorn", "uvicorn.protocols.http.h11_impl",
    # What tasks of Google Cloud import.
    "google.cloud.bigquery", "google.cloud.secretmanager_v1", "google.cloud.storage", "googleapiclient.discovery",
    "pandas_gbq",
    # What tasks import that draw reports, or send alerts.
    "aiosmtplib", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "matplotlib.figure",
    "slack_sdk.webhook.async_client",
)  # fmt: skip
"""Nothing here reads the settings of an Airflow, or where the stand-ins are."""

OF_AIRFLOW = (
    "airflow.__main__", "airflow.cli.cli_parser", "airflow.dag_processing.dagbag", "airflow.executors.local_executor",
    "airflow.jobs.scheduler_job_runner", "airflow.models.backfill", "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner", "airflow.utils.db",
)  # fmt: skip
"""What most commands import of Airflow; all of it reads settings."""

OF_TASKS = (
    "airflow.dag_processing.bundles.local", "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.trigger_dagrun", "airflow.providers.standard.sensors.external_task",
    "airflow.sdk.definitions.decorators", "dags_backfill.command", "dags_backfill.runner",
    "taxiway.orchestration.alerts.senders", "taxiway.orchestration.dags", "taxiway.orchestration.open_postgres",
    "taxiway.orchestration.report_dags", "taxiway.orchestration.watch_dag",
)  # fmt: skip
"""What commands import, too, that read DAGs or run their tasks."""

OF_ALERTS = (
    "airflow.providers.http.notifications", "airflow.providers.slack.notifications.slack_webhook",
    "airflow.providers.smtp.notifications.smtp", "taxiway.orchestration.alerts.memory",
    "taxiway.orchestration.alerts.recipients", "taxiway.orchestration.alerts.senders",
)  # fmt: skip
"""What tasks import, too, that tell people how they have ended."""

OF_TAXI = tuple(f"taxiway.cli.{name}" for name in ("alerts", "doctor.command", "plan", "rejects", "status", "verify"))
"""The modules of the commands ``airflow taxi …``."""

OF_ONE_COMMAND = (
    "AIRFLOW_CONN_", "AIRFLOW_VAR_", "BIGQUERY_EMULATOR_HOST", "PYTEST_", "STORAGE_EMULATOR_HOST", "TAXIWAY_CALL",
    "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "all_proxy", "https_proxy", "http_proxy", "no_proxy",
)  # fmt: skip
"""What the names of variables begin with that a command reads when it needs them, never while Airflow is imported.

The name of the test is among them.
"""

THAT_TEST_DAGS = ("commands_in_turn.py", "runs_of_dags.py")
"""Programs of tests that do what ``airflow dags test`` does, once or more."""

MOST_READY = 4
"""How many processes that have imported Airflow are kept."""


class CommandServer:
    """The process that is forked.

    :param program: the script of the commands, unless one names another
    :param home: a folder without settings, for the process itself
    """

    def __init__(self, program: Path, home: Path) -> None:
        self.program = program
        self._one_at_a_time = threading.Lock()
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env={
                    **{name: os.environ[name] for name in os.environ if name != "PYTHONPATH"},
                    "AIRFLOW_HOME": str(home),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the tests, which kill what they wait for
            )

    def start(self, arguments: Sequence[str], **options: Any) -> ForkedCommand:
        """Start a command in a process group of its own, as :class:`subprocess.Popen` does.

        :param options: of that class, ``env`` and ``cwd`` among them; and ``program``, the script to run
        """
        return ForkedCommand(self, arguments, **options)

    def order(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        files: Sequence[int],
        *,
        has_airflow: bool = False,
        own_api: bool = False,
    ) -> socket.socket:
        """Order a command; return where its process id and its wait status are received, one after the other.

        :param command: program and arguments
        :param files: its standard input, output and error
        :param has_airflow: whether Airflow has been imported before, in the same environment
        :param own_api: whether a backfill starts an execution API of its own there
        """
        ours, theirs = socket.socketpair()
        program = str(self.program) if has_airflow else None
        order = json.dumps([list(command), dict(environment), str(folder), program, own_api]).encode()
        with theirs, self._one_at_a_time:
            socket.send_fds(self._orders, [_sent(len(order))], [*files, theirs.fileno()])
            self._orders.sendall(order)
        return ours

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        timeout: float,
        *,
        program: Path | None = None,
        has_airflow: bool = False,
        own_api: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as :func:`subprocess.run` does.

        :param timeout: seconds after which it is killed
        :param program: the script to run; that of the commands by default
        :param has_airflow: whether Airflow has been imported before, in the same environment
        :param own_api: whether a backfill starts an execution API of its own there
        :raises subprocess.TimeoutExpired: it was
        """
        options: dict[str, Any] = {
            "env": environment,
            "cwd": folder,
            "program": program,
            "has_airflow": has_airflow,
            "own_api": own_api,
        }
        with tempfile.TemporaryFile("a+") as output, tempfile.TemporaryFile("a+") as errors:
            with self.start(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, **options) as command:
                try:
                    command.wait(timeout)
                except BaseException as error:
                    command.kill()
                    command.wait()
                    if not isinstance(error, subprocess.TimeoutExpired):
                        raise
                    said = _written(output), _written(errors)
                    raise subprocess.TimeoutExpired(list(arguments), timeout, *said) from None
            return subprocess.CompletedProcess(list(arguments), command.returncode, _written(output), _written(errors))

    @property
    def pid(self) -> int:
        """The process that is forked."""
        return self._process.pid

    def stop(self) -> None:
        """End the process; a command that runs goes on."""
        self._orders.close()
        self._process.wait(10)


class ForkedCommand(subprocess.Popen[str]):
    """A command that was forked, not started: it leads a process group of its own, and Ctrl-C ends it."""

    def __init__(
        self,
        server: CommandServer,
        arguments: Sequence[str],
        program: Path | None = None,
        *,
        has_airflow: bool = False,
        own_api: bool = False,
        **options: Any,
    ) -> None:
        self._server = server
        self._ready = {"has_airflow": has_airflow, "own_api": own_api}
        super().__init__([str(program or server.program), *arguments], text=True, **options)

    def _execute_child(self, args: list[str], *given: Any) -> None:
        # Its arguments by position: from Python 3.10 to 3.13 these have the same.
        (_, _, _, _, folder, environment, _, _, _, *pipes) = given[:15]
        files = pipes[0], pipes[3], pipes[5]
        try:
            self._answers = self._server.order(args, environment, folder, files, **self._ready)
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]
        self.pid = _received(self._answers)
        self._child_created = True

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """Ask as :func:`os.waitpid` does, of a process whose parent waits for it."""
        self._answers.settimeout(0 if wait_flags & os.WNOHANG else None)
        try:
            status = _received(self._answers)
        except BlockingIOError:
            return 0, 0
        self._answers.close()
        return self.pid, status

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and getattr(self, "_child_created", False):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._wait(timeout=0)  # type: ignore[attr-defined]
        return self.returncode


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
    gc.disable()
    for name in LIBRARIES:
        importlib.import_module(name)
    # No command looks for garbage in what is not its own, and seldom in what it imports, which stays.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    gc.enable()
    _serve(socket.socket(fileno=int(sys.argv[1])), has_airflow=False)


@dataclass
class _Ready:
    """A process that has imported Airflow.

    :param settings: the state of the files that Airflow reads settings from
    """

    pid: int
    orders: socket.socket
    settings: list[int]


def _serve(orders: socket.socket, *, has_airflow: bool) -> None:
    ready: dict[str, _Ready] = {}
    while True:
        length, files, _, _ = socket.recv_fds(orders, 4, 4)
        if not length:
            for each in ready.values():
                each.orders.close()
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(each.pid, 0)
            _reap()
            os._exit(0)
        text = orders.recv(int.from_bytes(length, "big", signed=True), socket.MSG_WAITALL)
        command, environment, folder, program, own_api = json.loads(text)
        _reap()
        if program and not has_airflow:
            shared, _ = _split(environment)
            key = json.dumps([shared, folder])
            found = ready.pop(key, None)
            if found is not None and found.settings != _settings(folder):
                found.orders.close()
                found = None
            if found is None:
                ours, theirs = socket.socketpair()
                if (pid := os.fork()) == 0:
                    _close([orders, ours, *(each.orders for each in ready.values())], files)
                    _import_airflow(theirs, program, shared, folder)
                    return
                theirs.close()
                if ours.recv(1):
                    found = _Ready(pid, ours, _settings(folder))
            if found is not None:
                ready[key] = found
                while len(ready) > MOST_READY:
                    ready.pop(next(iter(ready))).orders.close()
                socket.send_fds(found.orders, [length], files)
                found.orders.sendall(text)
                _close([], files)
                continue
        if has_airflow:
            _prepare_for(command, own_api=own_api, tells="AIRFLOW_CONN_TAXI_SMTP" in environment)
        if os.fork() == 0:
            break
        _close([], files)
    _close([orders, *(each.orders for each in ready.values())], [])
    *streams, answers = files
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        os.write(answers, _sent(status))
        os._exit(0)
    os.setsid()
    os.write(answers, _sent(os.getpid()))
    # A shell that runs the tests in the background has Ctrl-C ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    _close([], files)
    if has_airflow:
        _become_command(command, environment, folder)
    else:
        _become(command, environment, folder)


def _reap() -> None:
    """Take note of the children that have ended, so that the time that they took is this process's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _close(sockets: list[socket.socket], files: list[int]) -> None:
    for each in sockets:
        each.close()
    for file in files:
        os.close(file)


def _split(environment: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return what commands share that are forked from one process, and what each has of its own."""
    own = {name: value for name, value in environment.items() if name.startswith(OF_ONE_COMMAND)}
    return {name: value for name, value in environment.items() if name not in own}, own


def _settings(folder: str) -> list[int]:
    paths = [Path(folder, name) for name in (".env", "airflow.cfg")]
    return [path.stat().st_mtime_ns if path.exists() else 0 for path in paths]


def _import_airflow(orders: socket.socket, program: str, environment: dict[str, str], folder: str) -> None:
    """Be a process from which commands in one environment are forked; return as a command."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        _become([program], environment, folder)
        for name in OF_AIRFLOW:
            importlib.import_module(name)
    except BaseException:
        os._exit(1)  # the command itself says why
    gc.freeze()
    orders.sendall(b".")
    _serve(orders, has_airflow=True)


def _prepare_for(command: Sequence[str], *, own_api: bool, tells: bool) -> None:
    """Make beforehand what a command would make, and what commands after it need as well."""
    group, name = [*command[1:3], "", ""][:2]
    if Path(command[0]).name in THAT_TEST_DAGS:
        group, name = "dags", "test"
    if group in ("dags", "tasks", "scheduler", "dag-processor"):
        _prepare_for_tasks()
    if tells:
        _prepare_to_tell()
    if group == "taxi":
        _prepare_for_commands_of_ours()
    if name == "test" or group in ("api-server", "dag-processor") or (own_api and name == "backfill"):
        _prepare_for_an_execution_api()


@functools.cache
def _prepare_for_tasks() -> None:
    """Without this, these take a third of a backfill of one month."""
    from airflow._shared.observability.metrics import stats
    from airflow.models import import_all_models
    from airflow.plugins_manager import ensure_plugins_loaded
    from airflow.sdk.api.client import Client
    from airflow.sdk.plugins_manager import integrate_macros_plugins
    from sqlalchemy.orm import configure_mappers

    from dags_backfill.workers import keep_decoder
    from taxiway.warehouses.sql import compile_all

    for name in OF_TASKS:
        importlib.import_module(name)
    import_all_models()
    configure_mappers()
    stats._get_registry()
    ensure_plugins_loaded()
    integrate_macros_plugins()  # loads the plugins of tasks
    Client(base_url="http://127.0.0.1", token="").close()  # keeps the certificates that it has read
    compile_all()
    keep_decoder()
    gc.freeze()


@functools.cache
def _prepare_to_tell() -> None:
    for name in OF_ALERTS:
        importlib.import_module(name)
    gc.freeze()


@functools.cache
def _prepare_for_commands_of_ours() -> None:
    """Their modules and the mappers of Airflow's models take half of ``airflow taxi status``."""
    from airflow.models import import_all_models
    from sqlalchemy.orm import configure_mappers

    for name in OF_TAXI:
        importlib.import_module(name)
    import_all_models()
    configure_mappers()
    gc.freeze()


@functools.cache
def _prepare_for_an_execution_api() -> None:
    """The routes of all its versions take half of its start."""
    importlib.import_module("airflow.api_fastapi.execution_api.routes")
    gc.freeze()


def _become_command(command: list[str], environment: dict[str, str], folder: str) -> None:
    """Be another command in the same environment, or a script with Airflow's commands at hand."""
    from setproctitle import setproctitle

    setproctitle(" ".join([sys.executable, *command]))
    os.chdir(folder)  # another one of that name, if the home before it was deleted
    os.environ.update(_split(environment)[1])
    sys.modules["taxiway_local.environment"].apply()
    sys.path[0] = str(Path(command[0]).parent)
    sys.argv = command
    sys.orig_argv = [sys.executable, *command]
    if command[1:3] == ["dags", "backfill"]:
        # As the local settings do, and the environment of every Python process of the project.
        from dags_backfill.signals import end_at_once_on_ctrl_c

        end_at_once_on_ctrl_c()


def _become(command: list[str], environment: dict[str, str], folder: str) -> None:
    """Be like a process that has just been started.

    :param command: program and arguments
    """
    from setproctitle import setproctitle

    # Before the environment is another: it looks for the place of the old title there.
    setproctitle(" ".join([sys.executable, *command]))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    # The script's folder comes first.
    sys.path[0] = str(Path(command[0]).parent)
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = command
    sys.orig_argv = [sys.executable, *sys.argv]
    # What Python has imported of the project when it started, it had read the settings of the server with.
    for name in [name for name in sys.modules if name.split(".")[0] in ("taxiway", "taxiway_local", "dags_backfill")]:
        del sys.modules[name]
    importlib.import_module("taxiway_local.environment")


def _run() -> None:
    """Run the program, and end as Python does, without freeing memory: all that was imported is shared until then."""
    status = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as told:
        status = told.code if isinstance(told.code, int) else int(told.code is not None)
        if not isinstance(told.code, (int, type(None))):
            print(told.code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError):
        sys.exit(status)  # Python says what is wrong
    os._exit(status & 0xFF)


if __name__ == "__main__":
    main()
    _run()
