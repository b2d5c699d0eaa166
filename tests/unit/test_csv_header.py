"""How a file is laid out: its header's names, and the fields that its rows have behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from taxiway.errors import HeaderError, InvalidFileError
from taxiway.files.csv_header import MAX_HEADER, SAMPLE, RowShape, match_header, read_row_shape, split_header
from taxiway.files.file_kinds import LOOK
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source
from tests.releases import from_path

MONTH = Month(2019, 1)
WHERE = "lime 2019-01: lime_2019-01.csv: "
HEADER = b"VendorID,Fare,Flag\n"
CHANGE = "If the source has changed for good, change include/sources/lime.yaml: docs/sources.md"


@pytest.fixture
def lime(green: Source) -> Source:
    columns = tuple(Column(name, name.lower(), "text", "x") for name in ("VendorID", "Fare", "Flag"))
    return replace(from_path(green, "lime/lime_{month}.csv.gz"), name="lime", columns=columns)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize(
    ("line", "order"),
    [
        (b"VendorID,Fare,Flag", "VendorID Fare Flag"),
        (b"flag,VENDORID,fare\r\n", "Flag VendorID Fare"),
        (b'\xef\xbb\xbf"VendorID", Fare ,Flag\n', "VendorID Fare Flag"),
        (b'VendorID,Fare,Flag,, ,""', "VendorID Fare Flag"),
    ],
)
def test_names_are_found_in_any_order_and_form(line: bytes, order: str, lime: Source) -> None:
    assert [column.header for column in match_header(lime, MONTH, line)] == order.split()


@pytest.mark.parametrize(
    ("line", "problems", "found", "advice"),
    [
        (b"VendorID,Fare", "missing Flag", "VendorID, Fare", CHANGE),
        (b"", "missing VendorID, Fare, Flag", "nothing", CHANGE),
        (b"VendorID,fare,Flag,Fare", "repeated Fare, fare", "VendorID, fare, Flag, Fare", CHANGE),
        (b"VendorID,Fare,Flag,Tip,Tip", "unknown Tip, Tip", "VendorID, Fare, Flag, Tip, Tip", CHANGE),
        (b"VendorID,,Fare,Flag", "unknown ''", "VendorID, '', Fare, Flag", CHANGE),
        (b"Fare,Fare,Tip", "missing VendorID, Flag; repeated Fare; unknown Tip", "Fare, Fare, Tip", CHANGE),
        (
            b"VendorID;Fare;Flag",
            "missing VendorID, Fare, Flag; unknown VendorID;Fare;Flag",
            "VendorID;Fare;Flag",
            "The names are separated by ';': have the mirror serve the file with commas",
        ),
        (
            b"VendorID\tFare\tFlag",
            "missing VendorID, Fare, Flag; unknown 'VendorID\\tFare\\tFlag'",
            "'VendorID\\tFare\\tFlag'",
            "The names are separated by '\\t': have the mirror serve the file with commas",
        ),
        (
            b"VendorID|Fare|Flag",
            "missing VendorID, Fare, Flag; unknown VendorID|Fare|Flag",
            "VendorID|Fare|Flag",
            "The names are separated by '|': have the mirror serve the file with commas",
        ),
        (b"VendorID;Fare,Flag", "missing VendorID, Fare; unknown VendorID;Fare", "VendorID;Fare, Flag", CHANGE),
    ],
)
def test_a_header_that_does_not_fit_is_refused_with_what_is_wrong(
    line: bytes, problems: str, found: str, advice: str, lime: Source
) -> None:
    with pytest.raises(HeaderError) as caught:
        match_header(lime, MONTH, line)

    said = (
        f"{WHERE}the header doesn't fit: {problems}. Found {found}; expected each of VendorID, Fare, Flag once, in any "
        f"order. {advice}"
    )
    # What is said of unknown columns: test_new_columns.
    further = "unknown" in problems and advice == CHANGE
    assert str(caught.value)[: len(said) if further else None] == said


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"VendorID,\xff", "'utf-8' codec can't decode byte 0xff in position 9: invalid start byte"),
        (b"VendorID,\0", "it holds a NUL"),
        (b'"VendorID', "unexpected end of data"),
    ],
)
def test_a_line_that_is_not_csv_is_quoted(line: bytes, reason: str, lime: Source) -> None:
    with pytest.raises(InvalidFileError) as caught:
        match_header(lime, MONTH, line)

    assert str(caught.value) == (
        f"{WHERE}the first line is not a CSV header: {reason}: found {line!r}, expected VendorID, Fare, Flag. {LOOK}"
    )


@pytest.mark.parametrize(
    ("data", "error"), [(b"", InvalidFileError), (b"%PDF-1.7", InvalidFileError), (b"a", HeaderError)]
)
def test_a_layout_that_is_not_found_names_the_file(data: bytes, error: type[Exception], lime: Source) -> None:
    with pytest.raises(error, match=f"^{WHERE}"):
        read_row_shape(lime, MONTH, iter([data]))


def test_a_file_of_another_kind_is_called_what_it_is(lime: Source) -> None:
    with pytest.raises(InvalidFileError) as caught:
        match_header(lime, MONTH, b"PK\x05\x06")

    assert str(caught.value) == f"{WHERE}found an empty ZIP archive, expected a CSV header. {LOOK}"


@pytest.mark.parametrize("size", [1, 5, 100])
@pytest.mark.parametrize(
    ("data", "header"), [(b"a,b\r\n1,2\n3,4", b"a,b\r"), (b"a,b\n", b"a,b"), (b"a,b", b"a,b"), (b"\n1", b"")]
)
def test_the_first_line_is_taken_off(data: bytes, header: bytes, size: int, lime: Source) -> None:
    blocks = cut(data, size)

    line, rows = split_header(lime, MONTH, blocks)

    assert line == header
    assert b"".join([rows, *blocks]) == data[len(header) + 1 :]


@pytest.mark.parametrize("blocks", [[], [b""], [b" \r", b"  "]], ids=range(3))
def test_an_empty_file_has_no_header(blocks: list[bytes], lime: Source) -> None:
    with pytest.raises(InvalidFileError) as caught:
        split_header(lime, MONTH, iter(blocks))

    assert str(caught.value) == f"{WHERE}the file is empty, expected a CSV header and rows. {LOOK}"


@pytest.mark.parametrize(("begin", "found"), [(b"x", "no line end"), (b"PK\x05\x06", "an empty ZIP archive")])
def test_a_header_is_not_read_for_ever(begin: bytes, found: str, lime: Source) -> None:
    longest = begin.ljust(MAX_HEADER, b"x")
    assert split_header(lime, MONTH, iter([longest, b"\nrow"])) == (longest, b"row")

    with pytest.raises(InvalidFileError) as caught:
        split_header(lime, MONTH, iter([longest, b"x", b"\nrow"]))

    assert str(caught.value) == (
        f"{WHERE}found {found} in the first {MAX_HEADER + 1} bytes, expected a CSV header. {LOOK}"
    )


def test_a_page_in_the_place_of_a_header_is_looked_at_in_a_browser(lime: Source) -> None:
    with pytest.raises(InvalidFileError, match=r"found an HTML page .* Look at it in a browser"):
        split_header(lime, MONTH, iter([b"<html>".ljust(MAX_HEADER + 1)]))


def test_a_file_has_no_fields_without_a_name_unless_it_says_so(lime: Source) -> None:
    assert RowShape(lime.columns) == RowShape(lime.columns, 0)


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_the_layout_is_the_same_whatever_the_blocks(size: int, lime: Source) -> None:
    data = HEADER + b"1,2 3,4,,\r\n" * 1000

    header, shape, rest = read_row_shape(lime, MONTH, cut(data, size))

    assert shape == RowShape(lime.columns, 2)
    assert header + b"\n" + b"".join(rest) == data


def unnamed(source: Source, rows: bytes, header: bytes = HEADER) -> int:
    return read_row_shape(source, MONTH, iter([header, rows]))[1].unnamed


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (b"", 0),
        (b"\n\n1,2,3,\n", 1),
        (b"1,2,3\n", 0),
        (b"1,2\n1\n", 0),
        (b"1,2,3,\n1,2,3,,\n1,2,3,,\n", 2),
        (b"1,2,3,,\n1,2,3,\n", 1),
        (b"1,2,3,,\r\n", 2),
        (b"1,2,3,x\n1,2,3,x\n1,2,3,,\n", 2),
        (b"1,2,3,x\n", 0),
        (b"1,2,3\n" + b"1,2,3,\n" * 99, 0),
        (b"1,2,3\n" + b"1,2,3,\n" * 100, 1),
    ],
    ids=range(11),
)
def test_most_rows_say_how_many_fields_have_no_name(rows: bytes, expected: int, lime: Source) -> None:
    assert unnamed(lime, rows) == expected


@pytest.mark.parametrize(("names", "expected"), [(b",", 1), (b",,", 0)])
def test_a_header_with_as_many_empty_names_confirms_them(names: bytes, expected: int, lime: Source) -> None:
    rows = b"1,2,3,\n" * 2 + b"1,2,3\n"

    assert unnamed(lime, rows, HEADER.replace(b"\n", names + b"\n")) == expected


def test_no_more_rows_are_looked_at_than_a_sample(lime: Source) -> None:
    """A row that the sample cuts says nothing."""
    row = b"1,2,".ljust(SAMPLE - 1, b"x") + b","
    asked = iter([HEADER, row, b"\n", b"1,2,3\n"])

    _, shape, rest = read_row_shape(lime, MONTH, asked)

    assert shape.unnamed == 0
    assert next(asked) == b"\n"
    assert list(rest) == [row, b"1,2,3\n"]
    assert unnamed(lime, b"1,2,3,\n" + row + b"\n" + b"1,2,3\n" * 10) == 1


@pytest.mark.parametrize("line", [b"VendorID,Fare,Flag", b"vendor ID,FARE,Flag", b"Flag,Fare,Vendor,\n"])
def test_a_column_may_have_other_names_in_a_header(line: bytes, lime: Source) -> None:
    vendor, *rest = lime.columns
    source = replace(lime, columns=(replace(vendor, headers=("Vendor id", "vendor")), *rest))

    assert {column.name for column in match_header(source, MONTH, line)} == {"vendorid", "fare", "flag"}
    with pytest.raises(HeaderError, match="repeated Vendor, VendorID"):
        match_header(source, MONTH, b"VendorID,Fare,Flag,Vendor")


def test_a_file_may_lack_an_optional_column_alone(lime: Source) -> None:
    *rest, flag = lime.columns
    source = replace(lime, columns=(*rest, replace(flag, optional=True)))

    assert [column.name for column in match_header(source, MONTH, b"Fare,VendorID")] == ["fare", "vendorid"]
    assert len(match_header(source, MONTH, HEADER)) == 3
    with pytest.raises(HeaderError, match="missing Fare; unknown Flog"):
        match_header(source, MONTH, b"VendorID,Flog")


def test_a_file_has_the_columns_of_its_month(lime: Source) -> None:
    *rest, flag = lime.columns
    source = replace(lime, columns=(*rest, replace(flag, since=MONTH.next())))

    assert [column.name for column in match_header(source, MONTH, b"VendorID,Fare")] == ["vendorid", "fare"]
    assert len(match_header(source, MONTH.next(), HEADER)) == 3
    with pytest.raises(HeaderError, match="missing Flag"):
        match_header(source, MONTH.next(), b"VendorID,Fare")
    with pytest.raises(
        HeaderError, match=r"unknown Flag\. Found VendorID, Fare, Flag; expected each of VendorID, Fare once"
    ):
        match_header(source, MONTH, HEADER)
