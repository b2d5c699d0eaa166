"""Runs commands of Airflow in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios

from tests.integration.airflow_environment import PATIENCE, AirflowEnvironment

COLOURS = {"TERM": "xterm-256color", "NO_COLOR": ""}
"""What lets a command write colours, if it writes to a terminal."""


def run_in_terminal(airflow: AirflowEnvironment, *arguments: str, columns: int) -> tuple[int, str]:
    """Run a command in a terminal that has colours; return its exit code and what it has written there.

    It begins soon if the environment has :data:`COLOURS`, as that of the commands before it.

    :param columns: how wide the terminal is
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**airflow.variables, **COLOURS}
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), follower)
    ready = environment == airflow.variables
    process = airflow.popen(*arguments, env=environment, has_airflow=ready, **streams)
    os.close(follower)
    shown = b""
    try:
        while block := os.read(leader, 65536):
            shown += block
    except OSError:
        pass  # the end, on Linux
    finally:
        os.close(leader)
    return process.wait(PATIENCE * 60), shown.decode().replace("\r\n", "\n")


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
