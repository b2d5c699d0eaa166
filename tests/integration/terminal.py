"""Runs commands of Airflow in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios

from tests.integration.airflow_environment import AirflowEnvironment


def run_in_terminal(airflow: AirflowEnvironment, *arguments: str, columns: int) -> tuple[int, str]:
    """Run a command in a terminal that has colours; return its exit code and what it has written there.

    :param columns: how wide the terminal is
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    colours = {"TERM": "xterm-256color", "NO_COLOR": ""}
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), follower)
    process = airflow.popen(*arguments, env={**airflow.variables, **colours}, **streams)
    os.close(follower)
    shown = b""
    try:
        while block := os.read(leader, 65536):
            shown += block
    except OSError:
        pass  # the end, on Linux
    finally:
        os.close(leader)
    return process.wait(60), shown.decode().replace("\r\n", "\n")
