"""Lines of a CSV file, one row each, looked at one by one."""

from __future__ import annotations

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
    # As COPY reads it: a quotation mark opens or closes a quoted part wherever it stands, and two are one.
    parts = text.split('"')
    if len(parts) % 2 == 0:
        return "a quotation mark that isn't closed in its line"
    outside = parts[::2]
    if any("\r" in part for part in outside):
        return "a carriage return inside the line"
    found = 1 + sum(part.count(",") for part in outside)
    if found != fields:
        return f"{found} fields, expected {fields}"
    return None
