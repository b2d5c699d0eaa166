"""Lines of a file that can't be read: kept in ``rejected_rows`` of the dataset, with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from taxiway.errors import BalanceError
from taxiway.files import rejects as core_rejects
from taxiway.files.csv_fields import fields_of
from taxiway.files.csv_lines import numbered_lines, row_of
from taxiway.files.rejects import MOST_KEPT, Reject, RejectedLines, reason_against_field
from taxiway.sources.source import Column
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables

MOST_AT_ONCE = 500
"""Rejected lines that one statement keeps."""

MOST_BYTES_AT_ONCE = 4_000_000
"""Bytes of rejected lines, as JSON, that one statement keeps: a request holds 10 MB at most."""

EXPECTED = {
    **core_rejects.EXPECTED,
    "numeric": "a decimal number that NUMERIC holds exactly (29 digits before the point, 9 behind it)",
}
"""What a field of a type should be, in words that follow "expected"."""


def keep(jobs: Jobs, tables: CloudTables, load_id: str, rejects: Sequence[Reject]) -> None:
    """Keep rejected lines, as far as the attempt has room for them.

    :param load_id: the attempt that rejects them
    """
    for chunk in _chunks(rejects):
        jobs.run(
            statement(
                "keep_rejects",
                {
                    "load_id": load_id,
                    "source": tables.source.name,
                    "month": tables.month.first_day,
                    "line_numbers": [reject.line_number for reject in chunk],
                    "raw_lines": [reject.printable_line for reject in chunk],
                    "reasons": [reject.reason for reject in chunk],
                    "most": MOST_KEPT,
                },
                dataset=tables.dataset,
            )
        )


def _chunks(rejects: Sequence[Reject]) -> Iterator[list[Reject]]:
    """Cut rejected lines into what one request each can carry."""
    chunk: list[Reject] = []
    size = 0
    for reject in rejects:
        # Beside the texts: the number, and the JSON around the three.
        own = len(json.dumps([reject.printable_line, reject.reason])) + 100
        if chunk and (len(chunk) == MOST_AT_ONCE or size + own > MOST_BYTES_AT_ONCE):
            yield chunk
            chunk, size = [], 0
        chunk.append(reject)
        size += own
    if chunk:
        yield chunk


def find_unreadable(jobs: Jobs, tables: CloudTables) -> dict[tuple[str, ...], str]:
    """Find staged rows with a field that doesn't fit its column.

    :return: the reason, by the row's fields in the source's order; an empty text for NULL
    """
    found = jobs.run(
        statement(
            "find_unreadable_rows",
            {"most": MOST_KEPT + 1},
            staging_table=tables.staging_table,
            columns=tables.layout.columns,
        )
    )
    columns = {column.name: column for column in tables.layout.columns}
    reasons = {}
    for row in found:
        column = columns[row["unreadable_column"]]
        fields = tuple(row[name] or "" for name in columns)
        reasons[fields] = reason_against_field(column.header, row[column.name], EXPECTED[column.type])
    return reasons


def with_line_numbers(
    blocks: Iterable[bytes],
    file_columns: Sequence[Column],
    columns: Sequence[Column],
    reasons: Mapping[tuple[str, ...], str],
    unnamed: int = 0,
) -> RejectedLines:
    """Find the lines of unreadable rows again: BigQuery keeps no line numbers, but the file is at hand.

    Rows with the same fields are unreadable alike, so each of their lines is one.

    :param blocks: the unpacked file from its beginning
    :param file_columns: the columns in the order of the file
    :param columns: the columns in the source's order
    :param reasons: what :func:`find_unreadable` returned
    :param unnamed: how many fields a row has behind the last column
    """
    position = {column.name: number for number, column in enumerate(file_columns)}
    order = [position[column.name] for column in columns]
    rejects = RejectedLines()
    for number, line in numbered_lines(blocks):
        row, no_row = row_of(line, len(file_columns), unnamed)
        if number == 1 or no_row is not None:
            continue  # what isn't a row was rejected before
        fields = fields_of(row.decode())
        reason = reasons.get(tuple(fields[place] for place in order))
        if reason is not None:
            rejects.add(number, line, reason)
    return rejects


def require_all_found(tables: CloudTables, found: int, missing: int, kinds: int) -> None:
    """Make sure that the lines that were found are those that BigQuery couldn't read.

    :param found: lines
    :param missing: staged rows that have no id
    :param kinds: how many different rows were looked for; if there are more than can be, nothing is known
    :raises BalanceError: there are more or fewer
    """
    if found != missing and kinds <= MOST_KEPT:
        raise BalanceError(
            f"{tables.where}: {tables.filename}: {missing} staged rows can't be read, but {found} lines of the "
            f"file are such ones; expected as many. Nothing was published: clear the task stage_month with its "
            f"downstream tasks to stage the file again"
        )
