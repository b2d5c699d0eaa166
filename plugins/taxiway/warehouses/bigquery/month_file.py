"""Checks a downloaded file before it goes to the cloud: BigQuery reads what Postgres refuses.

BigQuery puts U+FFFD in place of bytes that aren't UTF-8, also ends a line at a lone carriage return,
and keeps no line numbers. So every line is checked here, which costs little compared with unpacking.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

from taxiway.download.download import Download
from taxiway.download.month_file import month_rows
from taxiway.files.csv_fields import fields_of, line_of
from taxiway.files.csv_lines import MAX_LINE, numbered_lines, row_of, whole_lines
from taxiway.files.formats import format_of
from taxiway.files.rejects import Reject, RejectedLines
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source

_CANONICAL = b"0123456789.,-: \r\nNY"
# The characters of numbers, timestamps and Y/N flags: no quotation marks, nothing but ASCII. Within
# this alphabet a line is one row if it has the right number of commas.

_LINE_END_INSIDE = re.compile(rb"\r(?!\n)")


@dataclass(frozen=True)
class MonthFile:
    """What a downloaded file holds.

    :param columns: the source's columns in the order of the file
    :param left_out: names of the file's columns that are left out
    :param rows_read: rows, without the header
    :param rows_rejected: how many lines aren't rows
    :param rejects: the first of the rejected lines
    :param sound: whether the file can be loaded as it is
    """

    columns: tuple[Column, ...]
    left_out: tuple[str, ...]
    rows_read: int
    rows_rejected: int
    rejects: tuple[Reject, ...]
    sound: bool


def examine(file: Download, source: Source, month: Month, clean_copy: Path) -> MonthFile:
    """Check every line of a file; if BigQuery can't read it as it is, write a copy that it can.

    :param file: the downloaded file
    :param source: the source
    :param month: the month
    :param clean_copy: where a copy is written, if one is needed
    :raises MissingFileError: the file is gone, or isn't the downloaded one
    :raises InvalidFileError: not of its format, cut off, or no CSV
    :raises FileTooLargeError: it unpacks to more than the source allows
    :raises HeaderError: a column is missing, repeated or unknown
    """
    is_csv = format_of(source, month).is_csv
    quickly = _examine_quickly(file, source, month) if is_csv else None
    return quickly or _examine_lines(file, source, month, clean_copy, always=not is_csv)


def _examine_quickly(file: Download, source: Source, month: Month) -> MonthFile | None:
    """Check the file in large blocks; None if the lines of one need a closer look."""
    _, shape, blocks = month_rows(source, month, file)
    commas = len(shape.columns) - 1
    rows, sound = 0, not shape.unnamed  # BigQuery has no column for the fields behind the last one
    for block in whole_lines(blocks):
        if not sound:
            continue  # the rest is read all the same: the file's checksum is taken on the way
        lines = block.replace(b"\r\n", b"\n").split(b"\n")
        if not lines[-1]:
            lines.pop()
        rows += len(lines)
        canonical = not block.translate(None, _CANONICAL) and not _LINE_END_INSIDE.search(block)
        sound = canonical and all(line.count(b",") == commas and 0 < len(line) < MAX_LINE for line in lines)
    return MonthFile(shape.columns, shape.left_out, rows, 0, (), sound=True) if sound else None


def _examine_lines(file: Download, source: Source, month: Month, clean_copy: Path, *, always: bool) -> MonthFile:
    """Check the lines one by one, and write the rows to a copy.

    :param always: whether the copy is kept if its lines are those of the file, too
    """
    rejects = RejectedLines()
    rows_read, changed = 0, always
    with gzip.GzipFile(clean_copy, "wb", compresslevel=1, mtime=0) as copy:
        _, shape, blocks = month_rows(source, month, file)
        copy.write(",".join(column.header for column in shape.columns).encode() + b"\n")
        for number, line in numbered_lines(blocks, first=2):
            if not line:
                changed = True  # an empty line isn't a row: editors leave such lines behind
                continue
            rows_read += 1
            row, reason = row_of(line, len(shape.columns), shape.unnamed)
            if reason is None:
                canonical = _canonical(row)
                changed = changed or canonical != line
                copy.write(canonical + b"\n")
            else:
                rejects.add(number, line, reason)
    sound = not rejects.count and not changed
    if sound:
        clean_copy.unlink()
    return MonthFile(shape.columns, shape.left_out, rows_read, rejects.count, tuple(rejects.kept), sound)


def _canonical(line: bytes) -> bytes:
    """Write a line so that BigQuery reads it as Postgres does: quotation marks around whole fields only."""
    return line_of(fields_of(line.decode())).encode() if b'"' in line else line
