from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
import yaml

from taxiway.errors import SourceConfigError
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.checks import MEASURES, MEASURES_OF_MONTHS, Check
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.release import FORMATS, Release
from taxiway.sources.report import Report
from taxiway.sources.source import Column, Layout, Source, find_source, load_source, load_sources, read_sources
from taxiway.sources.source_file import MAX_COLUMNS, json_schema
from taxiway.sources.strict_yaml import shown
from tests.releases import ending, on_mirror


def test_both_colours_are_there() -> None:
    assert [source.name for source in load_sources(SOURCES_FOLDER)] == sorted(
        path.stem for path in SOURCES_FOLDER.glob("*.yaml")
    )


def test_green_is_laid_out_as_the_mirror_has_it(green: Source) -> None:
    month = Month(2019, 3)

    assert green.file_path(month) == "green/green_tripdata_2019-03.csv.gz"
    assert green.download_name(month) == "green_tripdata_2019-03.csv.gz"
    assert green.filename(month) == "green_tripdata_2019-03.csv"
    assert [column.name for column in green.columns][:3] == [
        "vendorid",
        "lpep_pickup_datetime",
        "lpep_dropoff_datetime",
    ]
    assert len(green.layout_of(month).columns) == 20


@pytest.mark.parametrize("name", ["green", "yellow"])
def test_headers_are_those_of_the_real_files(name: str, tlc: Path) -> None:
    import gzip

    source = on_mirror(load_source(SOURCES_FOLDER / f"{name}.yaml"))
    for path in sorted((tlc / "heads" / name).iterdir()):
        with gzip.open(path, "rt") as stream:
            assert stream.readline().strip().split(",") == [column.header for column in source.columns], path.name


def test_the_schema_for_editors_is_up_to_date() -> None:
    """If it isn't: `make schema`."""
    assert (SOURCES_FOLDER / "source.schema.json").read_text() == json_schema()


def test_every_source_names_the_schema_and_keeps_it() -> None:
    schema = json.loads(json_schema())
    paths = sorted(SOURCES_FOLDER.glob("*.yaml"))
    assert paths
    for path in paths:
        text = path.read_text()
        assert text.startswith("# yaml-language-server: $schema=source.schema.json\n"), path
        jsonschema.validate(yaml.safe_load(text), schema)
        with pytest.raises(jsonschema.ValidationError, match="colour"):
            jsonschema.validate({**yaml.safe_load(text), "colour": "green"}, schema)


DOCUMENT = {
    "title": "Lime taxi trips",
    "releases": [{"from": "2019-01", "connection": "limes", "path": "Lime/lime_{month}.csv.gz", "format": "csv.gz"}],
    "schedule": "0 9 1 * *",
    "main_table": "lime_trips",
    "owner": "taxi",
    "tags": ["taxi", "lime"],
    "columns": [
        {"name": "VendorID", "type": "integer", "description": "who sent the trip"},
        {"name": "Total", "type": "numeric", "description": "US dollars"},
    ],
}
LIME = Source(
    name="lime",
    title="Lime taxi trips",
    releases=(Release(Month(2019, 1), None, "limes", "Lime/lime_{month}.csv.gz", "csv.gz"),),
    schedule="0 9 1 * *",
    main_table="lime_trips",
    owner="taxi",
    tags=("taxi", "lime"),
    allow_empty=False,
    max_rejected_share=0.001,
    columns=(
        Column("VendorID", "vendorid", "integer", "who sent the trip"),
        Column("Total", "total", "numeric", "US dollars"),
    ),
    allowed_redirect_hosts=(),
    max_file_size=1024**3,
    max_unpacked_size=8 * 1024**3,
    checks=(),
)


def write(folder: Path, name: str = "lime", others: Mapping[Any, object] | None = None, **changes: object) -> Path:
    path = folder / f"{name}.yaml"
    document = without_left_out({**DOCUMENT, **changes, **(others or {})})
    path.write_text(yaml.safe_dump(document))
    return path


def without_left_out(document: Any) -> Any:
    """A document without the keys whose value is ``...``."""
    if isinstance(document, list):
        return [without_left_out(entry) for entry in document]
    if not isinstance(document, dict):
        return document
    return {key: without_left_out(value) for key, value in document.items() if value is not ...}


def line_of(path: Path, key: str, nth: int = 1) -> int:
    """The line on which a key stands for the nth time."""
    lines = path.read_text().splitlines()
    return [number for number, line in enumerate(lines, 1) if line.lstrip("- ").startswith(f"{key}:")][nth - 1]


OTHER = "{month}.csv.gz"


def release(**changes: object) -> dict[str, object]:
    (only,) = DOCUMENT["releases"]
    return {**only, **changes}  # type: ignore[dict-item]


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def column(**changes: object) -> list[object]:
    return [{"name": "a", "type": "text", "description": "x", **changes}]


def test_a_source_is_read_with_what_it_leaves_out(tmp_path: Path) -> None:
    path = write(tmp_path)

    assert load_source(path) == replace(LIME, yaml_sha256=digest_of(path))


def test_a_source_is_read_with_all_that_it_may_say(tmp_path: Path) -> None:
    check = {"name": "odd", "measure": "share_null", "column": "total", "severity": "warn", "message": "x"}
    path = write(
        tmp_path,
        releases=[release(**{"from": "2019-02"}), release(to="2019-01", connection="a.b-c_9", path=OTHER)],
        publication_lag_days=0,
        allow_empty=True,
        max_rejected_share=1,
        max_file_size=1,
        max_unpacked_size="2 KiB",
        allowed_redirect_hosts=["a.test", "b.test:8080"],
        checks=[{**check, "at_most": 0.1}],
    )

    assert load_source(path) == replace(
        LIME,
        releases=(
            Release(Month(2019, 1), Month(2019, 1), "a.b-c_9", OTHER, "csv.gz"),
            Release(Month(2019, 2), None, "limes", "Lime/lime_{month}.csv.gz", "csv.gz"),
        ),
        publication_lag_days=0,
        allow_empty=True,
        max_rejected_share=1.0,
        max_file_size=1,
        max_unpacked_size=2048,
        allowed_redirect_hosts=("a.test", "b.test:8080"),
        checks=(Check("odd", "share_null", "total", None, 0.1, "warn", "x"),),
        yaml_sha256=digest_of(path),
    )


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_share_is_a_number_whatever_its_form(share: float, tmp_path: Path) -> None:
    found = load_source(write(tmp_path, max_rejected_share=share)).max_rejected_share

    assert (found, type(found)) == (share, float)


def test_a_source_may_have_so_many_columns(tmp_path: Path) -> None:
    columns = [{"name": f"c{number}", "type": "text", "description": "x"} for number in range(MAX_COLUMNS)]

    assert len(load_source(write(tmp_path, columns=columns)).columns) == MAX_COLUMNS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schedule", "0 0 1 * *"),
        ("schedule", "59 23 28 * *"),
        ("schedule", "07 19 10 * *"),
        ("main_table", "l" + "9_" * 15 + "a"),
        ("owner", "A.b-c_9" + "x" * 33),
    ],
)
def test_a_value_may_go_as_far_as_its_limits(key: str, value: str, tmp_path: Path) -> None:
    assert getattr(load_source(write(tmp_path, **{key: value})), key) == value


def test_a_column_is_read_with_all_that_it_may_say(tmp_path: Path) -> None:
    may = {"since": "2019-02", "until": "2019-03", "headers": ["A b", "C"], "optional": True}
    path = write(tmp_path, columns=[*column(name="B"), *column(name="Fee", **may)])

    assert load_source(path).columns == (
        Column("B", "b", "text", "x"),
        Column("Fee", "fee", "text", "x", Month(2019, 2), Month(2019, 3), ("A b", "C"), optional=True),
    )


def lime_with(*columns: Column) -> Source:
    return replace(LIME, columns=columns)


def test_the_layout_of_a_month_has_the_columns_of_that_month() -> None:
    always = Column("A", "a", "text", "x")
    early = Column("B", "b", "text", "x", until=Month(2019, 2))
    late = Column("C", "c", "text", "x", since=Month(2019, 2))
    source = lime_with(early, always, late)

    assert [source.layout_of(Month(2019, number)) for number in (1, 2, 3)] == [
        Layout((early, always)),
        Layout((early, always, late)),
        Layout((always, late)),
    ]
    assert source.layout_of(Month(2019, 2), {"c", "a"}) == Layout((always, late))


def test_the_ids_of_earlier_months_stay_when_a_source_gains_a_column() -> None:
    """Wherever in the source it stands."""
    first, second = (Column(name, name.lower(), "text", "x") for name in "AB")
    gained = Column("C", "c", "text", "x", since=Month(2019, 2))
    before = lime_with(first, second).layout_of(Month(2019, 1)).name

    for columns in ((first, second, gained), (first, gained, second), (gained, first, second)):
        assert lime_with(*columns).layout_of(Month(2019, 1)).name == before
        assert lime_with(*columns).layout_of(Month(2019, 2)).name != before


def test_a_file_may_lack_each_optional_column() -> None:
    first, *optional = (Column(name, name.lower(), "text", "x", optional=name != "A") for name in "ABC")
    late = Column("D", "d", "text", "x", since=Month(2019, 2), optional=True)
    source = lime_with(first, *optional, late)
    second, third = optional

    expected = [Layout(columns) for columns in ((first, second, third), (first, third), (first, second), (first,))]
    assert source.layouts_of(Month(2019, 1)) == {layout.name: layout for layout in expected}
    assert len(source.layouts_of(Month(2019, 2))) == 8


def test_a_column_s_name_may_have_32_characters(tmp_path: Path) -> None:
    (read,) = load_source(write(tmp_path, columns=column(name="C" + "9_" * 15 + "a"))).columns

    assert (read.header, read.name) == ("C" + "9_" * 15 + "a", "c" + "9_" * 15 + "a")


A_MONTH = "to be a month (YYYY-MM)"
A_TEXT = "to be a text of at most 1000 characters that isn't empty"
A_CRON = "to be a monthly cron: minute, hour, a day from 1 to 28, * and *"
ONE_MONTH = "to hold {month} once, and no other braces"
A_PATH = (
    "to be a relative path below the connection's address, of letters, digits, dots, underscores, hyphens and slashes"
)
A_SIZE = "to be a size, such as 1 GiB"
HOSTS = "to be a list of lower-case host names without scheme or path"
HOST = "to be a lower-case host name without scheme or path"
COLUMNS = "to be a list of columns, at most 1000"
COLUMN_KEYS = "a column has name, type, description and may have headers, since, until, optional"
NAME = (
    "to be letters, digits and underscores, and none of unique_row_id, filename, source_month, line_number, "
    "row_count, unreadable_column, ctid, xmin, xmax, cmin, cmax, tableoid"
)
A_ZONE = "to be the name of a time zone, such as America/New_York"
BAD = [
    ("timezone", A_ZONE, ["New York", "America/Nowhere", "America", "../UTC", "", 5, None]),
    ("main_table", "to be a lower-case name of at most 32 characters", ["x; DROP TABLE y", "Lime", "l" * 33]),
    (
        "main_table",
        "to be none of load_events, loads, months, rejected_rows, monthly_zone_summary",
        ["months", "loads", "rejected_rows", "monthly_zone_summary"],
    ),
    (
        "schedule",
        A_CRON,
        ["every month", "0 9 * * *", "60 9 1 * *", "0 24 1 * *", "0 9 29 * *", "0 9 0 * *", "0 9 1 * 1"],
    ),
    ("title", A_TEXT, ["", " ", 1, "x" * 1001]),
    ("owner", "to be a plain word", ["a b", "x" * 41]),
    ("tags", "to be a list of plain words", ["taxi", [], None]),
    (
        "publication_lag_days",
        "to be a number of days from 0 to 3660, such as 90",
        [-1, 3661, 1.5, True, "90", "two months", None],
    ),
    ("allow_empty", "to be true or false", ["no", 1, None]),
    ("max_rejected_share", "to be a share between 0 and 1, such as 0.001", [2, 1.001, -0.001, True, "0.1", None]),
    ("approval", "to be true or false", [0, "yes", None]),
    ("max_deleted_share", "to be a share between 0 and 1, such as 0.2", [2, 1.001, -0.001, True, "0.2", None]),
    ("max_file_size", A_SIZE, [0, -1, True, 1.5, "1 mile", None]),
    ("max_unpacked_size", A_SIZE, ["0"]),
    ("allowed_redirect_hosts", HOSTS, ["a.test", None]),
    ("checks", "to be a list of checks", [{"name": "x"}]),
    ("report", "to be keys and values: columns of the source", [None]),
    ("releases", "to be a list of releases", [[], "a", None, {"from": "2019-01"}]),
    ("columns", COLUMNS, [[], "a", {"a": "text"}, ["a"] * (MAX_COLUMNS + 1)]),
]


@pytest.mark.parametrize(
    ("key", "expected", "value"),
    [(key, expected, value) for key, expected, values in BAD for value in values],
)
def test_a_value_that_does_not_fit_is_named(key: str, expected: str, value: object, tmp_path: Path) -> None:
    path = write(tmp_path, **{key: value})

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    assert str(caught.value) == f"{path}:{line_of(path, key)}: {key} is {shown(value)}: expected it {expected}"


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        (
            "pickup_time",
            "VendorID",
            "report.pickup_time is 'VendorID': expected it to be one of the source's columns",
        ),
        (
            "revenue",
            "nosuch",
            "report.revenue is 'nosuch': expected it to be one of the source's columns, of the",
        ),
        ("pickup_zone", 5, "report.pickup_zone is 5: expected it to be one of the source's columns"),
        (
            "pickup_time",
            ...,
            "report: missing keys: pickup_time; a report has pickup_time and may have pickup_zone",
        ),
        ("colour", "total", "report: unknown keys: colour; a report has"),
    ],
)
def test_a_report_of_columns_that_there_are_not_is_named(part: str, value: object, said: str, tmp_path: Path) -> None:
    began = {"name": "Began", "type": "timestamp", "description": "x"}
    report = {"pickup_time": "Began", "revenue": "Total"}
    columns = [*DOCUMENT["columns"], began]  # type: ignore[misc]
    assert load_source(write(tmp_path, columns=columns, report=report)).report == Report("began", revenue="total")

    with pytest.raises(SourceConfigError) as caught:
        load_source(write(tmp_path, columns=columns, report={**report, part: value}))
    assert said in str(caught.value)


def test_a_file_of_no_month_has_no_report(tmp_path: Path) -> None:
    text = (SOURCES_FOLDER / "zones.yaml").read_text() + "report:\n  pickup_time: Zone\n"
    (tmp_path / "zones.yaml").write_text(text)
    with pytest.raises(SourceConfigError, match="not to be there: with period: none, there is no month to report"):
        load_source(tmp_path / "zones.yaml")


BAD_RELEASES = [
    ("from", A_MONTH, ["2019-13", 2019, "2019-3", "201903", date(2019, 3, 1), None]),
    ("to", A_MONTH, ["2019-13", None]),
    ("to", "not to be before from", ["2018-12"]),
    ("connection", "to be the id of a connection", ["", "a b", 1, "x" * 101, None]),
    ("format", f"to be one of {', '.join(FORMATS)}", ["zip", "csv.zip", "CSV.GZ", 1, None]),
    ("path", "to end in .csv.gz, as its format says", ["lime_{month}.parquet", "lime_{month}.csv", "{month}csv.gz"]),
    ("path", ONE_MONTH, ["lime.csv.gz", "{month}_{month}.csv.gz", "{month}/{month}.csv.gz", "lime_{month}{x}.csv.gz"]),
    ("path", ONE_MONTH, ["lime/lime_{year}-{month}.csv.gz", "lime/lime_{month.csv.gz"]),
    ("path", "to hold {month} in the file's name, behind the last slash", ["{month}/lime.csv.gz"]),
    (
        "path",
        A_PATH,
        [
            "../lime_{month}.csv.gz",
            "/lime/lime_{month}.csv.gz",
            "a/../lime_{month}.csv.gz",
            "lime//lime_{month}.csv.gz",
            "./lime_{month}.csv.gz",
            "lime_{month}.csv.gz/",
            "lime%_{month}.csv.gz",
            "li%20me/lime_{month}.csv.gz",
            "li me/lime_{month}.csv.gz",
            "lime/{{ x }}_{month}.csv.gz",
            "li\u00ebm/lime_{month}.csv.gz",
        ],
    ),
]


@pytest.mark.parametrize(
    ("key", "expected", "value"),
    [(key, expected, value) for key, expected, values in BAD_RELEASES for value in values],
)
def test_a_value_of_a_release_that_does_not_fit_is_named(
    key: str, expected: str, value: object, tmp_path: Path
) -> None:
    path = write(tmp_path, releases=[release(**{key: value})])

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    said = f"releases[0].{key} is {shown(value)}: expected it {expected}"
    assert str(caught.value) == f"{path}:{line_of(path, key)}: {said}"


@pytest.mark.parametrize(
    ("months", "position", "found", "expected"),
    [
        (
            [("2019-01", "2019-06"), ("2019-06", None)],
            1,
            "2019-06",
            "to come after the last month of releases[0], which goes to 2019-06: releases[0] and releases[1] overlap, "
            "and a month comes from one release",
        ),
        (
            [("2020-01", None), ("2019-01", None)],
            0,
            "2020-01",
            "to come after the last month of releases[1], which goes on: releases[1] and releases[0] overlap, and a "
            "month comes from one release",
        ),
        (
            [("2019-01", "2019-12"), ("2020-02", "2020-03")],
            1,
            "2020-02",
            "to be 2020-01, the month after releases[0] ends: between releases[0] and releases[1] is a gap, and each "
            "month comes from a release",
        ),
    ],
)
def test_a_month_comes_from_exactly_one_release(
    months: list[tuple[str, str | None]], position: int, found: str, expected: str, tmp_path: Path
) -> None:
    path = write(tmp_path, releases=[release(**{"from": first, "to": last or ...}) for first, last in months])

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    said = f"releases[{position}].from is {found!r}: expected it {expected}"
    assert str(caught.value) == f"{path}:{line_of(path, 'from', nth=position + 1)}: {said}"


def test_files_come_from_the_release_of_their_month() -> None:
    mirror = Release(Month(2019, 1), Month(2019, 12), "limes", "Lime/lime_{month}.csv.gz", "csv.gz")
    official = Release(Month(2020, 1), Month(2020, 6), "official", "data/lemons-{month}.parquet", "parquet")
    source = replace(LIME, releases=(mirror, official))

    december, january = Month(2019, 12), Month(2020, 1)
    assert (source.release_of(december), source.release_of(january)) == (mirror, official)
    assert source.file_path(december) == "Lime/lime_2019-12.csv.gz"
    assert (source.download_name(december), source.filename(december)) == ("lime_2019-12.csv.gz", "lime_2019-12.csv")
    assert source.file_path(january) == "data/lemons-2020-01.parquet"
    assert source.download_name(january) == source.filename(january) == "lemons-2020-01.parquet"
    assert (source.first_month, source.last_month) == (Month(2019, 1), Month(2020, 6))
    # Months without a file have a name, too, for the ledger.
    assert source.release_of(Month(2018, 12)) == mirror
    assert source.release_of(Month(2020, 7)) == official
    unavailable = [month for month in (Month(2018, 12), january, Month(2020, 7)) if source.why_unavailable(month)]
    assert unavailable == [Month(2018, 12), Month(2020, 7)]


@pytest.mark.parametrize("last", ["last_month: 2021-07\n", ""])
def test_the_keys_of_an_earlier_version_are_followed_by_the_new_lines(last: str, tmp_path: Path) -> None:
    path = write(tmp_path, releases=...)
    earlier = f"first_month: 2019-01\n{last}file: lime_{{month}}.csv.gz\npath: lime/lime_{{month}}.csv.gz\n"
    path.write_text(path.read_text() + earlier)

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    advice = re.search(
        "first_month, last_month, file and path have become releases: write in their place '(.*?)';", str(caught.value)
    )
    assert advice is not None
    kept = [
        line for line in path.read_text().splitlines() if not line.startswith(("first_", "last_", "file:", "path:"))
    ]
    path.write_text("\n".join([*kept, advice[1]]))
    expected = Release(
        Month(2019, 1), Month(2021, 7) if last else None, "tlc_mirror", "lime/lime_{month}.csv.gz", "csv.gz"
    )
    assert load_source(path).releases == (expected,)


@pytest.mark.parametrize(
    ("key", "position", "values", "expected"),
    [
        ("tags", 0, ["a b"], "to be a plain word"),
        ("tags", 1, ["a", 1], "to be a plain word"),
        ("allowed_redirect_hosts", 1, ["a.test", "https://a.test"], HOST),
        ("allowed_redirect_hosts", 0, ["A.test"], HOST),
        ("allowed_redirect_hosts", 0, [1], HOST),
    ],
)
def test_an_entry_of_a_list_that_does_not_fit_is_named(
    key: str, position: int, values: list[object], expected: str, tmp_path: Path
) -> None:
    path = write(tmp_path, **{key: values})

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    said = f"{key}[{position}] is {shown(values[position])}: expected it {expected}"
    assert str(caught.value) == f"{path}:{line_of(path, key) + 1 + position}: {said}"


@pytest.mark.parametrize(
    ("columns", "key", "value", "expected"),
    [
        (column(type="float"), "[0].type", "float", "to be one of integer, numeric, timestamp, text"),
        (column(name='a"'), "[0].name", 'a"', NAME),
        (column(name="c" * 33), "[0].name", "c" * 33, NAME),
        (column(name=1), "[0].name", 1, NAME),
        (column(name="filename"), "[0].name", "filename", NAME),
        (column(name="Source_Month"), "[0].name", "Source_Month", NAME),
        (column(name="XMIN"), "[0].name", "XMIN", NAME),
        (column(description=" "), "[0].description", " ", "to say what the column means"),
        (column(description=1), "[0].description", 1, "to say what the column means"),
        (column(since="2019-13"), "[0].since", "2019-13", A_MONTH),
        (column(since=None), "[0].since", None, A_MONTH),
        (column(until=2019), "[0].until", 2019, A_MONTH),
        (
            [*column(name="b"), *column(since="2019-03", until="2019-02")],
            "[1].until",
            "2019-02",
            "not to be before since",
        ),
        (
            [*column(name="b"), *column(until="2018-12")],
            "[1].until",
            "2018-12",
            "not to be before the first month, 2019-01",
        ),
        (column(optional="yes"), "[0].optional", "yes", "to be true or false"),
        (column(headers="A"), "[0].headers", "A", "to be a list of names"),
        (
            [*column(name="b"), *column(), *column(name="A")],
            "[2].name",
            "a",
            "to be unique (case does not count)",
        ),
    ],
)
def test_a_column_that_does_not_fit_is_named(
    columns: list[object], key: str, value: object, expected: str, tmp_path: Path
) -> None:
    path = write(tmp_path, columns=columns)

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    last = key.partition(".")[2]
    line = line_of(path, last, nth=sum(isinstance(each, dict) and last in each for each in columns))
    assert str(caught.value) == f"{path}:{line}: columns{key} is {shown(value)}: expected it {expected}"


HEADER = "to be a name as in a header, of at most 100 characters, without a comma or quotation marks"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        *((header, HEADER) for header in ("", " a", "a,b", 'a"b', "a\nb", "x" * 101, 1, None)),
        ("B", "to be a name that no other column has (case does not count)"),
        ("other", "to be a name that no other column has (case does not count)"),
    ],
)
def test_another_name_of_a_column_that_does_not_fit_is_named(header: object, expected: str, tmp_path: Path) -> None:
    path = write(tmp_path, columns=[*column(name="b", headers=["Other"]), *column(headers=["fine", header])])

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    said = f"columns[1].headers[1] is {shown(header)}: expected it {expected}"
    assert str(caught.value) == f"{path}:{line_of(path, 'headers', nth=2) + 2}: {said}"


def test_nine_columns_can_not_all_be_optional(tmp_path: Path) -> None:
    columns = [column(name=f"c{number}", optional=True)[0] for number in range(9)]
    assert len(load_source(write(tmp_path, columns=columns[:8])).columns) == 8

    with pytest.raises(SourceConfigError, match=r"columns\[8\].optional is True: expected it to be true for at most 8"):
        load_source(write(tmp_path, columns=columns))


@pytest.mark.parametrize(
    ("columns", "last", "said"),
    [
        (
            column(since="2019-02"),
            ...,
            "columns is 'of later months alone': expected it to have a column of the first month",
        ),
        (
            [*column(name="b"), *column(since="2019-02")],
            "2019-01",
            "columns[1].since is '2019-02': expected it not to be after the last month, 2019-01",
        ),
    ],
)
def test_a_column_of_months_that_there_are_not_is_named(
    columns: list[object], last: object, said: str, tmp_path: Path
) -> None:
    path = write(tmp_path, columns=columns, releases=[release(to=last)])

    with pytest.raises(SourceConfigError, match=re.escape(said)):
        load_source(path)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["a"], f"columns[0] is 'a': expected it to be keys and values: {COLUMN_KEYS}"),
        ([{"name": "a", "type": "text"}], f"columns[0]: missing keys: description; {COLUMN_KEYS}"),
        ([*column(), *column(unit="m")], f"columns[1]: unknown keys: unit; {COLUMN_KEYS}"),
        (
            [{"name": "a", "typ": "text"}],
            f"columns[0]: missing keys: type, description; unknown keys: typ; {COLUMN_KEYS}",
        ),
    ],
)
def test_the_keys_of_a_column_are_named(columns: list[object], said: str, tmp_path: Path) -> None:
    path = write(tmp_path, columns=columns)

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    assert re.fullmatch(rf"{re.escape(str(path))}:[0-9]+: {re.escape(said)}", str(caught.value))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"owner": ...}, "missing keys: owner"),
        ({"title": ..., "owner": ..., "colour": "x", "XL": 1}, "missing keys: title, owner; unknown keys: XL, colour"),
        ({"colour": "x"}, "unknown keys: colour"),
        (
            {f"key_{number:02}": 1 for number in range(11)},
            f"unknown keys: {', '.join(f'key_{number:02}' for number in range(10))}",
        ),
    ],
)
def test_missing_and_unknown_keys_are_named(changes: dict[Any, object], said: str, tmp_path: Path) -> None:
    path = write(tmp_path, others=changes)

    with pytest.raises(SourceConfigError) as caught:
        load_sources(tmp_path)

    first_unknown = re.search("unknown keys: ([^,;]+)", said)
    assert str(caught.value) == (
        f"{path}:{line_of(path, first_unknown[1]) if first_unknown else 1}: {said}; a source has title, releases, "
        f"main_table, owner, tags, columns and may have period, schedule, timezone, on_new_column, "
        f"publication_lag_days, allow_empty, max_rejected_share, max_deleted_share, approval, max_file_size, "
        f"max_unpacked_size, allowed_redirect_hosts, checks, report"
    )


def test_all_mistakes_of_a_file_are_named_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "lime.yaml"
    wrong = yaml.safe_dump({**DOCUMENT, "schedule": "daily", "owner": "a b"}, sort_keys=False)
    path.write_text(f"# a comment\n{wrong}")

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    assert str(caught.value) == (
        f"{path}:{line_of(path, 'schedule')}: schedule is 'daily': expected it {A_CRON}; "
        f"line {line_of(path, 'owner')}: owner is 'a b': expected it to be a plain word"
    )


@pytest.mark.parametrize(("wrong", "more"), [(5, ""), (6, "; and 1 more"), (20, "; and 15 more")])
def test_an_error_names_five_mistakes(wrong: int, more: str, tmp_path: Path) -> None:
    with pytest.raises(SourceConfigError) as caught:
        load_source(write(tmp_path, tags=["a b"] * wrong))

    said = str(caught.value)
    assert said.count("expected it to be a plain word") == 5
    assert said.endswith(f"tags[4] is 'a b': expected it to be a plain word{more}")


def test_mistakes_in_what_goes_together_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, main_table="loads", columns=[*column(), *column()])

    with pytest.raises(SourceConfigError, match=r"columns\[1\]\.name .*; line [0-9]+: main_table is 'loads'"):
        load_source(path)


@pytest.mark.parametrize("name", ["compare", "watch", "maintenance", "green_gcp"])
def test_the_dag_of_a_source_is_no_other_dag(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name)

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    assert str(caught.value) == f"{path}: taxi_{name} is the id of another DAG: give the file another name"


@pytest.mark.parametrize("name", ["Lime", "9", "lime-trips", "l" * 33])
def test_a_file_is_named_as_a_source_may_be(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name)

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    assert str(caught.value) == (f"{path}: a source's file is named in lower-case letters, digits and underscores")


def test_a_list_is_no_source(tmp_path: Path) -> None:
    path = tmp_path / "lime.yaml"
    path.write_text("[a]")

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    assert str(caught.value) == f"{path}: expected keys and values, found list"


def test_sources_are_ordered_and_found_by_name(tmp_path: Path) -> None:
    lime = write(tmp_path, "lime")
    write(tmp_path, "amber", main_table="amber_trips")

    assert [source.name for source in load_sources(tmp_path)] == ["amber", "lime"]
    assert find_source(tmp_path, "lime") == load_source(lime)


def test_a_file_is_parsed_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    path = write(tmp_path, main_table="lime_trips")
    source, before = load_source(path), path.stat()

    assert load_source(path) is source
    path.write_text(path.read_text().replace("lime_trips", "lime_rides"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert load_source(path).main_table == "lime_rides"


@pytest.mark.parametrize("name", ["Lime", "lime.yaml", "../lime", None])
def test_a_source_is_found_by_its_plain_name_only(name: Any, tmp_path: Path) -> None:
    write(tmp_path)

    with pytest.raises(SourceConfigError) as caught:
        find_source(tmp_path, name)

    assert str(caught.value) == (f"{name!r} is not a source's name: expected lower-case letters, digits, underscores")


@pytest.mark.parametrize(
    ("zone", "moment", "month"),
    [
        ("UTC", datetime(2019, 3, 1, tzinfo=timezone.utc), Month(2019, 3)),
        ("America/New_York", datetime(2019, 3, 1, 4, 59, tzinfo=timezone.utc), Month(2019, 2)),
        ("America/New_York", datetime(2019, 3, 1, 5, tzinfo=timezone.utc), Month(2019, 3)),
        ("America/New_York", datetime(2019, 4, 1, 4, tzinfo=timezone.utc), Month(2019, 4)),
        ("Asia/Tokyo", datetime(2019, 2, 28, 15, tzinfo=timezone.utc), Month(2019, 3)),
    ],
)
def test_the_month_of_a_moment_is_that_of_the_source_s_time_zone(
    zone: str, moment: datetime, month: Month, tmp_path: Path
) -> None:
    assert load_source(write(tmp_path, timezone=zone)).month_of(moment) == month


@pytest.mark.parametrize(
    ("month", "days", "due"),
    [
        (Month(2026, 8), 90, date(2026, 11, 30)),
        (Month(2026, 12), 0, date(2027, 1, 1)),
        (Month(2024, 1), 29, date(2024, 3, 1)),
    ],
)
def test_a_month_is_due_some_days_after_its_end(month: Month, days: int, due: date, tmp_path: Path) -> None:
    assert load_source(write(tmp_path, publication_lag_days=days)).due(month) == due


@pytest.mark.parametrize(
    ("schedule", "period", "zone", "begins"),
    [
        ("0 9 1 * *", "month", "UTC", datetime(2026, 11, 30, 9, tzinfo=timezone.utc)),
        ("30 6 2 * *", "month", "America/New_York", datetime(2026, 11, 30, 11, 30, tzinfo=timezone.utc)),
        ("@once", "none", "UTC", datetime(2026, 11, 30, tzinfo=timezone.utc)),
        (None, "none", "UTC", datetime(2026, 11, 30, tzinfo=timezone.utc)),
    ],
)
def test_a_day_begins_when_the_schedule_starts_runs(
    schedule: str | None, period: Literal["month", "none"], zone: str, begins: datetime
) -> None:
    """Before that hour, nothing says that a month is missing whose run the schedule has not started yet."""
    source = replace(LIME, schedule=schedule, period=period, timezone=zone)

    assert source.today(begins) == date(2026, 11, 30)
    assert source.today(begins - timedelta(minutes=1)) == date(2026, 11, 29)


def test_a_month_outside_the_first_and_the_last_is_not_available() -> None:
    months = [Month(2018, 12), Month(2019, 1), Month(2019, 2), Month(2019, 3)]
    ends = ending(LIME, Month(2019, 2))

    where = "include/sources/lime.yaml says that there are the months"
    assert [LIME.why_unavailable(month) for month in months] == [
        f"lime 2018-12: not available: {where} from 2019-01 on",
        None,
        None,
        None,
    ]
    assert [ends.why_unavailable(month) for month in months] == [
        f"lime 2018-12: not available: {where} 2019-01 to 2019-02",
        None,
        None,
        f"lime 2019-03: not available: {where} 2019-01 to 2019-02",
    ]


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "green.yaml").write_text("title: [")

    with pytest.raises(SourceConfigError, match=r"green.yaml: not a YAML file"):
        load_sources(tmp_path)


def test_two_sources_share_no_main_table(tmp_path: Path) -> None:
    write(tmp_path, "amber", main_table="trips")
    write(tmp_path, "blue")
    write(tmp_path, "lime", main_table="trips")

    sources, errors = read_sources(tmp_path)

    advice = "give each source a table of its own"
    assert [source.name for source in sources] == ["blue"]
    assert list(map(str, errors)) == [
        f"{tmp_path}/amber.yaml: main_table 'trips' is that of lime.yaml too: {advice}",
        f"{tmp_path}/lime.yaml: main_table 'trips' is that of amber.yaml too: {advice}",
    ]
    with pytest.raises(SourceConfigError, match=r"amber\.yaml: .*; .*lime\.yaml: "):
        load_sources(tmp_path)


def test_a_wrong_file_leaves_the_others(tmp_path: Path) -> None:
    write(tmp_path, "amber", main_table="amber_trips", owner=...)
    lime = write(tmp_path, "lime")
    (tmp_path / "mauve.yaml").mkdir()
    (tmp_path / "white.yaml").write_text("title: [")

    sources, errors = read_sources(tmp_path)

    assert sources == (load_source(lime),)
    assert [str(error).removeprefix(str(tmp_path))[:40] for error in errors] == [
        "/amber.yaml:1: missing keys: owner; a so",
        "/mauve.yaml: can't be read: Is a directo",
        "/white.yaml: not a YAML file: while pars",
    ]


def test_sources_that_are_all_wrong_are_no_empty_folder(tmp_path: Path) -> None:
    write(tmp_path, owner=...)

    sources, (error,) = read_sources(tmp_path)

    assert sources == ()
    assert "missing keys: owner" in str(error)


def test_a_folder_without_sources_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceConfigError) as caught:
        load_sources(tmp_path)

    assert str(caught.value) == f"{tmp_path}: no source here: expected at least one *.yaml file"


ALONE: dict[str, Any] = {
    "period": "none",
    "schedule": ...,
    "releases": [{"connection": "limes", "path": "misc/lime.csv", "format": "csv"}],
}


def test_a_file_of_no_month_has_one_fixed_period(tmp_path: Path) -> None:
    lime = load_source(write(tmp_path, **ALONE))

    assert lime.stands_alone
    assert lime.schedule is None
    assert lime.releases == (Release(WHOLE, WHOLE, "limes", "misc/lime.csv", "csv"),)
    assert (lime.filename(WHOLE), lime.download_name(WHOLE)) == ("lime.csv", "lime.csv")
    assert lime.file_path(WHOLE) == "misc/lime.csv"
    assert lime.why_unavailable(WHOLE) is None
    assert lime.layout_of(WHOLE).columns == lime.columns
    for year in (1969, 2019):
        assert lime.month_of(datetime(year, 7, 1, tzinfo=timezone.utc)) == WHOLE
    assert lime.why_unavailable(Month(2019, 1)) == (
        "lime 2019-01: not available: include/sources/lime.yaml says that there is one file, of no month"
    )


@pytest.mark.parametrize("schedule", ["@once", "0 6 * * 1", "* * * * *", "59 23 28 12 0"])
def test_a_file_of_no_month_may_be_loaded_at_any_time(schedule: str, tmp_path: Path) -> None:
    assert load_source(write(tmp_path, **{**ALONE, "schedule": schedule})).schedule == schedule


NO_MONTH = "with period: none, a file is of no month"


@pytest.mark.parametrize(
    ("key", "changes", "said"),
    [
        ("from", {"releases": [{**ALONE["releases"][0], "from": "2019-01"}]}, f"not to be there: {NO_MONTH}"),
        ("to", {"releases": [{**ALONE["releases"][0], "to": "2019-01"}]}, f"not to be there: {NO_MONTH}"),
        (
            "path",
            {"releases": [{**ALONE["releases"][0], "path": "lime_{month}.csv"}]},
            f"to have no {{month}} and no braces: {NO_MONTH}",
        ),
        ("path", {"releases": [{**ALONE["releases"][0], "path": "lime.tsv"}]}, "to end in .csv, as its format says"),
        ("releases", {"releases": ALONE["releases"] * 2}, f"to be one release: {NO_MONTH}"),
        ("since", {"columns": [{**DOCUMENT["columns"][0], "since": "2019-01"}]}, f"not to be there: {NO_MONTH}"),
        (
            "measure",
            {
                "checks": [
                    {"name": "a", "measure": "rows_to_neighbours", "at_least": 1, "severity": "warn", "message": "look"}
                ]
            },
            f"to be one of {', '.join(name for name in MEASURES if name not in MEASURES_OF_MONTHS)}: {NO_MONTH}",
        ),
        ("publication_lag_days", {"publication_lag_days": 90}, f"not to be there: {NO_MONTH}"),
        *(
            ("schedule", {"schedule": wrong}, f"schedule is {wrong!r}: expected it to be @once, or a cron whose fields")
            for wrong in ("@daily", "0 9 31 * *", "*/5 9 1 * *", "0 9 1 *", "@once\n", None)
        ),
        ("period", {"period": "week"}, "to be one of month, none"),
    ],
)
def test_what_only_months_have_is_named(key: str, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write(tmp_path, **{**ALONE, **changes})

    with pytest.raises(SourceConfigError) as caught:
        load_source(path)

    assert f"{path}:{line_of(path, key)}: " in str(caught.value)
    assert said in str(caught.value)


def test_a_monthly_source_may_begin_behind_the_month_that_stands_for_none(tmp_path: Path) -> None:
    assert load_source(write(tmp_path, releases=[release(**{"from": "1970-02"})])).first_month == Month(1970, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": ...}, "schedule is missing: expected it to be a monthly cron"),
        ({"schedule": "@once"}, "schedule is '@once': expected it to be a monthly cron"),
        ({"releases": [release(**{"from": ...})]}, "expected it to have from, the first month"),
        *(
            (
                {"releases": [release(**{"from": first, "to": "2019-07"})]},
                f"from is '{first}': expected it to be 1970-02 or later: 1970-01 stands for a file of no month",
            )
            for first in ("1970-01", "1969-12", "1000-01")
        ),
        (
            {"columns": [{**DOCUMENT["columns"][0], "until": "1970-01"}, *DOCUMENT["columns"][1:]]},
            "until is '1970-01': expected it not to be before the first month",
        ),
    ],
)
def test_what_months_need_is_named(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceConfigError, match=said):
        load_source(write(tmp_path, **changes))
