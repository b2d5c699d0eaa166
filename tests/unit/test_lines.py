from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from taxiway.files.csv_lines import MAX_LINE, numbered_lines, row_of, whole_lines


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_lines_are_numbered_whatever_the_blocks(size: int) -> None:
    data = b"a,b\r\n1,2\n\n3,4\r\n5,6"
    blocks = [data[start : start + size] for start in range(0, len(data), size)]

    assert list(numbered_lines(blocks)) == [(1, b"a,b"), (2, b"1,2"), (3, b""), (4, b"3,4"), (5, b"5,6")]


def test_a_file_that_ends_with_a_line_end_has_no_line_behind_it() -> None:
    assert list(numbered_lines([b"a\nb\n"])) == [(1, b"a"), (2, b"b")]
    assert list(numbered_lines([])) == []


def test_a_line_without_end_takes_little_memory() -> None:
    def blocks() -> Iterator[bytes]:
        for _ in range(200):
            yield b"x" * MAX_LINE

    tracemalloc.start()
    try:
        ((number, line),) = numbered_lines(blocks())
        assert tracemalloc.get_traced_memory()[1] < 10 * MAX_LINE
    finally:
        tracemalloc.stop()
    assert (number, len(line)) == (1, MAX_LINE)
    assert row_of(line, 1) == (line, f"longer than {MAX_LINE} bytes")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_blocks_are_cut_at_line_ends(size: int, end: bytes) -> None:
    data = b"a,b\r\n1,2\n\n3,4\r\n5,6" + end

    blocks = list(whole_lines(data[start : start + size] for start in range(0, len(data), size)))

    assert b"".join(blocks) == data
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert all(blocks)


def test_a_line_without_end_is_cut_all_the_same() -> None:
    blocks = list(whole_lines([b"x" * MAX_LINE] * 5))

    assert sum(map(len, blocks)) == 5 * MAX_LINE
    assert max(map(len, blocks)) <= 2 * MAX_LINE


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2,3", None),
        (b'1,"2,5",3', None),
        ("1,é,3".encode(), None),
        (b"1,2", "2 fields, expected 3"),
        (b"1,2,3,4", "4 fields, expected 3"),
        (b"1,\0,3", "a NUL at byte 3"),
        (b"1,\xff,3", "not UTF-8: byte 0xff at byte 3"),
        (b"1,\r,3", "a carriage return inside the line"),
        (b'1,"2,3', "a quotation mark that isn't closed in its line"),
        (b'1,2"x,3', "a quotation mark that isn't closed in its line"),
        (b'1,2"x,3"', "2 fields, expected 3"),
        (b'1,"2"x,3', None),
        (b'1,"2""x",3', None),
        (b'1,"\r",3', None),
    ],
)
def test_a_line_is_one_row_or_there_is_a_reason(line: bytes, reason: str | None) -> None:
    assert row_of(line, 3) == (line, reason)
