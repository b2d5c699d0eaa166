"""Reads how a source's file is laid out: which columns its header names, and how many fields its rows have."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from taxiway.errors import HeaderError, InvalidFileError
from taxiway.files.csv_lines import count_fields, row_of
from taxiway.files.file_kinds import LOOK, other_kind
from taxiway.files.new_columns import ignored_column, in_yaml, is_ignored, lines_to_add
from taxiway.messages import listed, quoted
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source

log = logging.getLogger(__name__)

MAX_HEADER = 65_536
"""Longest header line that is read, in bytes: past that, the file is no CSV."""

SAMPLE = 65_536
"""How many bytes of the rows are read to count their fields."""

MOST_LINES = 5
"""Most new columns for which an error has the lines to add."""

_SEPARATORS = (";", "\t", "|")


@dataclass(frozen=True)
class RowShape:
    """Which fields the rows of a file have.

    :param columns: the source's columns in the order of the file, and one for each that is left out
    :param unnamed: how many fields a row has behind the last column: they have no name, and must be empty
    :param left_out: names in the header of the columns that are left out
    """

    columns: tuple[Column, ...]
    unnamed: int = 0
    left_out: tuple[str, ...] = ()


def read_row_shape(
    source: Source, month: Month, blocks: Iterator[bytes], declared: Callable[[], Mapping[str, str]] = dict
) -> tuple[bytes, RowShape, Iterator[bytes]]:
    """Take the header line off a file, and find out which fields its rows have.

    Old files end each row with commas that no column belongs to. The first rows say how many. A row
    that has more or fewer of them, or a value there, is rejected as any row with a wrong number of fields is.

    :param source: the source
    :param month: the month, for the error's sake
    :param blocks: the file, in blocks of any size
    :param declared: reads the types that the file itself says its columns have, by their names
    :return: the header line, without its LF; the shape of the rows; the rows, in blocks of any size
    :raises InvalidFileError: as :func:`split_header` and :func:`match_header`
    :raises HeaderError: as :func:`match_header`
    """
    header, first_rows = split_header(source, month, blocks)

    def sample() -> bytes:
        nonlocal first_rows
        while len(first_rows) < SAMPLE and (block := next(blocks, None)):
            first_rows += block
        return first_rows

    columns, names = match_header(source, month, header, sample, declared), _names(header)
    unnamed = _unnamed_fields(sample(), len(columns), len(names) - len(columns))
    left_out = tuple(name for name, column in zip(names, columns, strict=False) if is_ignored(column))
    return header, RowShape(columns, unnamed, left_out), chain([first_rows], blocks)


def _unnamed_fields(rows: bytes, columns: int, in_header: int) -> int:
    """Count the empty fields that most of the first rows have after the last column.

    If more than one row in a hundred has no such field, the longer rows are damaged, unless the header has as many
    empty names.
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


def _letters(name: str) -> str:
    """Return a name's letters and digits, in lower case."""
    return "".join(filter(str.isalnum, name.lower()))


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


def match_header(
    source: Source,
    month: Month,
    line: bytes,
    sample: Callable[[], bytes] = bytes,
    declared: Callable[[], Mapping[str, str]] = dict,
) -> tuple[Column, ...]:
    """Map a header line to the source's columns, whatever their order and case; empty names at its end don't count.

    :param source: the source
    :param month: the month, for the error's sake
    :param line: the file's first line, with or without its line end
    :param sample: reads the first rows, from which types of unknown columns are guessed
    :param declared: reads the types that the file itself says its columns have, by their names
    :return: the source's columns in the order of the file; one that the source leaves out is there, too
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
    unknown = [place for place, column in enumerate(found) if column is None]
    if source.on_new_column == "ignore" and (left_out := [place for place in unknown if names[place]]):
        found = [ignored_column(place) if place in left_out else column for place, column in enumerate(found)]
        unknown = [place for place in unknown if place not in left_out]
        log.warning("%s: left out, as on_new_column says: %s", where, listed([names[place] for place in left_out]))
    missing = [column.header for column in of_month if column not in found and not column.optional]
    repeated = sorted({name for name, column in zip(names, found, strict=True) if column and found.count(column) > 1})
    problems = [
        f"{label} {listed(wrong)}"
        for label, wrong in (
            ("missing", missing),
            ("repeated", repeated),
            ("unknown", [names[place] for place in unknown]),
        )
        if wrong
    ]
    if problems:
        raise HeaderError(
            f"{where}: the header doesn't fit: {'; '.join(problems)}. Found {listed(names)}; expected each of "
            f"{listed(headers)} once, in any order. "
            f"{_advice(source, month, names, unknown, missing, sample, declared)}"
        )
    return tuple(column for column in found if column is not None)


def _advice(
    source: Source,
    month: Month,
    names: Sequence[str],
    unknown: Sequence[int],
    missing: Sequence[str],
    sample: Callable[[], bytes],
    declared: Callable[[], Mapping[str, str]],
) -> str:
    """Say what to do about a header that doesn't fit."""
    separator = next((mark for mark in _SEPARATORS if len(names) == 1 and mark in names[0]), None)
    if separator is not None:
        return f"The names are separated by {separator!r}: have the mirror serve the file with commas"
    file = f"include/sources/{source.name}.yaml"
    advice = f"If the source has changed for good, change {file}: docs/sources.md"
    known = {spelling: column for column in source.columns for spelling in column.spellings}
    of_others = {names[place]: known[names[place].lower()] for place in unknown if names[place].lower() in known}
    for name, column in of_others.items():
        advice += f". {name} is a column {column.months} there"
    # A name that differs in spaces and marks alone is that of a missing column, and no new one, if no other does.
    alike = {name: [place for place in unknown if _letters(name) == _letters(names[place])] for name in missing}
    renamed = {places[0]: name for name, places in alike.items() if len(places) == 1}
    new = [place for place in unknown if place not in renamed]
    rest = [name for name in missing if name not in renamed.values()]
    if len(new) == len(rest) == 1 and names[new[0]] and not of_others:
        renamed[new[0]] = rest[0]
    for place, name in list(renamed.items())[:MOST_LINES]:
        advice += f". If {names[place]} is another name of {name}, give that column headers: "
        advice += f"[{in_yaml(names[place])}]"
    lines = lines_to_add(source, month, names, new, sample(), declared()) if new else []
    if lines:
        what = "the new column" if len(lines) == 1 else "new columns"
        advice += f". To load {what}, add to its columns: {' '.join(lines[:MOST_LINES])} . "
        advice += "To leave out every column that it doesn't know, set 'on_new_column: ignore' there"
    return advice
