"""A forked command is like one that was started: its arguments, environment, folder, output and end are its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from taxiway.paths import ROOT
from tests.integration.airflow_environment import PATIENCE
from tests.integration.forked_commands import CommandServer
from tests.integration.forked_python import ForkedPython

PROGRAM = """
import atexit, json, os, pathlib, random, sys, time
atexit.register(print, "the end", flush=True)
if sys.argv[1:] == ["wait"]:
    print(os.getpid(), flush=True)
    time.sleep(600)
own = [name for name in sys.modules if name.split(".")[0] in ("airflow", "taxiway", "taxiway_local")]
names = ["TZ", "AIRFLOW_HOME", "FROM_ENV_FILE"]
print(json.dumps([
    sys.argv, sys.orig_argv, sys.path, sys.modules["taxiway_local"].__file__,
    sorted(own), {name: os.environ.get(name) for name in names},
    str(pathlib.Path.cwd()), time.strftime("%H", time.localtime(0)), sys.stdin.read(), len(os.listdir("/proc/self/fd")),
]))
print("not well", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bin") / "airflow"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(scope="module")
def server(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandServer]:
    server = CommandServer(program, tmp_path_factory.mktemp("empty"))
    try:
        yield server
    finally:
        server.stop()


def test_it_is_like_a_command_that_was_started(server: CommandServer, program: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins").symlink_to(ROOT / "plugins")
    (tmp_path / ".env").write_text("FROM_ENV_FILE=read\n")
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "TZ": "Asia/Tokyo"}
    environment["PYTHONPATH"] = f"{tmp_path / 'plugins'}:{tmp_path}"
    arguments = ["dags", "backfill", "a b"]
    started = subprocess.run(
        [sys.executable, program, *arguments],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 3, started.stderr

    forked = server.run(arguments, environment, tmp_path, 60)

    assert (forked.returncode, forked.stdout, forked.stderr) == (3, started.stdout, started.stderr)
    told, end = forked.stdout.splitlines()
    assert end == "the end"
    argv, _, _, file, own, variables, folder, hour, _, _ = json.loads(told)
    assert argv == [str(program), *arguments]
    assert Path(file).is_relative_to(tmp_path), "PYTHONPATH decides which code a command runs"
    assert not [name for name in own if name.startswith("airflow")], "a command imports Airflow by its own settings"
    assert variables == {"TZ": "Asia/Tokyo", "AIRFLOW_HOME": str(tmp_path), "FROM_ENV_FILE": "read"}
    assert (folder, hour) == (str(tmp_path), "09")


def test_one_that_takes_too_long_is_killed(server: CommandServer, tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as raised:
        server.run(["wait"], os.environ, tmp_path, 5)
    assert raised.value.output, "it had begun"
    assert not psutil.pid_exists(int(raised.value.output))


def test_one_that_is_started_leads_a_process_group(server: CommandServer, tmp_path: Path) -> None:
    """As a command that a terminal starts: it reads its input, writes to one pipe, and Ctrl-C ends it."""
    options = {"env": os.environ, "cwd": tmp_path, "stdin": subprocess.PIPE}
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with server.start(["a"], **options) as read:
        said, _ = read.communicate("typed", timeout=60)
    assert read.returncode == 3
    assert "typed" in said
    assert "not well" in said

    with server.start(["wait"], **options) as waits:
        assert waits.stdout is not None
        assert int(waits.stdout.readline()) == waits.pid == os.getpgid(waits.pid) == os.getsid(waits.pid)
        assert waits.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            waits.wait(0.1)
        os.killpg(waits.pid, signal.SIGINT)
        assert "KeyboardInterrupt" in waits.stdout.read()
        assert waits.wait(60) == -signal.SIGINT
        assert waits.poll() == -signal.SIGINT


def test_another_program_runs_from_its_own_folder(server: CommandServer, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("name = 'found'\n")
    script = tmp_path / "script.py"
    script.write_text("import sys, beside\nprint(__file__, sys.argv, beside.name)\n")
    with server.start(
        ["b"],
        program=script,
        env=os.environ,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as command:
        said, _ = command.communicate(timeout=PATIENCE * 60)
    assert said == f"{script} ['{script}', 'b'] found\n"


@pytest.mark.parametrize("code", ["None", "True", "-1", "256", "'not well'", "('not', 'well')"])
def test_it_ends_with_the_code_of_one_that_was_started(server: CommandServer, tmp_path: Path, code: str) -> None:
    script = tmp_path / "ends.py"
    script.write_text(f"import sys\nsys.exit({code})\n")
    started = subprocess.run([sys.executable, "-S", script], capture_output=True, text=True, check=False)

    forked = server.run([], os.environ, tmp_path, 60, program=script)

    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)


def test_a_python_that_forks_says_what_is_wrong_with_an_order_and_takes_the_next(
    server: CommandServer, tmp_path: Path
) -> None:
    python = ForkedPython(server, tmp_path / "python")
    (tmp_path / "airflow.py").write_text("raise ImportError('nothing to import beforehand')\n")

    def ask() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python.program, "-m", "airflow", "dags", "backfill"],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(str(python.program.with_name("door")))
            socket.send_fds(door, [(4).to_bytes(4, "big")], [0, 1, 2])
            door.sendall(b"what")
            answer, files, _, _ = socket.recv_fds(door, 1000, 1)
        assert (answer.partition(b":")[0], files) == (b"JSONDecodeError", [])
        done = ask()
        assert (done.returncode, "not well" in done.stderr) == (3, True), done.stderr
    finally:
        python.stop()
    refused = ask()
    assert (refused.returncode, "ConnectionRefusedError" in refused.stderr) == (1, True), refused.stderr


def test_commands_of_one_environment_have_airflow_imported_before(tmp_path: Path) -> None:
    """Settings are read anew if a file of theirs is another; each command ends on its own."""
    for name in ("config", "plugins"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    server = CommandServer(Path(sys.executable).with_name("airflow"), tmp_path / "empty")
    forked: set[psutil.Process] = set()

    def run(*arguments: str, program: Path | None = None, **variables: str) -> str:
        given = {**environment, **variables}
        done = server.run(arguments, given, tmp_path, 120, program=program, has_airflow=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    tells = tmp_path / "tells.py"
    tells.write_text("import os\nprint(os.environ.get('AIRFLOW_CONN_MIRROR'))\n")

    try:
        assert run("config", "get-value", "core", "parallelism") == "32"
        forked |= set(psutil.Process(server.pid).children())
        assert "3.3.2" in run("version")
        # Its connections are a command's own.
        *_, ready = psutil.Process(server.pid).children()
        assert run(program=tells, AIRFLOW_CONN_MIRROR="http://one") == "http://one"
        assert run(program=tells) == "None"
        assert psutil.Process(server.pid).children()[-1] == ready
        (tmp_path / ".env").write_text("AIRFLOW__CORE__PARALLELISM=7\n")
        assert run("config", "get-value", "core", "parallelism") == "7"
        forked |= set(psutil.Process(server.pid).children())
    finally:
        server.stop()
    gone, alive = psutil.wait_procs(forked, timeout=PATIENCE * 60)
    assert len(gone) > 1
    assert not alive
