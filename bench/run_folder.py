"""A run's folder: it is gone when the run has ended, and the next run clears up after one that was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import psutil
from rich.console import Console

from taxiway_local import database
from taxiway_local.home import Home

PREFIX = "bench-"

LOCK = "taxiway-bench.lock"
"""The file that a run keeps locked as long as it, or a process that it has forked, lives."""

SERVER_PROGRAMS = frozenset({"postgres", "initdb", "pg_ctl"})
"""What runs in the server's data folder."""

GRACE_SECONDS = 10.0
"""How long processes have to end by themselves."""

REMOVALS = 20
"""How often a folder is deleted, a tenth of a second apart, before it stays."""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, ``kill``, a terminal that closes."""

Say = Callable[[str], None]


class Stopped(SystemExit):
    """The run was told to stop; on its way out it is cleared up. Its code is what a shell gives for the signal."""

    def __init__(self, number: int) -> None:
        """Take the signal's number."""
        self.exit_code = 128 + number
        super().__init__(self.exit_code)


def stand_alone() -> None:
    """Keep the settings of whoever calls out of it, and let what tells it to stop raise :class:`Stopped`."""
    forget_settings(os.environ)
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _end)


def forget_settings(environment: MutableMapping[str, str]) -> None:
    """Take what would change the figures out of an environment.

    Airflow's settings would lead to another Airflow, libpq's change sessions: ``PGOPTIONS`` can switch off
    what the figures promise.
    """
    for name in [name for name in environment if name.startswith(("AIRFLOW", "_AIRFLOW", "PG"))]:
        del environment[name]


def _end(number: int, _frame: object) -> None:
    # Told again, it goes on clearing up.
    for other in STOPPING:
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)


def say_stopped(console: Console, results: str) -> None:
    """Say that a run was told to stop, and has cleared up.

    :param console: where it is said; it may be gone, where that is why the run was to stop
    :param results: what has become of the results
    """
    with suppress(OSError):
        console.print(f"Stopped and cleared up: {results}", markup=False, soft_wrap=True)


@contextmanager
def run_folder(parent: Path, say: Say) -> Iterator[Home]:
    """Make a folder for a run, and end and delete all that is in it when the block ends.

    :param parent: the folder that it goes to
    :param say: is told what stays
    :return: the folder, as the home of an Airflow and a Postgres
    """
    parent.mkdir(parents=True, exist_ok=True)
    # Its resolved name is the one by which the processes in it are known.
    home = Home(Path(mkdtemp(prefix=PREFIX, dir=parent.resolve())))
    # Locked before it has its name: so nobody takes the folder for one that is left over.
    unnamed = home.root / "lock"
    with unnamed.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unnamed.rename(home.root / LOCK)
        try:
            yield home
        finally:
            _clear(home, say)


def clear_leftovers(parent: Path, say: Say) -> list[Path]:
    """Stop the servers of runs that were killed, and delete their folders; before anybody asks for free disk.

    :param parent: folder of the runs' folders; any other folder in it is left alone
    :param say: is told which ones
    :return: the folders of runs that go on, which are left alone
    """
    running = []
    for path in sorted(parent.resolve().glob(f"{PREFIX}*/{LOCK}")):
        with suppress(FileNotFoundError), path.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                running.append(path.parent)
                continue
            say(f"removing {path.parent}, which a killed run has left")
            _clear(Home(path.parent), say)
    return running


def _clear(home: Home, say: Say) -> None:
    """End what runs in a home, and delete it."""
    try:
        _end_processes(lambda process: process.environ().get("AIRFLOW_HOME") == str(home.root))
        server = database.find(home)
        if server is not None:
            database.stop(home)
            with suppress(OSError):  # a short one elsewhere, where the home's path is long; else it goes with the home
                server.socket_folder.rmdir()
        # A server that was only beginning, and what initdb started, don't answer yet.
        _end_processes(lambda process: process.name() in SERVER_PROGRAMS and process.cwd() == str(home.postgres))
    finally:
        _remove(home.root, say)


def _end_processes(belongs: Callable[[psutil.Process], bool]) -> None:
    """End the processes that belong to a run, whoever has started them."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if belongs(process):
                process.terminate()
                processes.append(process)
    _, alive = psutil.wait_procs(processes, timeout=GRACE_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=GRACE_SECONDS)


def _remove(folder: Path, say: Say) -> None:
    for _ in range(REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)  # somebody still writes
    say(f"{folder} could not be deleted: delete it by hand")
