"""The project's own commands, such as ``make demo``, in forked processes; so are the backfills that they start.

They call Airflow as a program of its own, by the Python that they run in. Here, that Python is a small program which
has ``airflow dags backfill`` and some others forked, and ends as they do; anything else it leaves to the real one. It
passes no signals on: a command that is told to end is one that a test has started.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.airflow_environment import command_server, shared_metadata_server
from tests.integration.forked_commands import CommandServer, ForkedCommand

RUN_MODULE = Path(__file__).with_name("run_module.py")


class ForkedPython:
    """The program, and the thread that takes its orders.

    :param server: what commands are forked from
    :param folder: a new folder, whose path is short; it comes first on the ``PATH`` of what the program runs
    """

    def __init__(self, server: CommandServer, folder: Path) -> None:
        self._server, self.program = server, folder / "python"
        folder.mkdir()
        asks = Path(__file__).with_name("python_that_asks.py")
        words = [sys.executable, "-IS", str(asks), str(folder / "door"), sys.executable]
        self.program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        self.program.chmod(0o755)
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / "door"))
        self._door.listen()
        threading.Thread(target=self._take_orders, daemon=True).start()

    def start(self, module: str, *arguments: str, env: Mapping[str, str], **options: Any) -> ForkedCommand:
        """Start a module in a process group of its own, as :class:`subprocess.Popen` does.

        :param options: of that class
        """
        return self._server.start(
            [str(self.program), module, *arguments], program=RUN_MODULE, env=_given(env), **options
        )

    def run(
        self, module: str, *arguments: str, env: Mapping[str, str], cwd: Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a module to its end.

        :param timeout: seconds after which it is killed
        :raises subprocess.TimeoutExpired: it was
        """
        return self._server.run([str(self.program), module, *arguments], _given(env), cwd, timeout, program=RUN_MODULE)

    def stop(self) -> None:
        """Take no more orders."""
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _take_orders(self) -> None:
        while True:
            try:
                asking, _ = self._door.accept()
            except OSError:
                return  # the end
            with asking:
                try:
                    self._take_order(asking)
                except (OSError, ValueError) as error:
                    # Of this order: the next one may be sound.
                    with contextlib.suppress(OSError):
                        asking.sendall(f"{type(error).__name__}: {error}".encode())

    def _take_order(self, asking: socket.socket) -> None:
        length, files, _, _ = socket.recv_fds(asking, 4, 3)
        try:
            order = asking.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
            (module, *arguments), environment, folder = json.loads(order)
            command = [str(self._server.program), *arguments]
            if module != "airflow":
                command = [str(RUN_MODULE), str(self.program), module, *arguments]
            ready = {"has_airflow": True, "own_api": True}
            with self._server.order(command, environment, Path(folder), files, **ready) as answers:
                socket.send_fds(asking, [b"."], [answers.fileno()])
        finally:
            for file in files:
                os.close(file)


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    """Add the folder of the real Python, where commands expect theirs, and leave the test's name out, which none needs:
    equal environments share the process that has imported Airflow.
    """
    others = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    return {**others, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"}


@functools.cache
def forked_python() -> ForkedPython:
    """Return the Python of a session; it stops with the session."""
    metadata = shared_metadata_server()
    python = ForkedPython(command_server(), metadata.folder / "python")
    metadata.at_stop.append(python.stop)
    return python
