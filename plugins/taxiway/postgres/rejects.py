"""Lines of a file that can't be read: kept in ``taxiway.rejected_rows``, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import psycopg

from taxiway.core import rejects as core_rejects
from taxiway.core.lines import numbered_lines
from taxiway.core.rejects import MOST_KEPT, Reject
from taxiway.core.sql import render
from taxiway.core.tables import LoadTables
from taxiway.postgres.ledger import Attempt

__all__ = ["MOST_KEPT", "Reject", "check_limit", "keep", "with_raw_lines"]


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
    core_rejects.check_limit(
        tables.source, tables.month, rejects, rows_read, rejected_before, kept_in="taxiway.rejected_rows"
    )


def with_raw_lines(blocks: Iterable[bytes], reasons: dict[int, str]) -> list[Reject]:
    """Find the raw lines of rejected rows in their file.

    :param blocks: the unpacked file from its beginning
    :param reasons: line number to reason
    """
    wanted: Collection[int] = reasons
    return [Reject(number, line, reasons[number]) for number, line in numbered_lines(blocks) if number in wanted]
