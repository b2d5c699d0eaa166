"""Lines of a CSV file, one row each, looked at one by one."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

MAX_LINE = 1024 * 1024
"""Longest line that is read whole, in bytes; what goes on behind it belongs to the same line, and is dropped."""


def numbered_lines(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Cut a file into its lines, and number them from 1.

    :param blocks: the file, in blocks of any size
    :return: number and line, without its end (LF or CRLF); memory stays small, however long a line is
    """
    number, rest = 1, b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield number, line[:MAX_LINE].removesuffix(b"\r")
            number += 1
        rest = rest[: MAX_LINE + 1]
    if rest:
        yield number, rest[:MAX_LINE].removesuffix(b"\r")


def reason_against(line: bytes, fields: int) -> str | None:
    """Say why a line can't be read as one CSV row, or None where it can.

    :param line: the line, without its end
    :param fields: how many fields a row has
    """
    if len(line) >= MAX_LINE:
        return f"longer than {MAX_LINE} bytes"
    if b"\0" in line:
        return f"a NUL at byte {line.index(0) + 1}"
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte 0x{line[error.start]:02x} at byte {error.start + 1}"
    if "\r" in text:
        return "a carriage return inside the line"
    try:
        found = len(next(csv.reader([text], strict=True), [])) if '"' in text else text.count(",") + 1
    except csv.Error as error:
        return f"not CSV: {error}"
    if found != fields:
        return f"{found} fields, expected {fields}"
    return None
