"""The program of a ForkedPython: has a command forked, and ends as it does.

Called with the socket to ask at, the real Python, and what that would be given. It starts without site-packages, at
once.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

FORKED = [["-m", "airflow", "dags", name] for name in ("backfill", "reserialize", "test")]
"""The commands that are forked; all else is the real Python's."""


def main() -> None:
    address, python, *given = sys.argv[1:]
    if given[:4] not in FORKED:
        os.execv(python, [python, *given])
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(address)
        order = json.dumps([given[2:], dict(os.environ), os.getcwd()]).encode()  # noqa: PTH109 - pathlib takes long
        socket.send_fds(door, [len(order).to_bytes(4, "big")], [0, 1, 2])
        door.sendall(order)
        _, (file,), _, _ = socket.recv_fds(door, 1, 1)
    answers = socket.socket(fileno=file)
    answers.recv(4)  # the process's id
    status = int.from_bytes(answers.recv(4), "big", signed=True)
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main()
