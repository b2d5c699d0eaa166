"""Lines of a file that can't be read: kept in ``taxiway.rejected_rows``, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

from taxiway.files.csv_lines import numbered_lines
from taxiway.files.rejects import MOST_KEPT, Reject, RejectedLines
from taxiway.loads.attempts import Attempt
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render


def keep(cursor: psycopg.Cursor[Any], tables: LoadTables, attempt: Attempt, lines: Sequence[Reject]) -> None:
    """Keep the first rejected lines, as far as the lines of the step before leave room for them."""
    row = cursor.execute(
        "SELECT greatest(%s - count(*), 0) FROM taxiway.rejected_rows WHERE load_id = %s", [MOST_KEPT, attempt.load_id]
    ).fetchone()
    room = row[0] if row else 0
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
            for reject in lines[:room]
        ],
    )


def with_raw_lines(blocks: Iterable[bytes], reasons: Mapping[int, str]) -> RejectedLines:
    """Find the raw lines of rejected rows in their file.

    :param blocks: the unpacked file from its beginning
    :param reasons: line number to reason
    """
    found = RejectedLines()
    for number, line in numbered_lines(blocks):
        if number in reasons:
            found.add(number, line, reasons[number])
    return found
