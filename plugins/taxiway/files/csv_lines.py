"""Reads lines of a CSV file, one row each, one by one or in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from taxiway.messages import counted

MAX_LINE = 1024 * 1024
"""Longest line that is read whole, in bytes; what goes on behind it belongs to the same line, and is dropped."""


def numbered_lines(blocks: Iterable[bytes], first: int = 1) -> Iterator[tuple[int, bytes]]:
    """Cut a file into its lines, and number them.

    :param blocks: the file, or its rest, in blocks of any size
    :param first: number of the first line
    :return: number and line, without its end (LF or CRLF); memory stays small, however long a line is
    """
    number, rest = first, b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield number, line[:MAX_LINE].removesuffix(b"\r")
            number += 1
        rest = rest[:MAX_LINE]
    if rest:
        yield number, rest[:MAX_LINE].removesuffix(b"\r")


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a file into blocks that end where a line ends; a line that goes on and on is cut all the same.

    :param blocks: the file, in blocks of any size
    :return: blocks of about the same size, none empty; memory stays small, however long a line is
    """
    rest = b""
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        if cut:
            yield b"".join((rest, memoryview(block)[:cut]))
            rest = block[cut:]
        else:
            rest += block
            if len(rest) > MAX_LINE:
                yield rest
                rest = b""
    if rest:
        yield rest


def has_empty_line(block: bytes) -> bool:
    """Say whether a line of a block is empty: of a file with one column, ``COPY`` takes such a line for a row.

    :param block: whole lines
    """
    return block.startswith((b"\n", b"\r\n")) or b"\n\n" in block or b"\n\r\n" in block


def count_fields(line: bytes) -> int:
    """Count a line's fields, as COPY does: a comma within quotation marks separates nothing.

    :param line: the line; its quotation marks may be unclosed
    """
    # A quotation mark opens or closes a quoted part wherever it stands, and two are one.
    return 1 + sum(part.count(b",") for part in line.split(b'"')[::2])


def without_unnamed(block: bytes, unnamed: int) -> bytes | None:
    """Take the empty fields behind the last column off every line of a block; None if one lacks them.

    :param block: whole lines, each with all its quotation marks closed; the file's last one may lack its end
    :param unnamed: how many fields a row has behind the last column
    """
    if not unnamed:
        return block
    commas = b"," * unnamed
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    shortened = block.replace(commas + b"\r\n", b"\r\n").replace(commas + b"\n", b"\n").removesuffix(commas)
    return shortened if len(block) - len(shortened) == lines * unnamed else None


def row_of(line: bytes, fields: int, unnamed: int = 0) -> tuple[bytes, str | None]:
    """Return a line as a CSV row of the named columns; or the line, with the reason why it can't be read as one.

    :param line: the line, without its end
    :param fields: how many columns a row has
    :param unnamed: how many fields it has behind them, which must be empty
    """
    if len(line) >= MAX_LINE:
        return line, f"longer than {MAX_LINE} bytes"
    if b"\0" in line:
        return line, f"a NUL at byte {line.index(0) + 1}"
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return line, f"not UTF-8: byte 0x{line[error.start]:02x} at byte {error.start + 1}"
    parts = text.split('"')
    if len(parts) % 2 == 0:
        return line, "a quotation mark that isn't closed in its line"
    if any("\r" in part for part in parts[::2]):
        return line, "a carriage return inside the line"
    found = count_fields(line)
    if found != fields + unnamed:
        besides = f" and {unnamed} empty ones behind the last column" if unnamed else ""
        return line, f"{counted(found, 'field')}, expected {fields}{besides}"
    row = line
    for _ in range(unnamed):
        row = row.removesuffix(b'""')
        if not row.endswith(b","):
            return line, "a value behind the last column, in a field that has no name; expected none"
        row = row[:-1]
    return row, None
