"""Parquet files have the rows and ids that are computed outside of any warehouse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxiway.errors import DestructiveCorrectionError, HeaderError, RejectLimitError
from taxiway.loads.load import Counts
from taxiway.loads.row_identity import digest
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from tests.conformance.conftest import Months
from tests.conformance.harness import Harness
from tests.conformance.run import Run


def in_parquet(source: Source) -> Source:
    """Return the source with a release of the format parquet."""
    release = source.releases[0]
    path = f"trip-data/{source.name}_tripdata_{{month}}.parquet"
    return replace(source, releases=(replace(release, last=None, path=path, format="parquet"),))


def written(months: Months, columns: Mapping[str, Any]) -> tuple[Source, Path]:
    """Write a month's file."""
    source = in_parquet(months.source)
    path = months.folder / source.download_name(months.month)
    pq.write_table(pa.table(dict(columns)), path)
    return source, path


def golden(tlc: Path, name: str) -> tuple[int, str]:
    """Rows and digest of a file, as they were computed outside the project."""
    files = {each["file"]: each for each in json.loads((tlc / "golden_row_ids.json").read_text())["files"]}
    return files[name]["rows"], files[name]["digest"]


def published(harness: Harness, run: Run) -> tuple[int, str]:
    ids = harness.ids(run.load)
    return len(ids), digest(ids)


@pytest.mark.parametrize("month", ["2023-02", "2024-01", "2025-01"])
def test_official_files_have_the_golden_ids(harness: Harness, tlc: Path, month: str) -> None:
    """By the shipped source, with the columns that it has since then."""
    source = replace(load_source(SOURCES_FOLDER / "green.yaml"), name="official", main_table="official_trips")
    name = f"parquet/green_tripdata_{month}.parquet"
    run = Run.of(harness, source, Month.parse(month), "manual__1")

    run.complete(tlc / name)

    assert published(harness, run) == golden(tlc, name)
    found = harness.ask(
        f"SELECT DISTINCT filename FROM {harness.main_table(source)} WHERE {harness.of_month(run.load)}"
    )
    assert [row[0] for row in found] == [Path(name).name]


def test_a_month_moves_to_another_release_and_back(harness: Harness, green: Source, tlc: Path) -> None:
    april, official = Month(2020, 4), in_parquet(green)
    csv, parquet = "months/green/green_tripdata_2020-04.csv.gz", "parquet/green_tripdata_2020-04.parquet"

    from_mirror = Run.of(harness, green, april, "manual__1")
    assert from_mirror.complete(tlc / csv) == Counts(35_612, 0, 0)
    held_back = Run.of(harness, official, april, "manual__2")
    with pytest.raises(DestructiveCorrectionError, match="would delete 11110 of the 35612 published rows"):
        held_back.complete(tlc / parquet)
    # The two files write a third of the rows in different ways.
    moved = replace(Run.of(harness, official, april, "manual__3"), accepts=True)

    # Every row says from which file it is, so all of them are replaced, also those whose ids are the same.
    assert moved.complete(tlc / parquet) == Counts(35_644, 35_612, 0)

    assert published(harness, moved) == golden(tlc, parquet)
    entries = [entry for entry in harness.attempts(moved.load) if entry.run_id != held_back.load.run_id]
    assert [entry.url and entry.url.rpartition("/")[2] for entry in entries] == [Path(csv).name, Path(parquet).name]
    found = harness.ask(
        f"SELECT DISTINCT filename FROM {harness.main_table(green)} WHERE {harness.of_month(moved.load)}"
    )
    assert [row[0] for row in found] == ["green_tripdata_2020-04.parquet"]

    back = replace(Run.of(harness, green, april, "manual__4"), accepts=True)
    assert back.complete(tlc / csv) == Counts(35_612, 35_644, 0)
    assert published(harness, back) == golden(tlc, csv)


def test_values_that_cannot_be_read_are_rejected_with_position_column_and_value(
    harness: Harness, months: Months
) -> None:
    day = datetime(months.month.year, months.month.number, 1, 8)
    times = pa.array([day] * 6, pa.timestamp("us")).cast(pa.int64()).to_pylist()
    times[4] = 10**18
    columns = {
        "lpep_pickup_datetime": pa.array(times, pa.int64()).cast(pa.timestamp("us")),
        "store_and_fwd_flag": pa.array(["N", "two\nlines", None, "a,b", "N", "N"]),
        "PULocationID": pa.array([1.0, 2, 3.5, 4, None, 6]),
        "fare_amount": pa.array([1.5, 2.5, 3.5, 4.5, 5.5, float("nan")]),
    }
    assert {name.lower() for name in columns} == {column.name for column in months.source.columns}
    source, path = written(months, columns)
    run = months.run(source=replace(source, max_rejected_share=0.9))

    assert run.complete(path) == Counts(2, 0, 0)

    rejects = harness.rejects(run.load)
    assert [row[0] for row in rejects] == [3, 4, 6, 7]
    for row, part in zip(
        rejects,
        ("store_and_fwd_flag is '\\x1ftwo\\\\nlines'", "PULocationID is '3.5'", "lpep_pickup_datetime is '",
         "fare_amount is 'nan'"),
        strict=True,
    ):  # fmt: skip
        assert row[2].startswith(part)
    with pytest.raises(RejectLimitError, match=r"line 3: store_and_fwd_flag is"):
        months.run("manual__2", source=source).complete(path, force=True)
    assert len(harness.ids(run.load)) == 2


def test_doubles_of_more_than_nine_places_need_the_type_text_in_bigquery(harness: Harness, months: Months) -> None:
    day = datetime(months.month.year, months.month.number, 1, 8)
    columns = {
        "lpep_pickup_datetime": pa.array([day] * 2, pa.timestamp("us")),
        "store_and_fwd_flag": pa.array(["N", "N"]),
        "PULocationID": pa.array([1, 2]),
        "fare_amount": pa.array([0.1 + 0.2, 0.123456789]),
    }
    source, path = written(months, columns)
    run = months.run(source=replace(source, max_rejected_share=0.9))
    rejected = {"postgres": 0, "bigquery": 1}[harness.name]

    assert run.complete(path) == Counts(2 - rejected, 0, 0)
    found = [row[2].partition(",")[0] for row in harness.rejects(run.load)]
    assert found == ["fare_amount is '0.30000000000000004'"] * rejected

    # As docs/sources.md advises.
    as_text = replace(
        source,
        name="texts",
        main_table="texts",
        checks=(),
        columns=tuple(
            replace(column, type="text") if column.name == "fare_amount" else column for column in source.columns
        ),
    )
    again = Run.of(harness, as_text, months.month, "manual__2")
    assert again.complete(path) == Counts(2, 0, 0)
    assert harness.rejects(again.load) == []


def test_a_new_column_has_the_type_of_the_file_s_schema(harness: Harness, months: Months) -> None:
    """Its values alone would give another one."""
    columns = {
        "lpep_pickup_datetime": pa.array([datetime(months.month.year, months.month.number, 1, 8)]),
        "store_and_fwd_flag": pa.array(["N"]),
        "PULocationID": pa.array([1]),
        "fare_amount": pa.array([1.5]),
        "cbd_fee": pa.array([1.0]),
        "base": pa.array(["00254"]),
    }
    source, path = written(months, columns)
    run = months.run(source=source)

    with pytest.raises(HeaderError) as caught:
        run.complete(path)

    assert "- {name: cbd_fee, type: numeric, " in str(caught.value)
    assert "- {name: base, type: text, " in str(caught.value)
    ignoring = months.run("manual__2", source=replace(source, on_new_column="ignore"))
    assert ignoring.complete(path) == Counts(1, 0, 0)
    assert "left out, as on_new_column says: cbd_fee, base" in harness.attempts(ignoring.load)[-1].warnings
