"""A file has columns that its source doesn't know: what the error says to write, and that it works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from taxiway.errors import HeaderError
from taxiway.files.csv_header import MOST_LINES, SAMPLE, RowShape, read_row_shape
from taxiway.files.new_columns import guess_type, is_ignored
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Column, Source, load_source
from tests.releases import from_path

MONTH = Month(2019, 3)


@pytest.fixture
def lime(green: Source) -> Source:
    columns = tuple(Column(name, name.lower(), "text", "x") for name in ("VendorID", "Fare"))
    return replace(from_path(green, "lime/lime_{month}.csv.gz"), name="lime", columns=columns)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "", "3.0", " 004"], "integer"),
        (["1", "1.5"], "numeric"),
        (["12345678901"], "numeric"),
        ([".5", "1e3"], "numeric"),
        (["2019-03-01 08:30:00", "", "2019-03-01 08:30:00.000"], "timestamp"),
        (["2019-03-01"], "text"),
        (["1", "N"], "text"),
        (["1", "2019-03-01 08:30:00"], "text"),
        ([], "text"),
        (["", ""], "text"),
    ],
)
def test_a_type_is_guessed_from_values(values: list[str], kind: str) -> None:
    assert guess_type(values) == kind


@pytest.mark.parametrize(
    ("values", "declared", "kind"),
    [
        (["1", "2.0"], "numeric", "numeric"),
        (["1", "2"], "text", "text"),
        ([], "timestamp", "timestamp"),
        (["1", ""], "integer", "integer"),
        ([], "integer", "integer"),
        (["1", "12345678901"], "integer", "numeric"),
    ],
)
def test_a_type_that_the_file_says_counts_more_than_its_values(values: list[str], declared: str, kind: str) -> None:
    assert guess_type(values, declared) == kind


def refusal(source: Source, data: bytes) -> str:
    def blocks() -> Iterator[bytes]:
        yield from (data[start : start + 7] for start in range(0, len(data), 7))

    with pytest.raises(HeaderError) as caught:
        read_row_shape(source, MONTH, blocks())
    return str(caught.value)


def added(message: str) -> list[dict[str, object]]:
    """The entries that a message says to add."""
    advice = re.search(r"add to its columns: (.*?) \. To leave out", message)
    assert advice is not None, message
    entries = [re.sub("^- ", "", line) for line in re.split(r" (?=- \{)", advice[1])]
    return [yaml.safe_load(entry) for entry in entries]


def test_the_error_names_an_unknown_column_and_has_the_line_to_add(lime: Source) -> None:
    said = refusal(lime, b"VendorID,cbd_fee,Fare\n1,0.75,x\n2,,x\n3,1.25,x\n4,cut")

    assert "the header doesn't fit: unknown cbd_fee. Found VendorID, cbd_fee, Fare" in said
    assert "To load the new column, add to its columns: - {name: cbd_fee, type: numeric, " in said
    assert said.endswith("To leave out every column that it doesn't know, set 'on_new_column: ignore' there")
    assert added(said) == [
        {"name": "cbd_fee", "type": "numeric", "description": "say what it means", "since": "2019-03"}
    ]


def test_types_are_guessed_from_the_first_rows_alone(lime: Source) -> None:
    row = b"1,x,7\n"
    many = row * (SAMPLE // len(row) + 10)

    assert added(refusal(lime, b"VendorID,Fare,n\n" + many + b"1,x,text\n"))[0]["type"] == "integer"
    assert added(refusal(lime, b"VendorID,Fare,n\n1,x,text\n" + many))[0]["type"] == "text"
    assert added(refusal(lime, b"VendorID,Fare,n\n"))[0]["type"] == "text"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Trip Type", "Trip_Type"),
        ("2nd fee", "c_2nd_fee"),
        ("filename", "filename_new"),
        ("caf\u00e9's", "caf_s"),
        ("x" * 40, "x" * 32),
    ],
)
def test_a_name_that_no_column_can_have_becomes_another_spelling(
    header: str, name: str, lime: Source, tmp_path: Path
) -> None:
    (entry,) = added(refusal(lime, f"VendorID,Fare,{header}\n1,x,7\n".encode()))

    assert (entry["name"], entry["headers"]) == (name, [header])


@pytest.mark.parametrize("header", [b'"a,b"', b"", b'"a""b"', b"x" * 101])
def test_no_line_is_shown_for_a_name_that_no_entry_can_have(header: bytes, lime: Source) -> None:
    said = refusal(lime, b"VendorID," + header + b",Fare\n1,2,x\n")

    assert "doesn't fit: unknown " in said
    assert "add to its columns" not in said


def test_few_of_many_new_columns_have_a_line(lime: Source) -> None:
    names = ",".join(f"fee_{number}" for number in range(9))

    assert len(added(refusal(lime, f"VendorID,Fare,{names}\n".encode()))) == MOST_LINES


def test_a_column_of_other_months_is_named_with_these(lime: Source) -> None:
    late = Column("Fee", "fee", "numeric", "x", since=Month(2019, 4), headers=("Charge",))
    source = replace(lime, columns=(*lime.columns, late))

    said = refusal(source, b"VendorID,Fare,charge\n1,x,7\n")

    assert "unknown charge" in said
    assert said.endswith("docs/sources.md. charge is a column since 2019-04 there")


def test_one_new_name_for_one_missing_column_may_be_the_same_column(lime: Source) -> None:
    said = refusal(lime, b"VendorID,Price\n1,x\n")

    assert "missing Fare; unknown Price" in said
    assert "If Price is another name of Fare, give that column headers: ['Price']" in said


def test_a_name_that_differs_in_its_marks_alone_is_that_of_the_missing_column(lime: Source) -> None:
    said = refusal(lime, b"Vendor ID,Fare ($),Fee\n1,x,7\n")

    assert "missing VendorID, Fare; unknown Vendor ID, Fare ($), Fee" in said
    assert "If Vendor ID is another name of VendorID, give that column headers: ['Vendor ID']" in said
    assert "If Fare ($) is another name of Fare, give that column headers: ['Fare ($)']" in said
    assert [entry["name"] for entry in added(said)] == ["Fee"]


def test_two_names_that_are_alike_are_not_both_that_of_one_column(lime: Source) -> None:
    said = refusal(lime, b"VendorID,Fare ($),Fare-\n1,x,7\n")

    assert "another name of Fare" not in said


@pytest.mark.parametrize("name", ["Price: now", "No", "it's", "#"])
def test_another_name_of_a_column_is_one_of_yaml_too(name: str, lime: Source) -> None:
    said = refusal(lime, f"VendorID,{name}\n1,x\n".encode())

    advice = re.search(r"give that column (headers: .*?\])", said)
    assert advice is not None, said
    assert yaml.safe_load(advice[1]) == {"headers": [name]}


@pytest.mark.parametrize("name", ["No", "on", "TRUE", "null"])
def test_a_name_that_is_a_word_of_yaml_is_quoted(name: str, lime: Source) -> None:
    (entry,) = added(refusal(lime, f"VendorID,Fare,{name}\n1,x,7\n".encode()))

    assert entry["name"] == name


def test_the_lines_make_the_source_fit_the_file(green: Source, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "include" / "sources" / "green.yaml").read_text()
    names = [column.header for column in green.columns]
    rows = [[*names, "cbd_fee", "Trip Kind"], [*["1"] * len(names), "0.75", "A"]]
    data = "".join(",".join(row) + "\n" for row in rows).encode()
    said = refusal(green, data)
    lines = re.findall(r"- \{name: .*?\}(?= - | \. )", said)
    path = tmp_path / "green.yaml"
    path.write_text(text + "".join(f"  {line}\n" for line in lines))

    fitting = load_source(path)

    _, shape, _ = read_row_shape(fitting, MONTH, iter([data]))
    assert [column.name for column in shape.columns][-2:] == ["cbd_fee", "trip_kind"]
    assert [column.type for column in shape.columns][-2:] == ["numeric", "text"]
    assert fitting.layout_of(MONTH.previous()) == green.layout_of(MONTH.previous())


def test_a_source_may_leave_out_what_it_does_not_know(lime: Source, caplog: pytest.LogCaptureFixture) -> None:
    source = replace(lime, on_new_column="ignore")

    _, shape, _ = read_row_shape(source, MONTH, iter([b'fee,Fare,"a,b",VendorID,fee,\n1,x,2,y,3,\n']))

    assert [is_ignored(column) for column in shape.columns] == [True, False, True, False, True]
    assert len({column.name for column in shape.columns}) == 5
    assert shape.unnamed == 1
    assert shape.left_out == ("fee", "a,b", "fee")
    assert "lime 2019-03: lime_2019-03.csv: left out, as on_new_column says: fee, a,b, fee" in caplog.text
    _, whole, _ = read_row_shape(source, MONTH, iter([b"VendorID,Fare\n1,x\n"]))
    assert whole == RowShape(lime.columns)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"VendorID,fee\n", "missing Fare"),
        (b"VendorID,Fare,Fare,fee\n", "repeated Fare"),
        (b"VendorID,,Fare\n", "unknown ''"),
    ],
)
def test_a_header_that_lacks_something_is_refused_all_the_same(line: bytes, problem: str, lime: Source) -> None:
    assert f"doesn't fit: {problem}." in refusal(replace(lime, on_new_column="ignore"), line)


def test_a_new_column_of_a_file_of_no_month_is_since_no_month(lime: Source) -> None:
    (release,) = lime.releases
    single = replace(release, first=WHOLE, last=WHOLE, path="lime.csv", format="csv")
    source = replace(lime, period="none", releases=(single,))

    with pytest.raises(HeaderError) as caught:
        read_row_shape(source, WHOLE, iter([b"VendorID,Fare,Odd\n1,2,3\n"]))

    assert added(str(caught.value)) == [{"name": "Odd", "type": "integer", "description": "say what it means"}]
