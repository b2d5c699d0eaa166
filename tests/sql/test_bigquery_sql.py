"""Every SQL file of BigQuery is what Google's own analyzer accepts, and its ids are those of the specification."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest

from stand_ins import zetasql_analyzer
from taxiway.loads.row_identity import digest, unique_row_ids
from taxiway.paths import SQL_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery.statements import PARAMETER_TYPES
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.sql import environment, quoted, render
from taxiway_local.samples import write_sample_month
from tests.sql.bigquery_rendered import (
    GREEN,
    MONTHS,
    OWN,
    SETTINGS,
    TABLES,
    file_names,
    rendered,
    run,
    schemas,
    staged_columns,
    statements,
)

NAMES = file_names()
SEPARATOR = "\x1f"


def test_base_names_are_those_of_postgres_where_the_purpose_is_the_same() -> None:
    ours = {Path(name).name for name in NAMES} | {"_row_text.sql"}
    theirs = {path.name for path in (SQL_FOLDER / "postgres").glob("*.sql")}

    assert len(NAMES) >= 15
    own = {
        "confirm_month.sql", "copy_rejects.sql", "count_deletions.sql", "count_month.sql", "find_changed_rows.sql",
        "find_loads.sql", "find_earlier_names.sql", "find_earlier_rows.sql", "rename_file.sql",
    }  # fmt: skip
    assert own >= ours - theirs


@pytest.mark.parametrize("name", NAMES)
def test_a_header_says_grain_parameters_and_why_twice_is_safe(name: str) -> None:
    comment = "".join(line for line in rendered(name).splitlines() if line.startswith("--"))

    for word in ("Grain:", "Parameters:", "Twice:"):
        assert word in comment, f"{name} lacks {word} in its header"


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_that_the_header_lists(name: str) -> None:
    source = (SQL_FOLDER / name).read_text()
    header = " ".join(line[2:].strip() for line in source.splitlines() if line.startswith("--"))
    listed = set(re.findall(r"\w+", header.partition("Parameters:")[2].partition("Twice:")[0]))
    used = jinja2.meta.find_undeclared_variables(environment().parse(source))
    bound = set(re.findall(r"@(\w+)", source))

    assert used | bound <= listed | {"none"}, f"{name}: {sorted((used | bound) - listed)} not in the header"
    assert bound <= set(PARAMETER_TYPES), f"{name}: {sorted(bound - set(PARAMETER_TYPES))} have no type"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_parameter_is_an_error(name: str) -> None:
    used = jinja2.meta.find_undeclared_variables(environment().parse((SQL_FOLDER / name).read_text()))
    for left_out in used:
        given = {key: value for key, value in {**run(), **OWN.get(Path(name).stem, {})}.items() if key != left_out}
        with pytest.raises(jinja2.UndefinedError, match=left_out):
            render(name, **given)


@pytest.mark.parametrize("name", NAMES)
def test_google_analyses_every_statement(name: str) -> None:
    found = [analysed(statement) for statement in statements(name)]

    assert found
    assert not any(re.search(r"SELECT\s+\*", statement) for statement in statements(name))


def analysed(statement: str) -> zetasql_analyzer.Analysis:
    bound = {name: PARAMETER_TYPES[name] for name in re.findall(r"@(\w+)", statement)}
    return zetasql_analyzer.analyze(statement, schemas(), bound)


def test_a_statement_that_is_wrong_is_refused() -> None:
    """The analysis above would else show nothing."""
    with pytest.raises(zetasql_analyzer.SqlError, match="fare_amoun"):
        analysed(rendered("bigquery/compare_month.sql").replace("`fare_amount`)", "`fare_amoun`)"))
    with pytest.raises(zetasql_analyzer.SqlError, match=r"comparable|No matching signature"):
        analysed(rendered("bigquery/merge_month.sql").replace("DATE '2019-01-01'", "'a text' || 'b'"))


def test_rows_have_the_main_tables_columns_and_types() -> None:
    hashed = analysed(rendered("bigquery/hash_rows.sql"))

    assert dict(hashed.columns) == dict(schemas()[TABLES.main_table])
    assert [name for name, _ in hashed.columns] == list(schemas()[TABLES.main_table])


def test_views_have_the_columns_that_statements_read() -> None:
    *_, loads, months = [analysed(statement) for statement in statements("bigquery/create_ledger.sql")]

    assert dict(loads.columns) == dict(schemas()[f"{TABLES.dataset}.loads"])
    assert dict(months.columns) == MONTHS


def test_publishing_names_its_month_on_every_way_to_the_main_table() -> None:
    """BigQuery prunes to a partition where the month is a constant: in the join, and where it deletes."""
    statement = rendered("bigquery/merge_month.sql")

    assert "ON\n        published.source_month = DATE '2019-01-01'" in statement
    assert "WHEN NOT MATCHED BY SOURCE AND published.source_month = DATE '2019-01-01' THEN\n    DELETE" in statement
    assert statement.count("DELETE") == 1
    assert statement.count("UPDATE") == 1
    assert "WHEN MATCHED AND (" in statement, "a row that stays is not touched"


def test_texts_are_quoted_as_google_reads_them() -> None:
    text = "it's 100% \\ \"x\" \n '; DROP TABLE y; -- é 🚕"

    assert zetasql_analyzer.evaluate(f"SELECT {quoted(text)}") == [(text,)]


def hashed_by_google(source: Source, rows: list[list[str]]) -> list[tuple[Any, ...]]:
    """Evaluate the SELECT of ``hash_rows.sql`` with Google's reference implementation."""
    tables = CloudTables(source, Month(2019, 1), "manual__1", settings=SETTINGS)
    select = rendered("bigquery/hash_rows.sql", tables).partition("\nAS\n")[2]
    select = select.replace("@filename", "'f.csv'").replace("@month", "DATE '2019-01-01'")
    return zetasql_analyzer.evaluate(
        select, {tables.staging_table: staged_columns(source)}, {tables.staging_table: rows}
    )


def unreadable_by_google(source: Source, rows: list[list[str]]) -> list[tuple[str, str]]:
    """Evaluate ``find_unreadable_rows.sql``; return the column and its field."""
    tables = CloudTables(source, Month(2019, 1), "manual__1", settings=SETTINGS)
    found = zetasql_analyzer.evaluate(
        rendered("bigquery/find_unreadable_rows.sql", tables).replace("@most", "1000"),
        {tables.staging_table: staged_columns(source)},
        {tables.staging_table: rows},
    )
    names = [column.name for column in source.columns]
    return [(row[-1], row[names.index(row[-1])]) for row in found]


def rows_of(path: Path, source: Source) -> list[list[str]]:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    order = [name.lower() for name in lines[0].split(",")]
    places = [order.index(column.name) for column in source.columns]
    fields = [line.split(",") for line in lines[1:]]
    return [[row[place] for place in places] for row in fields]


@pytest.mark.parametrize("name", ["green", "yellow"])
def test_ids_of_sample_months_are_the_specifications(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source: Source = request.getfixturevalue(name)
    write_sample_month(source, Month(2019, 1), tmp_path / "sample.csv.gz", rows=400)
    rows = rows_of(tmp_path / "sample.csv.gz", source)
    rows += [rows[0], rows[0], rows[1]]

    found = hashed_by_google(source, rows)

    assert sorted(row[0] for row in found) == sorted(unique_row_ids(source.columns, rows))
    assert len({row[0] for row in found}) == 403


@pytest.mark.parametrize("name", ["green", "yellow"])
def test_ids_of_real_months_are_the_golden_ones(name: str, request: pytest.FixtureRequest, tlc: Path) -> None:
    source: Source = request.getfixturevalue(name)
    golden = json.loads((tlc / "golden_row_ids.json").read_text())
    files = [entry for entry in golden["files"] if entry["file"].startswith(f"heads/{name}/")]
    assert files
    for entry in files:
        found = [row[0] for row in hashed_by_google(source, rows_of(tlc / entry["file"], source))]
        assert (len(found), digest(found)) == (entry["rows"], entry["digest"]), entry["file"]


def test_the_golden_rows_have_their_ids(tlc: Path) -> None:
    golden = json.loads((tlc / "golden_row_ids.json").read_text())["rows"]
    assert golden
    for row in golden:
        assert "/green/" in row["file"]
        (hashed,) = hashed_by_google(GREEN, [row["csv"].split(",")])
        assert hashed[0] == row["unique_row_id"], row["csv"]


READABLE = {
    "vendorid": {
        "1": "1", "1.0": "1", "+42": "42", " 7 ": "7", "-2147483648": "-2147483648", "007": "7", "8.": "8",
        "0" * 30 + "42": "42", "-" + "0" * 25 + "7.00": "-7", "0" * 19: "0",
    },
    "trip_distance": {
        ".79": "0.79", "8.50": "8.5", "-0": "0", "8": "8", "8.": "8", "1e-05": "0.00001", "1E+2": "100", "-.5": "-0.5",
        "0.123456789000": "0.123456789", "00012.500": "12.5", " 7 ": "7", "99999999999999999999999999999": "9" * 29,
        "0.000000000": "0", "-0.000": "0", "-2.4164054396080182263808e+13": "-24164054396080.182263808",
        "9999999999999999999999999999.9e1": "9" * 29,
        "1.2345678901234567890123456789e19": "12345678901234567890.123456789",
    },
    "lpep_pickup_datetime": {text: text for text in ("2019-01-05 00:44:02", "0001-01-01 00:00:00")},
    "store_and_fwd_flag": {"Y": "Y", " padded ": " padded ", "é, \"x\"": "é, \"x\"", "\\n": "\\n"},
}  # fmt: skip

UNREADABLE = {
    "vendorid": [
        "1.5", "2147483648", "-2147483649", "1_0", "x", "1e3", "0x10", "-", ".", "1" * 20, "\t7",
        "0" * 20 + "2147483648",
    ],
    "trip_distance": [
        "0.1234567891", "1e-10", "1e-50", "9" * 30, "NaN", "Infinity", "inf", "0x10", "1_0", "1,0", "5e", ".", "\t7",
        "1e999", "--1", "1" * 40, "0." + "0" * 40 + "1", "1.23456789012345678901234567891e19", "1e29",
    ],
    "lpep_pickup_datetime": [
        "2019-02-30 00:00:00", "2019-01-01 00:00:60", "2019-1-1 00:00:00", "2019-01-01T00:00:00", "2019-01-01",
        "2019-01-01 24:00:00", "0000-01-01 00:00:00", "2019-01-01 00:00:00 ", "1/1/2019 0:46", "2019-01-01 00:00:00.5",
    ],
    "store_and_fwd_flag": ["\\N", f"a{SEPARATOR}b"],
}  # fmt: skip

LINE = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"
ROW = LINE.split(",")
PLACES = {column.name: place for place, column in enumerate(GREEN.columns)}


def with_field(name: str, value: str) -> list[str]:
    row = list(ROW)
    row[PLACES[name]] = value
    return row


@pytest.mark.parametrize("name", READABLE)
def test_fields_that_can_be_read_make_the_ids_of_their_values(name: str) -> None:
    written = [with_field(name, value) for value in READABLE[name]]
    canonical = [with_field(name, value) for value in READABLE[name].values()]

    found = hashed_by_google(GREEN, written)

    assert sorted(row[0] for row in found) == sorted(unique_row_ids(GREEN.columns, canonical))
    assert unreadable_by_google(GREEN, written) == []


@pytest.mark.parametrize("name", UNREADABLE)
def test_fields_that_cannot_be_read_exactly_are_found_and_left_out(name: str) -> None:
    rows = [with_field(name, value) for value in UNREADABLE[name]]

    assert hashed_by_google(GREEN, [*rows, ROW]) == hashed_by_google(GREEN, [ROW])
    assert sorted(unreadable_by_google(GREEN, [*rows, ROW])) == sorted((name, value) for value in UNREADABLE[name])


def test_values_come_out_typed_and_exact() -> None:
    (row,) = hashed_by_google(GREEN, [with_field("fare_amount", "0.1")])
    typed = dict(zip(schemas()[TABLES.main_table], row, strict=True))

    assert (typed["filename"], typed["source_month"]) == ("f.csv", date(2019, 1, 1))
    assert (typed["fare_amount"], typed["total_amount"]) == (Decimal("0.1"), Decimal("9.3"))
    assert (typed["vendorid"], typed["store_and_fwd_flag"], typed["ehail_fee"]) == (2, "N", None)


def test_empty_fields_are_null_quoted_or_not() -> None:
    """A quoted empty field reaches the table as an empty text, an unquoted one as NULL: both are no value."""
    null: list[Any] = [None if value == "" else value for value in ROW]

    assert hashed_by_google(GREEN, [ROW]) == hashed_by_google(GREEN, [null])


def changed_by_google(source: Source, rows: Sequence[Sequence[Any]]) -> tuple[int, int, str | None]:
    """Evaluate ``find_changed_rows.sql``; return how many rows it counts, how many changed ones, and ids of some."""
    tables = CloudTables(source, Month(2019, 1), "manual__1", settings=SETTINGS)
    (found,) = zetasql_analyzer.evaluate(
        rendered("bigquery/find_changed_rows.sql", tables),
        {tables.main_table: dict(schemas(tables)[tables.main_table])},
        {tables.main_table: rows},
        {"month": ("DATE", date(2019, 1, 1)), "filename": ("STRING", "f.csv"), "other_filename": ("STRING", "g.csv")},
    )
    return tuple(found)


@pytest.mark.parametrize("name", ["green", "yellow"])
def test_rows_as_they_were_published_have_the_ids_of_their_values(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source: Source = request.getfixturevalue(name)
    write_sample_month(source, Month(2019, 1), tmp_path / "sample.csv.gz", rows=50)
    rows = rows_of(tmp_path / "sample.csv.gz", source)
    if source == GREEN:
        rows += [with_field(field, value) for field, values in READABLE.items() for value in values]
    published = hashed_by_google(source, [*rows, rows[0], rows[0], rows[1]])

    assert changed_by_google(source, published) == (len(published), 0, None)
    assert changed_by_google(source, []) == (0, 0, None)


def test_a_row_doubled_in_the_place_of_another_is_changed() -> None:
    other = with_field("fare_amount", "9")
    (first,) = hashed_by_google(GREEN, [ROW])
    (second,) = hashed_by_google(GREEN, [other])

    assert changed_by_google(GREEN, [first, second]) == (2, 0, None)
    assert changed_by_google(GREEN, [first, first]) == (2, 2, first[0])
