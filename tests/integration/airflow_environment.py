"""A real Airflow for a test: its own Postgres, its own AIRFLOW_HOME, its own services.

The repository's ``config/`` and ``plugins/`` are linked into the home, so what a
test runs is what a user runs.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from tests.integration.forked_commands import CommandServer
from tests.postgres_server import PostgresServer, start_server

REPOSITORY = Path(__file__).resolve().parents[2]
AIRFLOW = Path(sys.executable).with_name("airflow")
TEMPLATE_DATABASE = "airflow_template"
SHARED_DATABASE = "airflow_shared"
BASE_URL = "AIRFLOW__API__BASE_URL"
PASSWORD = "admin"

PATIENCE = 3 if os.environ.get("CI") else 1
"""How often a wait takes the seconds that it may: CI's machine is a slow one, and runs several files at once."""

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, timeout: float, what: str, interval: float = 0.1) -> T:
    """Ask until the answer is true, and return it.

    :param timeout: seconds after which the wait fails; in CI, after :data:`PATIENCE` times as many
    :param what: what is waited for, for the failure's message
    :param interval: seconds between two questions
    """
    deadline = time.monotonic() + PATIENCE * timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE * timeout:.0f} s in vain for {what}")
        time.sleep(interval)


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class MetadataServer:
    """A Postgres server with a migrated Airflow database that others are copied from."""

    def __init__(self) -> None:
        # Paths of unix sockets end at 107 characters: pytest's own temporary folders are too deep.
        self.folder = Path(tempfile.mkdtemp(prefix="taxiway-pg-"))
        self.folder.chmod(0o755)
        self.server: PostgresServer = start_server(self.folder / "data")
        self.at_stop: list[Callable[[], None]] = []
        self._databases: dict[Path, str] = {}
        self._template_ready = False
        atexit.register(self.stop)

    def uri(self, database: str) -> str:
        """Return a libpq URI of one database."""
        return self.server.get_uri(database=database)

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction, in the maintenance database."""
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def new_database(self, migrate: Callable[[str], None], home: Path, name: str = "") -> str:
        """Copy the migrated template into a new database and return its name.

        :param migrate: creates Airflow's tables in the database of the URI it gets; called once a server
        :param home: the home that it is for
        :param name: name of the database; one that no other home has by default
        """
        if not self._template_ready:
            self.execute(f"CREATE DATABASE {TEMPLATE_DATABASE}")
            migrate(self.uri(TEMPLATE_DATABASE))
            self._template_ready = True
        name = name or self._databases.setdefault(home, f"airflow_{len(self._databases) + 1}")
        self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE_DATABASE}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def stop(self) -> None:
        """Stop the server and remove its files."""
        atexit.unregister(self.stop)
        for stop in self.at_stop:
            stop()
        self.server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def shared_metadata_server() -> MetadataServer:
    """Return the server that all tests of a session share; it stops with the session."""
    return MetadataServer()


def one_home(name: str = "home") -> Path:
    """Return the home of tests that have one after another: in equal environments, Airflow is imported once.

    Its settings, its port and its database's name are the same each time; its files and its metadata are new. The file
    of settings that Airflow has made stays: in a home without one, it would be imported again.

    :param name: another one for a second home beside the first
    """
    home = shared_metadata_server().folder / name
    settings = home / "airflow.cfg"
    for path in home.iterdir() if home.exists() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path != settings:
            path.unlink()
    return home


@functools.cache
def _port_of(_home: Path) -> int:
    return free_port()


class SharedApiServer:
    """One API server for the environments of a session, one after another.

    Its start takes longer than a backfill of small months. An environment that uses it has a database of
    one name: the server finds the next one there when it looks whether its connections live.
    """

    def __init__(self, metadata: MetadataServer) -> None:
        self._metadata = metadata
        self._process: subprocess.Popen[str] | None = None
        self._taken = False
        self._port = free_port()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def take(self) -> bool:
        """Say whether no other environment uses it, and use it."""
        taken, self._taken = self._taken, True
        return not taken

    def give_back(self) -> None:
        """Leave it to the next environment."""
        self._taken = False

    def start(self, variables: Mapping[str, str]) -> None:
        """Start the server, once; it stops with the session.

        :param variables: what all environments have, and the database
        """
        if self._process is not None:
            return
        home = self._metadata.folder / "api"
        home.mkdir()
        for name in ("config", "plugins"):
            (home / name).symlink_to(REPOSITORY / name)
        own = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "AIRFLOW__API__PORT": str(self._port),
            BASE_URL: self.url,
        }
        (home / "passwords.json").write_text(json.dumps({"admin": PASSWORD}), encoding="utf-8")
        with (home / "api-server.log").open("w") as log:
            self._process = command_server().start(
                ["api-server"],
                env={**variables, **own},
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._metadata.at_stop.append(lambda: end_group(self._process))
        wait_until(lambda: _serves(self.url), timeout=120, what="the shared API server")


@functools.cache
def command_server() -> CommandServer:
    """Return the process that the commands of a session are forked from."""
    metadata = shared_metadata_server()
    server = CommandServer(AIRFLOW, metadata.folder)
    metadata.at_stop.append(server.stop)
    return server


@functools.cache
def shared_api_server() -> SharedApiServer:
    """Return the API server that the environments of a session share."""
    return SharedApiServer(shared_metadata_server())


def _serves(address: str) -> bool:
    with contextlib.suppress(OSError, urllib.error.URLError):
        return bool(urllib.request.urlopen(f"{address}/execution/health", timeout=2).status == 200)
    return False


@dataclass
class AirflowEnvironment:
    """One Airflow home with its metadata database.

    :param home: AIRFLOW_HOME; holds links to the repository's config and plugins
    :param metadata: the server that the metadata database is on
    :param database: name of the metadata database
    :param variables: environment of every Airflow process started here
    :param api: the API server that it shares with others; None if each backfill starts its own
    """

    home: Path
    metadata: MetadataServer
    database: str
    variables: dict[str, str]
    api: SharedApiServer | None = None
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    _connection: psycopg.Connection[Any] | None = field(default=None, init=False)
    _token: str | None = field(default=None, init=False)

    @classmethod
    def create(
        cls,
        metadata: MetadataServer,
        home: Path,
        *,
        dags: Path,
        extra: Mapping[str, str] | None = None,
        own_api: bool = False,
    ) -> AirflowEnvironment:
        """Lay out a home, and copy the migrated database.

        :param home: a new folder, or that of :func:`one_home`
        :param dags: the folder of DAG files; linked, not copied
        :param extra: more environment variables, for every process
        :param own_api: whether there is no API server: a backfill starts an execution API of its own
        """
        home.mkdir(parents=True, exist_ok=True)
        for name in ("config", "plugins", "include"):
            (home / name).symlink_to(REPOSITORY / name)
        (home / "dags").symlink_to(dags)
        port = _port_of(home)
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))},
            "AIRFLOW_HOME": str(home),
            # The commands that messages advise name the program as it is called: ``airflow`` from the PATH.
            "PATH": f"{AIRFLOW.parent}{os.pathsep}{os.environ['PATH']}",
            # Lines of the log files and of what a command writes are looked at as plain text.
            "NO_COLOR": "1",
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__FERNET_KEY": "5Jf0UT5T0uLxqWd3GZbQ0Hq3w0xM6o7z3m9l1Q0yCkE=",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of this test environment, long enough for HS512: " + "0" * 64,
            "AIRFLOW__API__SECRET_KEY": "another secret of this test environment",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            BASE_URL: f"http://127.0.0.1:{port}",
            "AIRFLOW__API__WORKERS": "1",
            # No DAG file changes while services run: each is read once.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "AIRFLOW__TRIGGERER__CAPACITY": "10",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # as make setup and docker-compose.yaml say
            # Postgres gives every connection a process: pools of idle ones slow a small machine down.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "5",
            **(extra or {}),
        }
        (home / "passwords.json").write_text(json.dumps({"admin": PASSWORD}), encoding="utf-8")

        def migrate(uri: str) -> None:
            settings = {**variables, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _sqlalchemy(uri)}
            command_server().run(["db", "migrate"], settings, home, 180).check_returncode()

        shared = shared_api_server()
        api = None if own_api or metadata is not shared_metadata_server() or not shared.take() else shared
        database = metadata.new_database(migrate, home, SHARED_DATABASE if api else "")
        variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = _sqlalchemy(metadata.uri(database))
        environment = cls(home=home, metadata=metadata, database=database, variables=variables, api=api)
        if api:
            # What only this environment has, its connections among them, isn't for the next one.
            api.start({name: value for name, value in variables.items() if name not in (extra or {})})
            variables[BASE_URL] = api.url
        return environment

    @property
    def base_url(self) -> str:
        """Address of the web UI and the REST API, once services run."""
        return self.variables[BASE_URL]

    def run(
        self, *arguments: str, timeout: float = 120, again: bool = False, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run an ``airflow`` command to its end.

        :param timeout: seconds after which it is killed, and the test fails
        :param again: whether the next commands have the same variables: Airflow is imported once for them
        :param variables: more environment variables
        """
        environment = {**self.variables, **variables}
        ready = {"has_airflow": again or not variables, "own_api": self.api is None}
        return command_server().run(arguments, environment, self.home, timeout, **ready)

    def succeed(self, *arguments: str, timeout: float = 120, again: bool = False, **variables: str) -> str:
        """Run an ``airflow`` command as :meth:`run`, which must succeed; return what it printed to standard output."""
        done = self.run(*arguments, timeout=timeout, again=again, **variables)
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
        return done.stdout

    def popen(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start an ``airflow`` command in a process group of its own; :meth:`close` ends what is left of it.

        :param options: of :class:`subprocess.Popen`; and ``program``, a script to run instead of ``airflow``
        """
        process = command_server().start(
            arguments,
            **{
                "env": self.variables,
                "has_airflow": "env" not in options,
                "own_api": self.api is None,
                "cwd": self.home,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.STDOUT,
                **options,
            },
        )
        self.processes.append(process)
        return process

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask the metadata database, over one connection: tests ask often while they wait."""
        if self._connection is None or self._connection.closed:
            uri = self.metadata.uri(self.database)
            self._connection = psycopg.connect(uri, autocommit=True, prepare_threshold=None)
        cursor = self._connection.execute(statement, parameters or None)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def services(self, *names: str) -> Iterator[dict[str, subprocess.Popen[str]]]:
        """Run Airflow's services while the block runs.

        :param names: of ``api-server``, ``scheduler``, ``dag-processor``, ``triggerer``; the first three by default
        :return: the services' processes by name; end one early with :func:`end_group`
        """
        started = []
        before = self.base_url
        if "api-server" in (names or ("api-server",)):
            self.variables[BASE_URL] = f"http://127.0.0.1:{self.variables['AIRFLOW__API__PORT']}"
        try:
            for name in names or ("api-server", "scheduler", "dag-processor"):
                log = (self.home / f"{name}.log").open("w")
                # Their log servers would listen on every address.
                options = ["--skip-serve-logs"] if name in ("scheduler", "triggerer") else []
                started.append(self.popen(name, *options, stdout=log))
                log.close()
            self._wait_for_services(names or ("api-server", "scheduler", "dag-processor"), started)
            yield dict(zip(names or ("api-server", "scheduler", "dag-processor"), started, strict=True))
        finally:
            for process in reversed(started):
                end_group(process)
            self.variables[BASE_URL] = before

    def _wait_for_services(self, names: Sequence[str], processes: Sequence[subprocess.Popen[str]]) -> None:
        jobs = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}

        def ready(name: str) -> bool:
            for process, started in zip(processes, names, strict=True):
                log = self.home / f"{started}.log"
                assert process.poll() is None, f"{started} ended: {log.read_text()[-2000:]}"
            if name == "api-server":
                return _serves(self.base_url)
            return bool(
                self.query(
                    "SELECT 1 FROM job WHERE job_type = %s AND state = 'running'"
                    " AND latest_heartbeat > now() - interval '10 seconds'",
                    jobs[name],
                )
            )

        for name in names:
            wait_until(lambda name=name: ready(name), timeout=300, what=f"{name} to start", interval=0.25)  # type: ignore[misc]

    def token(self) -> str:
        """Return what opens the REST API to the user admin: one for all requests, whichever server answers."""
        if self._token is None:
            login = urllib.request.Request(
                f"{self.base_url}/auth/token",
                data=json.dumps({"username": "admin", "password": PASSWORD}).encode(),
                headers={"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(login, timeout=60) as answer:
                self._token = json.load(answer)["access_token"]
        return self._token

    def rest(self, path: str, method: str = "GET", body: object = None) -> Any:
        """Ask the REST API as the user admin.

        :param path: below ``/api/v2``, with a leading slash
        :param body: what is sent, as JSON
        """
        request = urllib.request.Request(
            f"{self.base_url}/api/v2{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token()}",
                "Accept": "application/json",
                "Content-Type": "application/json",
            },
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def __enter__(self) -> AirflowEnvironment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process started here, and drop the database."""
        for process in self.processes:
            end_group(process)
        if self._connection is not None:
            self._connection.close()
        self.metadata.drop_database(self.database)
        if self.api:
            self.api.give_back()


def end_group(process: subprocess.Popen[str]) -> None:
    """End a process that leads its own group, and everything in that group."""
    for signal_number, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()


def _sqlalchemy(uri: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg2://", 1)
