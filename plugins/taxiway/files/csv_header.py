"""Reads how a source's file is laid out: which columns its header names, and how many fields its rows have."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from taxiway.errors import HeaderError, InvalidFileError
from taxiway.files.csv_lines import count_fields, row_of
from taxiway.files.file_kinds import LOOK, other_kind
from taxiway.messages import listed, quoted
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source

MAX_HEADER = 65_536
"""Longest header line that is read, in bytes: past that, the file is no CSV."""

SAMPLE = 65_536
"""How much of the rows is looked at to count their fields, in bytes."""

_SEPARATORS = (";", "\t", "|")


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    :param columns: the source's columns in the order of the file
    :param unnamed: how many fields a row has behind the last column: they have no name, and must be empty
    """

    columns: tuple[Column, ...]
    unnamed: int = 0


def read_layout(source: Source, month: Month, blocks: Iterator[bytes]) -> tuple[bytes, Layout, Iterator[bytes]]:
    """Take the header line off a file, and find out how the file is laid out.

    Old files end each row with commas that no column belongs to. The first rows say how many. A row
    that has more or fewer of them, or a value there, is rejected as any row with a wrong number of fields is.

    :param source: the source
    :param month: the month, for the error's sake
    :param blocks: the file, in blocks of any size
    :return: the header line, without its LF; the layout; the rows, in blocks of any size
    :raises InvalidFileError: as :func:`split_header` and :func:`match_header`
    :raises HeaderError: as :func:`match_header`
    """
    header, first_rows = split_header(source, month, blocks)
    columns = match_header(source, month, header)
    while len(first_rows) < SAMPLE and (block := next(blocks, None)):
        first_rows += block
    unnamed = _unnamed_fields(first_rows, len(columns), len(_names(header)) - len(columns))
    return header, Layout(columns, unnamed), chain([first_rows], blocks)


def _unnamed_fields(rows: bytes, columns: int, in_header: int) -> int:
    """Count the empty fields that most of the first rows have behind those of the columns.

    If more than one row in a hundred has none of them, the longer ones are damaged: unless the header has as many
    names that are empty.
    """
    lines = rows[:SAMPLE].split(b"\n")
    if len(rows) >= SAMPLE:
        lines.pop()  # nothing, or the beginning of a row
    found = Counter[int]()
    for line in lines:
        row = line.removesuffix(b"\r")
        unnamed = max(0, count_fields(row) - columns)
        found[unnamed] += bool(row) and row_of(row, columns, unnamed)[1] is None
    most = min(found, key=lambda unnamed: (-found[unnamed], unnamed), default=0)
    return most if most == in_header or found[0] * 100 <= found[most] else 0


def _names(line: bytes) -> list[str]:
    """Read the names of a header line.

    :raises UnicodeDecodeError: it is not UTF-8
    :raises csv.Error: it is not CSV
    """
    text = line.decode("utf-8-sig")
    if "\0" in text:
        raise csv.Error("it holds a NUL")
    return [name.strip() for name in next(csv.reader([text], strict=True))]


def split_header(source: Source, month: Month, blocks: Iterator[bytes]) -> tuple[bytes, bytes]:
    """Take the header line off a file.

    :param source: the source
    :param month: the month, for the error's sake
    :param blocks: the file, in blocks of any size; read as far as its first line goes
    :return: the line, without its LF, and what follows it in the last block that was read
    :raises InvalidFileError: the file is empty, or its first line has no end
    """
    where = f"{source.name} {month}: {source.filename(month)}"
    head = b""
    for block in blocks:
        head += block
        header, end, rows = head.partition(b"\n")
        if end:
            return header, rows
        if len(head) > MAX_HEADER:
            raise InvalidFileError(
                f"{where}: found {kind.described if (kind := other_kind(head)) else 'no line end'} in the first "
                f"{len(head)} bytes, expected a CSV header. {kind.advice if kind else LOOK}"
            )
    if not head.strip():
        raise InvalidFileError(f"{where}: the file is empty, expected a CSV header and rows. {LOOK}")
    return head, b""


def match_header(source: Source, month: Month, line: bytes) -> tuple[Column, ...]:
    """Map a header line to the source's columns, whatever their order and case; empty names at its end don't count.

    :param source: the source
    :param month: the month, for the error's sake
    :param line: the file's first line, with or without its line end
    :return: the source's columns in the order of the file
    :raises InvalidFileError: the line isn't text
    :raises HeaderError: a column is missing, repeated or unknown; names it
    """
    where = f"{source.name} {month}: {source.filename(month)}"
    headers = [column.header for column in source.layout_of(month).columns]
    kind = other_kind(line)
    if kind is not None:
        raise InvalidFileError(f"{where}: found {kind.described}, expected a CSV header. {kind.advice}")
    try:
        names = _names(line)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidFileError(
            f"{where}: the first line is not a CSV header: {error}: found {quoted(line)}, expected "
            f"{listed(headers)}. {LOOK}"
        ) from None
    while names and not names[-1]:
        names.pop()
    of_month = source.layout_of(month).columns
    columns = {spelling: column for column in of_month for spelling in column.spellings}
    found = [columns.get(name.lower()) for name in names]
    missing = [column.header for column in of_month if column not in found and not column.optional]
    unknown = [name for name, column in zip(names, found, strict=True) if column is None]
    repeated = sorted({name for name, column in zip(names, found, strict=True) if column and found.count(column) > 1})
    problems = [
        f"{label} {listed(wrong)}"
        for label, wrong in (("missing", missing), ("repeated", repeated), ("unknown", unknown))
        if wrong
    ]
    if problems:
        separator = next((mark for mark in _SEPARATORS if len(names) == 1 and mark in names[0]), None)
        advice = (
            f"If the source has changed for good, change include/sources/{source.name}.yaml and the main table: "
            f"docs/sources.md"
            if separator is None
            else f"The names are separated by {separator!r}: have the mirror serve the file with commas"
        )
        raise HeaderError(
            f"{where}: the header doesn't fit: {'; '.join(problems)}. Found {listed(names)}; expected each of "
            f"{listed(headers)} once, in any order. {advice}"
        )
    return tuple(column for column in found if column is not None)
