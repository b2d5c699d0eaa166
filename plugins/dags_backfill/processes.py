"""Child processes that never outlive the command, however it ends.

Three generations: the command, its children (an executor's workers, the
execution API server), and the task processes of the workers. A terminal sends
Ctrl-C to the whole process group, so children get groups of their own: what
happens to them is the command's decision. On Linux the kernel tells them when
the command is gone, even if it was killed outright.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable
from multiprocessing.process import BaseProcess
from types import FrameType

import psutil

GRACE_SECONDS = 3.0
"""How long a task has to clean up (its ``on_kill``) before it is killed."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

_generation = 0
_command_pid = 0
_hidden_sockets: set[int] = set()


def bind_children() -> None:
    """Bind every process that this one forks from now on to its life; calling it again changes nothing."""
    global _command_pid
    if _command_pid == 0:
        _command_pid = os.getpid()
        os.register_at_fork(after_in_child=_after_fork)


def start_child(target: Callable[..., None], name: str, *arguments: object) -> BaseProcess:
    """Start a process that is bound to the life of this one.

    :param target: what it runs
    :param name: its name
    :param arguments: of the target
    """
    bind_children()
    # A forked process has Airflow loaded already. Not on macOS, whose libraries don't survive a fork.
    linux = sys.platform == "linux"
    context = multiprocessing.get_context("fork") if linux else multiprocessing.get_context("spawn")
    process = context.Process(target=target, args=arguments, name=name)
    process.start()
    return process


def end_child(process: BaseProcess, grace: float = GRACE_SECONDS) -> None:
    """End a process of :func:`start_child`, and all that it has started.

    :param grace: seconds until it is killed
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        end_processes([psutil.Process(process.pid)], grace=grace)
    process.join()


def hide_from_children(socket: int) -> None:
    """Keep a file descriptor out of processes forked from now on.

    A connection stays open as long as one process holds it. A lock that belongs to a connection must end with the
    command, not with its last child.
    """
    _hidden_sockets.add(socket)


def show_to_children(socket: int) -> None:
    """Undo :func:`hide_from_children`; to be called before the descriptor is closed."""
    _hidden_sockets.discard(socket)


def die_with_parent(signal_number: int) -> None:
    """Ask the kernel for a signal when the parent ends; only Linux can."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)


def _after_fork() -> None:
    global _generation
    _generation += 1
    if _generation == 1:
        null = os.open(os.devnull, os.O_RDWR)
        for socket in _hidden_sockets:
            os.dup2(null, socket)
        os.close(null)
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, _end_with_children)
        die_with_parent(signal.SIGHUP)
        if os.getppid() != _command_pid:
            os._exit(1)
    elif _generation == 2:
        # A task without its supervisor reports to nobody: it must not go on.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        die_with_parent(signal.SIGKILL)


def _end_with_children(_signal_number: int, _frame: FrameType | None) -> None:
    """End a worker: its task first, with the time it needs to clean up."""
    end_processes(psutil.Process().children())
    os._exit(1)


def end_processes(
    processes: Iterable[psutil.Process],
    *,
    first: int = signal.SIGTERM,
    grace: float = GRACE_SECONDS,
    force: Callable[[], bool] = lambda: False,
) -> None:
    """End processes and all that they started.

    :param first: the signal that asks them to end
    :param grace: seconds until they are killed
    :param force: asked while waiting; kill at once if it says so
    """
    remaining = list(processes)
    family = [descendant for process in remaining for descendant in _descendants(process)]
    for process in remaining:
        _send(process, first)
    waited = 0.0
    while remaining and waited < grace and not force():
        _, remaining = psutil.wait_procs(remaining, timeout=0.1)
        waited += 0.1
    # The family may have lost its parents by now, or grown.
    family += [descendant for process in remaining for descendant in _descendants(process)]
    for process in [*remaining, *family]:
        _send(process, signal.SIGKILL)
    psutil.wait_procs([*remaining, *family], timeout=5)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(process.children(recursive=True))
    return []


def _send(process: psutil.Process, signal_number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
        if process.is_running():
            process.send_signal(signal_number)
