"""Keeps what the user asked for apart from what Airflow has to say."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.text import Text


class Output:
    """The user's terminal or pipe, with Airflow's own messages taken out of it.

    Airflow, its executor and their processes write to the standard streams. These go to a file, and the command writes
    to copies of the user's streams.
    """

    def __init__(self, log: Path | None) -> None:
        """Take the standard streams.

        :param log: file for Airflow's messages; None leaves them on the standard streams
        """
        self.log = log
        sys.stdout.flush()
        sys.stderr.flush()
        self.console, self._errors = (_console(os.dup(stream)) for stream in (1, 2))
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)

    def error(self, message: str) -> None:
        """Write an error to the user's standard error."""
        self._errors.print(Text(f"error: {message}", style="bold red"), soft_wrap=True)

    def close(self) -> None:
        """Give the standard streams back, and write out what is buffered."""
        sys.stdout.flush()
        sys.stderr.flush()
        for number, console in enumerate((self.console, self._errors), start=1):
            console.file.flush()
            os.dup2(console.file.fileno(), number)
            with contextlib.suppress(OSError):
                console.file.close()


class _Stream(io.TextIOWrapper):
    """A stream whose reader may leave, as ``head`` does, or a closed terminal: the work goes on all the same."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def _console(descriptor: int) -> Console:
    stream = _Stream(os.fdopen(descriptor, "wb"), encoding="utf-8", errors="replace")
    # Said outright, so that no variable of the environment puts control codes into a file.
    return Console(file=stream, highlight=False, force_terminal=stream.isatty())


def log_file(folder: Path, dag_id: str) -> Path:
    """Return where the messages of a call go.

    :param folder: Airflow's base log folder
    """
    moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S")
    return folder / "dags_backfill" / f"{moment}_{re.sub(r'[^A-Za-z0-9_.-]', '_', dag_id)[:80]}_{os.getpid()}.log"
