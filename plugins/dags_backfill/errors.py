"""Why a backfill can't be started, each with the exit code that a script sees."""

from __future__ import annotations

from taxiway.messages import printable

EXIT_FAILED = 1
"""Something ran, or should have, and did not succeed."""

EXIT_USAGE = 2
"""What was asked for can't be done; nothing was changed."""


class BackfillError(Exception):
    """A backfill that can't go on; the message says what to do."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str) -> None:
        """Take the message in printable characters and bounded length: it may quote what others have written."""
        super().__init__(printable(message))


class BackfillUsageError(BackfillError):
    """A backfill that can't be asked for like this: nothing was changed."""

    exit_code = EXIT_USAGE


class BackfillStopped(BackfillError):
    """A signal came before anything was started."""
