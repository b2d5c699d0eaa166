"""Why a backfill can't be started, each with the exit code that a script sees."""

from __future__ import annotations

from taxiway.core.errors import TaxiwayError

EXIT_FAILED = 1
"""Something ran, or should have, and did not succeed."""

EXIT_USAGE = 2
"""What was asked for can't be done; nothing was changed."""


class BackfillError(TaxiwayError):
    """A backfill that can't go on; the message says what to do."""

    exit_code = EXIT_FAILED


class BackfillUsageError(BackfillError):
    """A backfill that can't be asked for like this: nothing was changed."""

    exit_code = EXIT_USAGE


class BackfillStopped(BackfillError):
    """A signal came before anything was started."""
