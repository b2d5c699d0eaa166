from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml

from taxiway.errors import SourceConfigError
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source, load_sources


def test_both_colours_are_there() -> None:
    assert [source.name for source in load_sources(SOURCES_FOLDER)] == ["green", "yellow"]


def test_green_is_laid_out_as_the_mirror_has_it(green: Source) -> None:
    month = Month(2019, 3)

    assert green.file_path(month) == "green/green_tripdata_2019-03.csv.gz"
    assert green.filename(month) == "green_tripdata_2019-03.csv.gz"
    assert [column.name for column in green.columns][:3] == [
        "vendorid",
        "lpep_pickup_datetime",
        "lpep_dropoff_datetime",
    ]
    assert len(green.columns) == 20


@pytest.mark.parametrize("name", ["green", "yellow"])
def test_headers_are_those_of_the_real_files(name: str, tlc: Path) -> None:
    import gzip

    source = load_source(SOURCES_FOLDER / f"{name}.yaml")
    for path in sorted((tlc / "heads" / name).iterdir()):
        with gzip.open(path, "rt") as stream:
            assert stream.readline().strip().split(",") == [column.header for column in source.columns], path.name


BAD = [
    ("first_month", "2019-13", "first_month is '2019-13': expected it to be a month"),
    ("first_month", 2019, "expected it to be a month"),
    ("main_table", "green; DROP TABLE x", "main_table is"),
    ("main_table", "Green", "main_table is"),
    ("main_table", "g" * 33, "main_table is"),
    ("file", "green.parquet", "file is"),
    ("file", "green.csv.gz", "to hold {month} once"),
    ("path", "../{month}/green_tripdata_{month}.csv.gz", "path is"),
    ("path", "/etc/green_tripdata_{month}.csv.gz", "path is"),
    ("path", "a/../green_tripdata_{month}.csv.gz", "path is"),
    ("path", "green/other_{month}.csv.gz", "to end in the name under 'file'"),
    ("path", "gr%20een/green_tripdata_{month}.csv.gz", "letters, digits, dots, underscores, hyphens and slashes"),
    ("path", "gr een/green_tripdata_{month}.csv.gz", "letters, digits, dots, underscores, hyphens and slashes"),
    ("path", "grün/green_tripdata_{month}.csv.gz", "letters, digits, dots, underscores, hyphens and slashes"),
    ("path", "green/green_tripdata_{year}-{month}.csv.gz", "to hold {month} once, and no other braces"),
    ("path", "green/green_tripdata_{month.csv.gz", "to hold {month} once, and no other braces"),
    ("file", "green%_{month}.csv.gz", "letters, digits, dots, underscores and hyphens"),
    ("file", "green_{month}_{month}.csv.gz", "to hold {month} once, and no other braces"),
    ("first_month", "2019-3", "expected it to be a month \\(YYYY-MM\\)"),
    ("first_month", "201903", "expected it to be a month \\(YYYY-MM\\)"),
    ("first_month", date(2019, 3, 1), "expected it to be a month \\(YYYY-MM\\)"),
    ("path", "green/{{ x }}_{month}.csv.gz", "path is"),
    ("schedule", "every month", "schedule is"),
    ("schedule", "0 9 * * *", "expected it to be a monthly cron"),
    ("schedule", "0 99 1 * *", "expected it to be a monthly cron"),
    ("schedule", "0 9 31 * *", "expected it to be a monthly cron"),
    ("tags", "taxi", "tags is"),
    ("tags", ["a b"], "tags is"),
    ("allow_empty", "no", "allow_empty is"),
    ("title", "", "title is"),
    ("columns", [], "columns is"),
    ("columns", [{"name": "a"}], "columns\\[0\\] is"),
    ("columns", [{"name": "a", "type": "float", "description": "x"}], "columns\\[0\\].type is 'float'"),
    ("columns", [{"name": 'a"', "type": "text", "description": "x"}], "columns\\[0\\].name is"),
    ("columns", [{"name": "filename", "type": "text", "description": "x"}], "none of unique_row_id, filename"),
    (
        "columns",
        [{"name": "Source_Month", "type": "text", "description": "x"}],
        "none of unique_row_id, .*source_month",
    ),
    ("columns", [{"name": "row_count", "type": "integer", "description": "x"}], "none of unique_row_id, .*row_count"),
    ("main_table", "months", "to be none of load_events, loads, months, rejected_rows"),
    ("columns", [{"name": "XMIN", "type": "text", "description": "x"}], "columns\\[0\\].name is 'XMIN'"),
    ("last_month", "2018-12", "last_month is '2018-12': expected it not to be before first_month"),
    ("max_rejected_share", 2, "max_rejected_share is 2: expected it to be a share"),
    ("columns", [{"name": "a", "type": "text", "description": " "}], "columns\\[0\\].description is"),
    (
        "columns",
        [{"name": "a", "type": "text", "description": "x"}, {"name": "A", "type": "text", "description": "x"}],
        "columns\\[1\\].name is 'a': expected it to stand once",
    ),
]


@pytest.mark.parametrize(("key", "value", "said"), BAD, ids=[f"{key}-{index}" for index, (key, _, _) in enumerate(BAD)])
def test_a_value_that_does_not_fit_is_named(key: str, value: object, said: str, tmp_path: Path) -> None:
    document = yaml.safe_load((SOURCES_FOLDER / "green.yaml").read_text())
    path = tmp_path / "green.yaml"
    path.write_text(yaml.safe_dump({**document, key: value}))

    with pytest.raises(SourceConfigError, match=said) as caught:
        load_source(path)

    assert str(path) in str(caught.value)


def test_missing_and_unknown_keys_are_named(tmp_path: Path) -> None:
    document = yaml.safe_load((SOURCES_FOLDER / "green.yaml").read_text())
    del document["owner"]
    (tmp_path / "green.yaml").write_text(yaml.safe_dump({**document, "colour": "green"}))

    with pytest.raises(SourceConfigError, match="missing keys: owner; unknown keys: colour"):
        load_sources(tmp_path)


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "green.yaml").write_text("title: [")

    with pytest.raises(SourceConfigError, match=r"green.yaml: not a YAML file"):
        load_sources(tmp_path)


def test_two_sources_share_no_main_table(tmp_path: Path) -> None:
    shutil.copy(SOURCES_FOLDER / "green.yaml", tmp_path / "green.yaml")
    shutil.copy(SOURCES_FOLDER / "green.yaml", tmp_path / "lime.yaml")

    with pytest.raises(SourceConfigError, match=r"main_table 'green_tripdata' is that of green.yaml too"):
        load_sources(tmp_path)


def test_a_folder_without_sources_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceConfigError, match=r"expected at least one \*.yaml file"):
        load_sources(tmp_path)
