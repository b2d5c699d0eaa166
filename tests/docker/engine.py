"""A Docker engine of the tests' own, and checkouts on it. Runs in the namespaces that ``__main__`` makes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from taxiway.paths import ROOT
from tests.compose_file import services
from tests.docker.stand_ins import AIRFLOW_IMAGE, POSTGRES_IMAGE, fetch_compose, recipe, tarball

WAIT = 600.0
"""Seconds that any one thing may take; the tests fail when they are over."""

BRIDGE = "172.17.0.1/16"
"""Address and size of the network on which containers reach this side; the namespace has no other."""


def until(what: str, reached: Callable[[], object], *, seconds: float = WAIT) -> None:
    """Ask until it is so.

    :raises AssertionError: if it isn't so in time
    """
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not reached():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        pause.wait(0.2)


class Engine:
    """A running ``dockerd``, with the stand-in images.

    :ivar environment: that of Docker's commands
    :ivar gateway: the address by which containers reach this side
    """

    def __init__(self, folder: Path, place: Path) -> None:
        self._folder = folder
        (place / "config" / "cli-plugins").mkdir(parents=True)
        compose = fetch_compose(folder / "compose", "") / "docker-compose"
        (place / "config" / "cli-plugins" / "docker-compose").symlink_to(compose)
        # The engine names no gateway of a bridge that it has just made: this one is ours to give.
        (place / "daemon.json").write_text(json.dumps({"bip": BRIDGE}), encoding="utf-8")
        self.gateway = BRIDGE.partition("/")[0]
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("AIRFLOW", "COMPOSE", "DOCKER"))
            },
            "DOCKER_HOST": f"unix://{place}/socket",
            "DOCKER_CONFIG": str(place / "config"),
        }
        self._log = (folder / "dockerd.log").open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            [
                *("dockerd", "--config-file", place / "daemon.json", "--host", f"unix://{place}/socket"),
                *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{place.name}"),
                *("--data-root", folder / "data", "--exec-root", place / "exec", "--pidfile", place / "pid"),
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def stop(self) -> None:
        """End the engine and every container."""
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def docker(
        self, *arguments: str, cwd: Path = ROOT, check: bool = True, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Docker's; its output, both streams together, is shown."""
        print("$ docker", *arguments, flush=True)
        begun = time.monotonic()
        done = subprocess.run(
            ["docker", *arguments],
            cwd=cwd,
            env=self.environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=WAIT,
        )
        print(f"{done.stdout}({time.monotonic() - begun:.0f} s, exit code {done.returncode})", flush=True)
        assert not check or done.returncode == 0, done.stdout
        return done

    def ready(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError((self._folder / "dockerd.log").read_text(encoding="utf-8")[-3000:])
        return (
            subprocess.run(["docker", "version"], env=self.environment, capture_output=True, check=False).returncode
            == 0
        )

    def load_stand_ins(self) -> None:
        """Make the stand-in images by the names that the project asks for, unless they are there."""
        airflow = next(
            line.split()[1]
            for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
            if line[:5] == "FROM "
        )
        root = f"taxiway-test-root:{recipe()}"
        if self.docker("image", "inspect", "--format", "{{.Id}}", root, check=False).returncode:
            self.docker("import", str(tarball(self._folder)), root)
        for image, settings in ((airflow, AIRFLOW_IMAGE), (services()["postgres"]["image"], POSTGRES_IMAGE)):
            self.docker("build", "--quiet", "--tag", image, "-", given=f"FROM {root}\n{settings}")


@contextlib.contextmanager
def running_engine(folder: Path, place: Path) -> Iterator[Engine]:
    """Start an engine, with its images and without anything that an earlier one left; stop it at the end.

    :param folder: what is kept from one run to the next
    :param place: an empty folder with a short path, for the engine's socket; its name is that of the control groups
    """
    engine = Engine(folder, place)
    try:
        until("dockerd", engine.ready, seconds=60)
        if left := engine.docker("ps", "--all", "--quiet").stdout.split():
            engine.docker("rm", "--force", "--volumes", *left)
        if left := engine.docker("volume", "ls", "--quiet").stdout.split():
            engine.docker("volume", "rm", *left)
        engine.docker("network", "prune", "--force")
        engine.load_stand_ins()
        yield engine
    finally:
        engine.stop()


@contextlib.contextmanager
def mirror(folder: Path) -> Iterator[int]:
    """Serve a folder on every address of this network namespace, to containers too; yield the port."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class Checkout:
    """A clone of the project as git makes it under umask 077, used as ``docs/docker.md`` says.

    :ivar folder: where it lies
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self.folder = folder
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.run("chmod -R go= .")

    def run(self, command: str) -> None:
        """Run a command in the folder."""
        subprocess.run(command.split(), cwd=self.folder, check=True)

    def make_env(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "docker/make_env.py"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def set(self, **values: str) -> None:
        """Add lines to ``.env``."""
        with (self.folder / ".env").open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in values.items())

    @property
    def env(self) -> dict[str, str]:
        lines = (self.folder / ".env").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self._engine.docker("compose", *arguments, cwd=self.folder, check=check)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of Compose's in the background."""
        return subprocess.Popen(
            ["docker", "compose", *arguments],
            cwd=self.folder,
            env=self._engine.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def states(self) -> dict[str, str]:
        """Return each service that runs, with its health."""
        lines = self.compose("ps", "--format", "json").stdout.splitlines()
        return {found["Service"]: found["Health"] for found in map(json.loads, lines)}

    def sql(self, statement: str) -> str:
        """Return what a statement finds in the warehouse, as ``docs/docker.md`` asks it."""
        psql = ["psql", "--username=postgres", "--dbname=taxi", "--no-align", "--tuples-only"]
        return self.compose("exec", "-T", "postgres", *psql, f"--command={statement}").stdout.strip()
