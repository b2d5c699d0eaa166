"""Lines of a file that can't be read: kept in ``taxiway.rejected_rows``, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from taxiway.core.errors import RejectLimitError
from taxiway.core.lines import numbered_lines
from taxiway.core.sql import render
from taxiway.core.tables import LoadTables
from taxiway.postgres.ledger import Attempt

MOST_KEPT = 10_000
"""Rejected lines that are kept of one attempt: a file with more is no file of the source."""

MOST_NAMED = 3
"""Rejected lines that an error names."""


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


def keep(cursor: psycopg.Cursor[Any], tables: LoadTables, attempt: Attempt, rejects: Sequence[Reject]) -> None:
    """Keep rejected lines."""
    statement = render("postgres/keep_rejects.sql")
    cursor.executemany(
        statement,
        [
            {
                "load_id": attempt.load_id,
                "source": tables.source.name,
                "month": tables.month.first_day,
                "line_number": reject.line_number,
                "raw_line": reject.printable_line,
                "reason": reject.reason,
            }
            for reject in rejects
        ],
    )


def check_limit(tables: LoadTables, rejects: Sequence[Reject], rows_read: int, rejected_before: int = 0) -> None:
    """Make sure that no more lines are rejected than the source allows.

    :param rejects: the rejected lines of this step
    :param rows_read: rows of the file
    :param rejected_before: how many lines the step before has rejected
    :raises RejectLimitError: names the first of them, and the limit
    """
    source = tables.source
    rejected = len(rejects) + rejected_before
    if rejected <= source.max_rejected_share * rows_read:
        return
    named = "; ".join(f"line {reject.line_number}: {reject.reason}" for reject in rejects[:MOST_NAMED])
    count = f"{rejected} or more" if rejected > MOST_KEPT else str(rejected)
    raise RejectLimitError(
        f"{source.name} {tables.month}: {source.filename(tables.month)}: {count} of {rows_read} rows can't be read, "
        f"expected at most {source.max_rejected_share:.2%} (max_rejected_share in include/sources/{source.name}.yaml). "
        f"The first: {named}. Nothing was published; the lines are in taxiway.rejected_rows"
    )


def with_raw_lines(blocks: Iterable[bytes], reasons: dict[int, str]) -> list[Reject]:
    """Find the raw lines of rejected rows in their file.

    :param blocks: the unpacked file from its beginning
    :param reasons: line number to reason
    """
    wanted: Collection[int] = reasons
    return [Reject(number, line, reasons[number]) for number, line in numbered_lines(blocks) if number in wanted]
