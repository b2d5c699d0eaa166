"""A Postgres server of a test's own, to be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from taxiway_local.postgres_server import binary
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import wait_until

SYSTEM_USER = "pgserver"
"""Postgres refuses to run as root; the wheel makes this user for its own servers."""

LOGIN = ("loader", "a password that only this server knows")
"""A role that must give its password; it may do everything."""

HBA = """
local all postgres trust
local all all scram-sha-256
host all all samenet scram-sha-256
"""


class KillableServer(PostgresServer):
    """Postgres in a folder of its own, listening on a socket there.

    :param address: an address of this machine that it listens on, too
    """

    def __init__(self, address: str = "") -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="taxiway-killable-")))
        # Started by this process and not by pg_ctl, so that one that was killed is gone at once and not a zombie.
        self._postmasters: list[subprocess.Popen[bytes]]
        self._address: str
        object.__setattr__(self, "_address", address)
        object.__setattr__(self, "_postmasters", [])  # the class that this one extends is frozen
        if os.geteuid() == 0:
            shutil.chown(self.socket_folder, SYSTEM_USER, SYSTEM_USER)
        initdb = self._popen("initdb", "--auth=trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", "data")
        assert initdb.wait() == 0, self._said("initdb")
        (self.socket_folder / "data" / "pg_hba.conf").write_text(HBA)
        self.start()
        with self.connect(autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {LOGIN[0]} SUPERUSER LOGIN PASSWORD '{LOGIN[1]}'")

    @property
    def is_running(self) -> bool:
        return bool(self._postmasters) and self._postmasters[-1].poll() is None

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start, and wait until it answers: a recovery is over then.

        :param environment: what the server has in its environment besides this process's
        """
        # Only processes are killed here: what they had written is there, flushed to the disk or not.
        arguments = ("-D", "data", "-h", self._address, "-k", str(self.socket_folder), "-F")
        self._postmasters.append(self._popen("postgres", *arguments, environment=environment))
        wait_until(self._answers, timeout=60, what="Postgres to answer", interval=0.02)

    def stop(self) -> None:
        """Shut down, and cut off whoever is connected, as ``make down`` does."""
        self._postmasters[-1].send_signal(signal.SIGINT)
        self._postmasters[-1].wait(30)

    def kill(self) -> None:
        """Kill the postmaster and every process of its own, as a power cut would."""
        postmaster = self._postmasters[-1]
        # One that it forks while its children are listed would outlive it, and keep its shared memory from the next.
        postmaster.send_signal(signal.SIGSTOP)
        children = psutil.Process(postmaster.pid).children(recursive=True)
        # Nor may one notice that the postmaster is gone: it would end its transaction, and remove the files of a table
        # that it was making, with nobody left to write that into the log; the next start stumbles over such files.
        for process in children:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        postmaster.kill()
        postmaster.wait(10)
        wait_until(lambda: not any(map(_is_alive, children)), timeout=60, what="Postgres to be gone", interval=0.005)

    def __enter__(self) -> KillableServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and remove the data."""
        if self.is_running:
            self.kill()
        shutil.rmtree(self.socket_folder, ignore_errors=True)

    def _answers(self) -> bool:
        assert self.is_running, self._said("postgres")
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _said(self, program: str) -> str:
        return (self.socket_folder / f"{program}.out").read_text(errors="replace")[-2000:]

    def _popen(
        self, program: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            as_user = {"user": SYSTEM_USER, "group": SYSTEM_USER, "extra_groups": []}
        with (self.socket_folder / f"{program}.out").open("ab") as output:
            return subprocess.Popen(
                [binary(program), *arguments],
                cwd=self.socket_folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                **as_user,
            )


def _is_alive(process: psutil.Process) -> bool:
    """Say whether a process does anything still; one whose parent has yet to notice its end doesn't."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
