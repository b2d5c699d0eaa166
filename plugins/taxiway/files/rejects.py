"""Lines of a file that can't be read, and how many of them a source allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from taxiway.errors import RejectLimitError
from taxiway.messages import counted, quoted
from taxiway.sources.months import Month
from taxiway.sources.source import Source

MOST_KEPT = 10_000
"""Rejected lines that are kept of one attempt: a file with more is no file of the source."""

MOST_NAMED = 3
"""Rejected lines that an error names."""

LONGEST_KEPT = 10_000
"""Bytes of a rejected line that are kept."""

MOST_BYTES_KEPT = 16 * 1024 * 1024
"""Bytes of the lines that a step rejects that are kept, and that they may take up in memory."""

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
        """The line as text: bytes that aren't UTF-8, and NUL, as backslash escapes."""
        return self.raw_line.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


class RejectedLines:
    """Collects lines that can't be read: counts them all, and keeps the first ones, as far as there is room.

    A file that unpacks to nothing but bad lines must not take up the worker's memory.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.count = 0
        self.kept: list[Reject] = []
        self._bytes = 0

    def add(self, line_number: int, raw_line: bytes, reason: str) -> None:
        """Add one.

        :param line_number: its number in the file; the header is line 1
        :param raw_line: the line, without its end
        :param reason: why
        """
        self.count += 1
        kept = raw_line[:LONGEST_KEPT]
        if len(self.kept) >= MOST_KEPT or self._bytes + len(kept) > MOST_BYTES_KEPT:
            return
        if len(kept) < len(raw_line):
            reason = f"{reason} (the first {len(kept)} of {len(raw_line)} bytes are kept)"
        self._bytes += len(kept)
        self.kept.append(Reject(line_number, kept, reason))


def reason_against_field(header: str, value: str, expected: str) -> str:
    """Say why a field can't be read.

    :param header: its column's name in the file's header
    :param value: what it holds
    :param expected: what it should hold, in words
    """
    return f"{header} is {quoted(value, LONGEST_SHOWN)}, expected {expected}"


def check_limit(
    source: Source,
    month: Month,
    rejected: int,
    rows_read: int,
    *,
    named: Sequence[Reject] = (),
    look: str,
    first_step: str,
) -> str | None:
    """Make sure that no more lines are rejected than the source allows.

    :param rejected: how many lines of the file are
    :param rows_read: rows of the file
    :param named: rejected lines, the first of which the message names
    :param look: the command that shows the lines
    :param first_step: the task that reads the file first
    :return: how many are left out and where they are seen, in words; None if there are none
    :raises RejectLimitError: says how many, the first of them, the limit, where they are seen and what to do
    """
    if not rejected:
        return None
    said = f"{source.name} {month}: {source.filename(month)}: {rejected} of {counted(rows_read, 'row')} can't be read"
    # Divided, not multiplied: 0.29 * 100 is less than 29.
    if rejected / rows_read <= source.max_rejected_share:
        return f"{said}, and are left out. To see and mend the lines: {look}"
    first = "; ".join(f"line {reject.line_number}: {reject.reason}" for reject in named[:MOST_NAMED])
    enough = math.ceil(rejected / rows_read * 10_000) / 10_000
    raise RejectLimitError(
        f"{said}, expected at most {source.max_rejected_share:.2%} (max_rejected_share in "
        f"include/sources/{source.name}.yaml). {f'The first: {first}. ' if first else ''}Nothing was published. "
        f"To see and mend the lines: {look}. If the month is right without them, set 'max_rejected_share: {enough}' in "
        f"that file, and clear the task {first_step} with its downstream tasks. If the mirror has a better file by "
        f"now, clear download_month with its downstream tasks"
    )
