from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from taxiway.files.csv_lines import (
    MAX_LINE,
    count_fields,
    has_empty_line,
    numbered_lines,
    row_of,
    whole_lines,
    without_unnamed,
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_lines_are_numbered_whatever_the_blocks(size: int) -> None:
    data = b"a,b\r\n1,2\n\n3,4\r\n5,6"
    blocks = [data[start : start + size] for start in range(0, len(data), size)]

    assert list(numbered_lines(blocks)) == [(1, b"a,b"), (2, b"1,2"), (3, b""), (4, b"3,4"), (5, b"5,6")]


def test_a_file_that_ends_with_a_line_end_has_no_line_behind_it() -> None:
    assert list(numbered_lines([b"a\nb\n"])) == [(1, b"a"), (2, b"b")]
    assert list(numbered_lines([])) == []


def test_the_last_line_loses_its_carriage_return_too() -> None:
    assert list(numbered_lines([b"\ra\r\n\rb\r"], first=7)) == [(7, b"\ra"), (8, b"\rb")]


def test_a_line_is_read_as_far_as_the_longest_one() -> None:
    whole = b"x" * MAX_LINE

    for blocks in ([whole + b"y\n1\n"], [whole, b"y", b"y\n1\n"], [whole + b"y\n", b"1"]):
        assert list(numbered_lines(blocks)) == [(1, whole), (2, b"1")]
    assert list(numbered_lines([whole + b"y"])) == [(1, whole)]


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


def test_blocks_are_as_large_as_they_come() -> None:
    assert list(whole_lines([b"a\nb\nc", b"d\ne", b"f"])) == [b"a\nb\n", b"cd\n", b"ef"]
    assert list(whole_lines([b"x" * MAX_LINE, b"\n1"])) == [b"x" * MAX_LINE + b"\n", b"1"]


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
        (b"1,\0,\0", "a NUL at byte 3"),
        (b"1,\xff,3", "not UTF-8: byte 0xff at byte 3"),
        (b"1,\r,3", "a carriage return inside the line"),
        (b'1,"2,3', "a quotation mark that isn't closed in its line"),
        (b'1,2"x,3', "a quotation mark that isn't closed in its line"),
        (b'1,2"x,3"', "2 fields, expected 3"),
        (b'1,"2"x,3', None),
        (b'1,"2""x",3', None),
        (b'1,"\r",3', None),
        (b'"1",\r,3', "a carriage return inside the line"),
        (b"1,,".ljust(MAX_LINE - 1, b"x"), None),
        (b"1,,".ljust(MAX_LINE, b"x"), f"longer than {MAX_LINE} bytes"),
    ],
    ids=range(17),
)
def test_a_line_is_one_row_or_there_is_a_reason(line: bytes, reason: str | None) -> None:
    assert row_of(line, 3) == (line, reason)


BEHIND = "a value behind the last column, in a field that has no name; expected none"


@pytest.mark.parametrize(
    ("line", "row", "reason"),
    [
        (b'1,"a,",,', b'1,"a,"', None),
        (b'1,2,"",""', b"1,2", None),
        (b'"",2,,', b'"",2', None),
        (b"1,,,", b"1,", None),
        (b'1,2,,"x"', None, BEHIND),
        (b"1,2,x,", None, BEHIND),
        (b'1,2,,""""', None, BEHIND),
        (b"1,2", None, "2 fields, expected 2 and 2 empty ones behind the last column"),
        (b"1,2,,,", None, "5 fields, expected 2 and 2 empty ones behind the last column"),
    ],
)
def test_a_line_loses_the_empty_fields_behind_the_last_column(
    line: bytes, row: bytes | None, reason: str | None
) -> None:
    assert row_of(line, 2, 2) == (line if row is None else row, reason)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"1,2,,\n3,4,,\r\n5,6,,", b"1,2\n3,4\r\n5,6"),
        (b"1,,,,\n", b"1,,\n"),
        (b"1,2,,\n3,4,\n", None),
        (b"1,2,,\n3,4", None),
        (b"1,2,,\n\n", None),
        (b",,", b""),
    ],
)
def test_a_block_loses_what_is_behind_the_last_column(block: bytes, expected: bytes | None) -> None:
    assert without_unnamed(block, 2) == expected
    assert without_unnamed(block, 0) == block


@pytest.mark.parametrize(
    ("block", "empty"),
    [
        (b"\n1\n", True),
        (b"\r\n1\n", True),
        (b"1\n\n2\n", True),
        (b"1\r\n\r\n2\n", True),
        (b"1\n2\r\n3", False),
        (b" \n", False),
    ],
)
def test_an_empty_line_is_seen_wherever_it_is(block: bytes, empty: bool) -> None:
    assert has_empty_line(block) is empty


@pytest.mark.parametrize(
    ("line", "fields"), [(b"", 1), (b"1,,3", 3), (b'"1,2",3', 2), (b'"1,""2,",3', 2), (b'1,"2,3', 2)]
)
def test_fields_are_counted_outside_quotation_marks(line: bytes, fields: int) -> None:
    assert count_fields(line) == fields
