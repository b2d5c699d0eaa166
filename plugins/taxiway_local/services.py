"""Airflow in the background: ``make up`` and ``make down``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from taxiway.errors import ProgramError
from taxiway_local import database
from taxiway_local.env_file import SERVICES_ENVIRONMENT
from taxiway_local.exits import end
from taxiway_local.home import Home
from taxiway_local.own_home import clear_leftovers
from taxiway_local.setup import airflow_command, airflow_environment, setup

COMMANDS = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
"""What runs in the background, each an Airflow command with its options. Logs are files of this machine, which the
API server reads itself: serving them would open two more ports, to every address."""

FIRST_PORT = 8080
"""Port of the web UI, where it is free; else the next free one is taken."""

START_SECONDS = 180
"""How long the services may take to become healthy."""

STOP_SECONDS = 30
"""How long the services may take to stop before they are killed."""


class ServiceError(ProgramError):
    """A service didn't start; with the end of its log."""


@dataclass(frozen=True)
class Service:
    """A background process.

    :param command: its Airflow command
    :param pid: its process id, and that of its process group
    :param created: when it began, in seconds since 1970: a process id alone may be another's by now
    """

    command: str
    pid: int
    created: float

    def process(self) -> psutil.Process | None:
        """Return the process, where it is still this one."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) > 1 or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return process


def up(home: Home) -> str:
    """Start what isn't running, and wait until all of it is healthy.

    :return: the web UI's address
    :raises ServiceError: a service ends, or doesn't become healthy in time
    """
    running, address = _read(home)
    if len(running) == len(COMMANDS) and _healthy(address):
        return address
    print("Starting Airflow: API server, scheduler, DAG processor, triggerer")
    _stop(running)
    setup(home)
    port = _free_port(int(os.environ.get("AIRFLOW__API__PORT", FIRST_PORT)))
    address = f"http://127.0.0.1:{port}"
    settings = {
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
    }
    environment_file = home.root / SERVICES_ENVIRONMENT
    environment_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    home.service_logs.mkdir(parents=True, exist_ok=True)
    started = []
    for command in COMMANDS:
        started.append(_start(home, command, settings))
        _write(home, started, address)
    try:
        _wait_until_healthy(home, started, address)
    except ServiceError:
        down(home, keep_database=True)
        raise
    return address


def down(home: Home, *, keep_database: bool = False) -> list[str]:
    """Stop what runs in the background.

    :param keep_database: leave embedded Postgres running
    :return: names of what was stopped
    """
    running, _ = _read(home)
    stopped = _stop(running)
    home.services.unlink(missing_ok=True)
    (home.root / SERVICES_ENVIRONMENT).unlink(missing_ok=True)
    if not keep_database and database.stop(home):
        stopped.append("embedded Postgres")
    return stopped


def _start(home: Home, command: str, settings: dict[str, str]) -> Service:
    log = home.service_logs / f"{command}.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [*airflow_command(), command, *COMMANDS[command]],
            env={**airflow_environment(home), **settings},
            cwd=home.root,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            # A group of its own: Airflow's services have children, and all of them end together.
            start_new_session=True,
        )
    return Service(command, process.pid, psutil.Process(process.pid).create_time())


def _wait_until_healthy(home: Home, started: list[Service], address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _healthy(address):
        ended = [service.command for service in started if service.process() is None]
        if ended or time.monotonic() > deadline:
            problem = f"{', '.join(ended)} ended" if ended else f"not healthy after {START_SECONDS} seconds"
            raise ServiceError(f"Airflow didn't start: {problem}", _log_ends(home, ended or list(COMMANDS)))
        time.sleep(0.5)


def _healthy(address: str) -> bool:
    try:
        # The address is our own, on this machine.
        with urllib.request.urlopen(f"{address}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310
            health = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return False
    return all(
        (health.get(part) or {}).get("status") == "healthy"
        for part in ("metadatabase", "scheduler", "dag_processor", "triggerer")
    )


def _stop(services: list[Service]) -> list[str]:
    """Stop services and their children; return the names of those that ran."""
    families = []
    for service in services:
        if process := service.process():
            families.append((service, [process, *process.children(recursive=True)]))
    for service, _ in families:
        _signal_group(service.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs([process for _, family in families for process in family], timeout=STOP_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)
    return [service.command for service, _ in families]


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _free_port(wanted: int) -> int:
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServiceError(f"no free port between {wanted} and {wanted + 99}: set AIRFLOW__API__PORT to a free one")


def _read(home: Home) -> tuple[list[Service], str]:
    try:
        document = json.loads(home.services.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [], ""
    services = [Service(**entry) for entry in document["services"]]
    return [service for service in services if service.process()], document["address"]


def _write(home: Home, services: list[Service], address: str) -> None:
    document = {"address": address, "services": [asdict(service) for service in services]}
    home.services.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _log_ends(home: Home, commands: list[str]) -> list[str]:
    said = []
    for command in commands:
        path: Path = home.service_logs / f"{command}.log"
        log = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        said += [f"--- the end of {path}", *log[-15:]]
    return said


def main() -> int:
    """Run ``up`` or ``down`` from the command line."""
    parser = argparse.ArgumentParser(prog="taxiway_local.services", description=__doc__)
    parser.add_argument("action", choices=("up", "down"))
    home = Home.current()
    if parser.parse_args().action == "down":
        stopped = down(home)
        clear_leftovers(home.state, print)
        print(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running")
        return 0
    address = up(home)
    password = json.loads(home.passwords.read_text(encoding="utf-8")).get("admin", "")
    print(f"Airflow is up: {address}")
    print(f"  log in as  admin  with the password  {password}")
    print(f"  passwords  {home.passwords}")
    print(f"  logs       {home.service_logs}")
    print("  stop       make down")
    return 0


if __name__ == "__main__":
    end(main, f"make {' '.join(sys.argv[1:2])}")
