"""A Postgres server of a test's own, to be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from taxiway.local.postgres_server import binary
from tests.conftest import PostgresServer

SYSTEM_USER = "pgserver"
"""Postgres refuses to run as root; the wheel makes this user for its own servers."""

LOGIN = ("loader", "a password that only this server knows")
"""A role that must give its password; it may do everything."""

HBA = """
local all postgres trust
local all all scram-sha-256
"""


class KillableServer(PostgresServer):
    """Postgres in a folder of its own, listening on a socket there."""

    def __init__(self) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="taxiway-killable-")))
        if os.geteuid() == 0:
            shutil.chown(self.socket_folder, SYSTEM_USER, SYSTEM_USER)
        self._run("initdb", "--auth=trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", "data")
        (self.socket_folder / "data" / "pg_hba.conf").write_text(HBA)
        self.start()
        with self.connect(autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {LOGIN[0]} SUPERUSER LOGIN PASSWORD '{LOGIN[1]}'")

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return int((self.socket_folder / "data" / "postmaster.pid").read_text().split()[0])

    @property
    def is_running(self) -> bool:
        try:
            return psutil.pid_exists(self.pid)
        except FileNotFoundError:
            return False

    def start(self) -> None:
        """Start, and wait until it answers: a recovery is over then."""
        # Only processes are killed here: what they had written is there, flushed to the disk or not.
        listening = f"-h '' -k {self.socket_folder} -F"
        self._run("pg_ctl", "start", "-w", "-t", "60", "-D", "data", "-l", "log", "-o", listening)

    def kill(self) -> None:
        """Kill the postmaster and every process of its own, as a power cut would."""
        postmaster = psutil.Process(self.pid)
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        _, left = psutil.wait_procs(family, timeout=10)
        assert left == []

    def close(self) -> None:
        """Stop, and remove the data."""
        with suppress(FileNotFoundError, psutil.NoSuchProcess, subprocess.CalledProcessError):
            self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-t", "30", "-D", "data")
        shutil.rmtree(self.socket_folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            as_user = {"user": SYSTEM_USER, "group": SYSTEM_USER, "extra_groups": []}
        with (self.socket_folder / f"{program}.out").open("ab") as output:
            subprocess.run(
                [binary(program), *arguments],
                check=True,
                cwd=self.socket_folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **as_user,
            )
