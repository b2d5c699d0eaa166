"""A home of its own for one command, with its own Airflow and Postgres: ``make bench``, ``make demo-gcp``.

It is gone when the command has ended. What a killed command has left, the next one removes, and so does ``make down``.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import psutil

from taxiway.paths import ROOT
from taxiway_local import database
from taxiway_local.exits import EXIT_USAGE, end
from taxiway_local.home import Home

NAMES = ("bench", "demo-gcp")
"""What the names of homes begin with; any other folder is left alone."""

LOCK = "taxiway-own-home.lock"
"""The file that a command keeps locked as long as it, or a process that it has forked, lives."""

SERVER_PROGRAMS = frozenset({"postgres", "initdb", "pg_ctl"})
"""What runs in the server's data folder."""

GRACE_SECONDS = 10.0
"""How long processes have to end by themselves."""

Say = Callable[[str], object]


def forget_settings(environment: MutableMapping[str, str]) -> None:
    """Take the caller's settings of Airflow and of libpq out of an environment.

    Those of Airflow lead to another Airflow. Those of libpq change sessions: ``PGOPTIONS`` can switch durability off.
    """
    for name in [name for name in environment if name.startswith(("AIRFLOW", "_AIRFLOW", "PG"))]:
        del environment[name]


def stop_in_order(*numbers: signal.Signals) -> None:
    """Let signals to stop raise ``SystemExit``, with the code of a shell, so that the home is cleared up."""
    sys.unraisablehook = _stop_later
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _stop)


def _stop(number: int, _frame: object) -> None:
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)  # told again, it goes on clearing up
    sys.exit(128 + number)


def _stop_later(unraisable: sys.UnraisableHookArgs) -> None:
    """Raise a ``SystemExit`` again that came while a finalizer was at work, which lets none out."""
    code = getattr(unraisable.exc_value, "code", None)
    if not isinstance(unraisable.exc_value, SystemExit):
        sys.__unraisablehook__(unraisable)
        return
    signal.signal(signal.SIGALRM, lambda _number, _frame: sys.exit(code))
    signal.setitimer(signal.ITIMER_REAL, 0.05)


@contextmanager
def own_home(parent: Path, name: str, say: Say) -> Iterator[Home]:
    """Make a home; when the block ends, end what runs in it and delete it.

    :param parent: the folder that it goes to; created if it is absent
    :param name: one of :data:`NAMES`
    :param say: called with a line if the folder stays
    """
    parent.mkdir(parents=True, exist_ok=True)
    # Its resolved name is the one by which the processes in it are known.
    home = Home(Path(mkdtemp(prefix=f"{name}-", dir=parent.resolve())))
    # Locked before it has its name, so that no other command takes the folder for a leftover.
    unnamed = home.root / "lock"
    with unnamed.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unnamed.rename(home.root / LOCK)
        try:
            yield home
        finally:
            _clear(home, say)


def lay_out(home: Home, *, dags: Sequence[Path] = (), plugins: Sequence[Path] = ()) -> None:
    """Link the project into a home, as an Airflow looks for it.

    :param dags: more DAG files
    :param plugins: more plugins of Airflow
    """
    for name, more in {"config": (), "include": (), "dags": dags, "plugins": plugins}.items():
        (home.root / name).mkdir()
        for path in (*(ROOT / name).iterdir(), *more):
            if path.name != "__pycache__":
                (home.root / name / path.name).symlink_to(path)


def clear_leftovers(parent: Path, say: Say) -> list[Path]:
    """End what killed commands have left running in their homes, and delete these.

    :param parent: the folder of the homes
    :param say: called with a line for each
    :return: the homes of commands that still run, which are left alone
    """
    running = []
    for path in sorted(lock for name in NAMES for lock in parent.resolve().glob(f"{name}-*/{LOCK}")):
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
    try:
        _end_processes(lambda process: process.environ().get("AIRFLOW_HOME") == str(home.root))
        server = database.find(home)
        if server is not None:
            database.stop(home)
            with suppress(OSError):  # a short one elsewhere if the home's path is long; else it goes with the home
                server.socket_folder.rmdir()
        # A server that was only beginning, and what initdb started, don't answer yet.
        _end_processes(lambda process: process.name() in SERVER_PROGRAMS and process.cwd() == str(home.postgres))
    finally:
        for _ in range(20):
            shutil.rmtree(home.root, ignore_errors=True)
            if not home.root.exists():
                break
            time.sleep(0.1)  # a process still writes
        else:
            say(f"{home.root} could not be deleted: delete it by hand")


def _end_processes(belongs: Callable[[psutil.Process], bool]) -> None:
    """End the processes that belong to a home, and those that they start meanwhile."""
    for _ in range(3):
        processes = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if belongs(process) and process.status() != psutil.STATUS_ZOMBIE:
                    process.terminate()
                    processes.append(process)
        if not processes:
            return
        _, alive = psutil.wait_procs(processes, timeout=GRACE_SECONDS)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=GRACE_SECONDS)


def main() -> int:
    """Refuse to go on while a command runs in a home of its own; ``make clean`` would delete it.

    :return: the exit code: 0, or 2 if one runs
    """
    if running := clear_leftovers(Home.current().state, print):
        folders = ", ".join(map(str, running))
        print(
            f"make bench or make demo-gcp is running in {folders}: stop it with Ctrl-C, or wait, then try again",
            file=sys.stderr,
        )
        return EXIT_USAGE
    return 0


if __name__ == "__main__":
    end(main, "make clean")
