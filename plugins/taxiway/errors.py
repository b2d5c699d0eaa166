"""What can go wrong with a month: each case has its own exception.

Every message names the source and the month, if there is one. It says what was found and what was expected, and gives
the next step.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from taxiway.messages import printable
from taxiway.next_try import with_next_step


class TaxiwayError(Exception):
    """Anything that Taxiway itself reports, in a message of printable characters and of bounded length."""

    def __init__(self, message: str) -> None:
        """Escape and shorten the message.

        :param message: what went wrong; it may quote what a file, a server or a library says
        """
        super().__init__(printable(with_next_step(message)))


class ProgramError(TaxiwayError):
    """A program that Taxiway has started doesn't work; what it said comes line by line."""

    def __init__(self, message: str, said: Sequence[str] = ()) -> None:
        """Assign the parameters.

        :param message: what went wrong, as above
        :param said: lines of its output or log
        """
        super().__init__(message)
        self.said = tuple(printable(line.expandtabs().rstrip()) for line in said)

    @property
    def with_lines(self) -> str:
        """The message, and what the program said below it."""
        return "\n".join([str(self), *self.said])


class InvalidMonthError(TaxiwayError):
    """A text that should be a month, and isn't."""


class SourceConfigError(TaxiwayError):
    """A source's YAML file that can't be used; names the file and the key."""


class MonthNotFoundError(TaxiwayError):
    """The mirror has no such file, or may not show it: 404, 410, or a storage's 403."""

    def __init__(self, message: str, *, found: str = "") -> None:
        """Make one.

        :param message: what went wrong, as above
        :param found: the part of the message that says what the mirror answered; all of it unless given
        """
        super().__init__(message)
        self.found = printable(found or message)


class DownloadError(TaxiwayError):
    """The file could not be fetched; a retry may help."""

    def __init__(self, message: str, *, retry_after: float | None = None, refusal: Enum | None = None) -> None:
        """Assign the parameters.

        :param message: what went wrong, as above
        :param retry_after: seconds that the mirror asks to wait before the next try, if it does
        :param refusal: what the answer means, or that none came: a member of ``taxiway.download.refusals.Refusal``
        """
        super().__init__(message)
        self.retry_after = retry_after
        self.refusal = refusal


class DownloadRefusedError(TaxiwayError):
    """The file can't be asked for, and a second try would end the same: a login, a bad address or redirect."""

    def __init__(self, message: str, *, refusal: Enum | None = None) -> None:
        """Assign the parameters.

        :param message: what went wrong, as above
        :param refusal: what the answer means, as above
        """
        super().__init__(message)
        self.refusal = refusal


class RetryAfterTooLongError(TaxiwayError):
    """The mirror asks to wait longer than a task waits between two tries."""


class InvalidFileError(TaxiwayError):
    """The file arrived, and is not a sound file of its release's format: HTML, cut off, corrupt, or empty."""


class FileTooLargeError(TaxiwayError):
    """The file, or what it unpacks to, is larger than the source allows."""


class HeaderError(TaxiwayError):
    """The file's header lacks, repeats or adds a column."""


class EmptyMonthError(TaxiwayError):
    """A header and no rows, for a source that doesn't allow it."""


class RejectLimitError(TaxiwayError):
    """More rows that can't be read than the source allows."""


class BalanceError(TaxiwayError):
    """Counts that must agree, and don't."""


class CheckFailedError(TaxiwayError):
    """A check of the source failed; nothing was published."""


class DestructiveCorrectionError(TaxiwayError):
    """A file lacks more of the published rows than the source allows to delete; nothing was published."""

    def __init__(self, found: str, advice: str, *, deleted: int, published: int) -> None:
        """Assign the parameters.

        :param found: what the file would delete, and what was expected
        :param advice: what has become of it, and what to do
        :param deleted: published rows that the file lacks
        :param published: rows of the month in the main table
        """
        super().__init__(f"{found}. {advice}")
        self.found = found
        self.deleted = deleted
        self.published = published


class SettingError(TaxiwayError):
    """A setting that can't be used; names the setting and what it holds."""


class MissingInputError(TaxiwayError):
    """A step's input, left by the step before, is no longer there."""


class LostFileError(TaxiwayError):
    """The downloaded file isn't there any more as it was downloaded; fetching it again helps."""

    def __init__(self, found: str) -> None:
        """Make one.

        :param found: what went wrong, without what to do
        """
        super().__init__(f"{found}. Clear the task download_month with its downstream tasks to fetch it again")
        self.found = printable(found)


class MissingFileError(LostFileError, MissingInputError):
    """The downloaded file is gone, or is another file by now."""


class DamagedFileError(LostFileError, InvalidFileError):
    """The downloaded file was sound when it arrived, and isn't any more."""


class ChangedFileError(TaxiwayError):
    """The source no longer serves the file that a load has begun with."""


class MainTableError(TaxiwayError):
    """The main table can't take the month: it is another one, or what users have defined on it keeps the month out."""


class InvalidArgumentError(TaxiwayError):
    """An argument that can't be used; names it, what it holds and what it should hold."""


class SupersededError(TaxiwayError):
    """A run that began later has published the month from another file, or found it published from that."""


class WarehouseError(TaxiwayError):
    """The warehouse refused something, and would refuse it again."""


class TransientWarehouseError(TaxiwayError):
    """The warehouse can't do it now: a lost connection, a lock, no room; a retry may help."""


class ReportError(TaxiwayError):
    """A report that can't be made; says why, and what has to be loaded first."""


class ComparisonError(TaxiwayError):
    """Two warehouses hold different rows of a month."""
