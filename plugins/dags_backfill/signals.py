"""Ctrl-C and its relatives, noted down until there is a good moment to stop."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

EXIT_INTERRUPTED = 128 + signal.SIGINT


def end_at_once_on_ctrl_c() -> None:
    """End the process with one line on Ctrl-C, until :class:`StopSignals` takes over: nothing has been started yet.

    An exception instead would end in the middle of an import of Airflow's, with its traceback.
    """
    # A signal that is ignored stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"\nairflow dags backfill: stopped\n")
    os._exit(EXIT_INTERRUPTED)


class StopSignals:
    """Collects the signals that ask a command to end, while its block runs."""

    def __init__(self) -> None:
        """Note nothing yet."""
        self._received: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        """Take over the signals."""
        for number in _SIGNALS:
            # nohup means it: a signal that is ignored stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_exception: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)

    def requested(self) -> bool:
        """Say whether the command is to end."""
        return bool(self._received)

    def force(self) -> bool:
        """Say whether it was asked again, and is not to wait for anything."""
        return len(self._received) > 1

    @property
    def exit_code(self) -> int:
        """Exit code of a command that ends for a signal: 130 after Ctrl-C."""
        return 128 + self._received[0]
