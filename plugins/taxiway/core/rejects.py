"""Lines of a file that can't be read, and how many of them a source allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taxiway.core.errors import RejectLimitError
from taxiway.core.months import Month
from taxiway.core.sources import Source

MOST_KEPT = 10_000
"""Rejected lines that are kept of one attempt: a file with more is no file of the source."""

MOST_NAMED = 3
"""Rejected lines that an error names."""

LONGEST_SHOWN = 100
"""Characters of a field that a reason quotes; the line itself is kept."""

EXPECTED = {
    "integer": "a whole number between -2147483648 and 2147483647",
    "numeric": "a decimal number",
    "timestamp": "a time as YYYY-MM-DD HH:MM:SS",
    "text": "neither \\N nor the character U+001F, which mean something in a row's id",
}
"""What a field of a type should be, in words that follow "expected"."""


@dataclass(frozen=True)
class Reject:
    """A line that can't be read.

    :param line_number: its number in the file; the header is line 1
    :param raw_line: the line, without its end
    :param reason: why
    """

    line_number: int
    raw_line: bytes
    reason: str

    @property
    def printable_line(self) -> str:
        """The line as text: bytes that are no UTF-8, and NUL, as backslash escapes."""
        return self.raw_line.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def reason_against_field(header: str, value: str, expected: str) -> str:
    """Say why a field can't be read.

    :param header: its column's name in the file's header
    :param value: what it holds
    :param expected: what it should hold, in words
    """
    shown = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…"
    return f"{header} is {shown!r}, expected {expected}"


def check_limit(
    source: Source, month: Month, rejects: Sequence[Reject], rows_read: int, rejected_before: int, *, kept_in: str
) -> None:
    """Make sure that no more lines are rejected than the source allows.

    :param rejects: the rejected lines of a step
    :param rows_read: rows of the file
    :param rejected_before: how many lines the step before has rejected
    :param kept_in: the table that the lines are kept in
    :raises RejectLimitError: names the first of them, and the limit
    """
    rejected = len(rejects) + rejected_before
    if rejected <= source.max_rejected_share * rows_read:
        return
    named = "; ".join(f"line {reject.line_number}: {reject.reason}" for reject in rejects[:MOST_NAMED])
    count = f"{rejected} or more" if rejected > MOST_KEPT else str(rejected)
    raise RejectLimitError(
        f"{source.name} {month}: {source.filename(month)}: {count} of {rows_read} rows can't be read, expected at most "
        f"{source.max_rejected_share:.2%} (max_rejected_share in include/sources/{source.name}.yaml). The first: "
        f"{named}. Nothing was published; the lines are in {kept_in}"
    )
