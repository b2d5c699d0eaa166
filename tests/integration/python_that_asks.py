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

MOST_SAID = 10_000
"""Bytes of an answer that says why nothing was forked."""

FORKED = [["-m", "airflow", "dags", name] for name in ("backfill", "reserialize", "test")]
FORKED += [["-m", "taxiway_local.airflow_commands"]]
"""The commands that are forked; all else is the real Python's."""


def main() -> None:
    address, python, *given = sys.argv[1:]
    if not any(given[: len(words)] == words for words in FORKED):
        os.execv(python, [python, *given])
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(address)
        order = json.dumps([given[1:], dict(os.environ), os.getcwd()]).encode()  # noqa: PTH109 - pathlib takes long
        socket.send_fds(door, [len(order).to_bytes(4, "big")], [0, 1, 2])
        door.sendall(order)
        answer, files, _, _ = socket.recv_fds(door, MOST_SAID, 1)
    if not files:
        sys.exit(f"no command was forked: {answer.decode() or 'nobody takes orders any more'}")
    answers = socket.socket(fileno=files[0])
    answers.recv(4)  # the process's id
    status = answers.recv(4)
    if not status:
        sys.exit("the process that commands are forked from has ended")
    code = os.waitstatus_to_exitcode(int.from_bytes(status, "big", signed=True))
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
