"""Reads the header line of a source's file and maps it to the source's columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from taxiway.core.errors import HeaderError, InvalidFileError
from taxiway.core.months import Month
from taxiway.core.sources import Column, Source

MAX_HEADER = 65_536
"""Longest header line that is read, in bytes: past that, the file is no CSV."""


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
                f"{where}: found no line end in the first {len(head)} bytes, expected a CSV header: check what the "
                f"mirror serves"
            )
    if not head.strip():
        raise InvalidFileError(
            f"{where}: the file is empty, expected a CSV header and rows: check what the mirror serves"
        )
    return head, b""


def match_header(source: Source, month: Month, line: bytes) -> tuple[Column, ...]:
    """Map a header line to the source's columns, whatever their order and case.

    :param source: the source
    :param month: the month, for the error's sake
    :param line: the file's first line, with or without its line end
    :return: the source's columns in the order of the file
    :raises InvalidFileError: the line isn't text
    :raises HeaderError: a column is missing, repeated or unknown; names it
    """
    where = f"{source.name} {month}: {source.filename(month)}"
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
        names = [name.strip() for name in next(csv.reader([text], strict=True), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidFileError(
            f"{where}: the first line is not a CSV header: {error}: found {line[:80]!r}, expected "
            f"{_listed([column.header for column in source.columns])}: check what the mirror serves"
        ) from None
    columns = {column.name: column for column in source.columns}
    found = [name.lower() for name in names]
    missing = [column.header for column in source.columns if column.name not in found]
    unknown = [name for name in names if name.lower() not in columns]
    repeated = sorted({name for name in names if found.count(name.lower()) > 1 and name.lower() in columns})
    problems = [
        f"{label} {_listed(listed)}"
        for label, listed in (("missing", missing), ("repeated", repeated), ("unknown", unknown))
        if listed
    ]
    if problems:
        raise HeaderError(
            f"{where}: the header doesn't fit: {'; '.join(problems)}. Found {_listed(names)}; expected each of "
            f"{_listed([column.header for column in source.columns])} once, in any order. If the source has "
            f"changed for good, change include/sources/{source.name}.yaml"
        )
    return tuple(columns[name] for name in found)


def _listed(names: list[str]) -> str:
    return ", ".join(name if name.isprintable() and name else repr(name) for name in names) or "nothing"
