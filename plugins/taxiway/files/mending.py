"""Writes a file whose rejected lines come first, so that a person finds and mends them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from taxiway.files.csv_lines import numbered_lines


def rejects_first(blocks: Callable[[], Iterator[bytes]], rejected: Collection[int]) -> Iterator[bytes]:
    """Yield the lines of a file in another order: the header, the rejected lines, the others.

    The order of a file's rows has no meaning: rows that are equal get their numbers in any order.

    :param blocks: reads the unpacked file from its beginning; called twice
    :param rejected: numbers of the rejected lines; the header is line 1
    :return: lines with their ends (LF), in their order; empty ones are left out
    """
    wanted = {1, *rejected}
    for number, line in numbered_lines(blocks()):
        if number in wanted:
            yield line + b"\n"
            wanted.remove(number)
            if not wanted:
                break
    for number, line in numbered_lines(blocks()):
        if line and number != 1 and number not in rejected:
            yield line + b"\n"
