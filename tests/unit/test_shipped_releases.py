"""The releases and layouts of the shipped sources, and what the TLC's files have."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from taxiway.files.csv_header import match_header
from taxiway.files.parquet_file import ParquetFile
from taxiway.loads.row_identity import unique_row_ids
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import load_source
from taxiway_local.samples import write_sample_month
from taxiway_local.setup import ADDRESSES

MIRROR, OFFICIAL = ("tlc_mirror", "csv.gz"), ("tlc_official", "parquet")


@pytest.mark.parametrize(
    ("name", "month", "release", "columns"),
    [
        ("green", "2021-07", MIRROR, 20),
        ("green", "2021-08", OFFICIAL, 20),
        ("green", "2024-12", OFFICIAL, 20),
        ("green", "2025-01", OFFICIAL, 21),
        ("green", "2026-06", OFFICIAL, 22),
        ("yellow", "2019-01", MIRROR, 18),
        ("yellow", "2021-07", MIRROR, 18),
        ("yellow", "2021-08", OFFICIAL, 19),
        ("yellow", "2024-12", OFFICIAL, 19),
        ("yellow", "2025-01", OFFICIAL, 20),
        ("yellow", "2026-06", OFFICIAL, 21),
        ("fhv", "2021-07", MIRROR, 7),
        ("fhv", "2021-08", OFFICIAL, 7),
        ("fhvhv", "2019-02", OFFICIAL, 24),
        ("fhvhv", "2024-12", OFFICIAL, 24),
        ("fhvhv", "2025-01", OFFICIAL, 25),
        ("fhvhv", "2031-12", OFFICIAL, 25),
    ],
)
def test_a_month_has_the_release_and_the_columns_of_its_time(
    name: str, month: str, release: tuple[str, str], columns: int
) -> None:
    source, found = load_source(SOURCES_FOLDER / f"{name}.yaml"), Month.parse(month)

    assert source.why_unavailable(found) is None
    assert (source.release_of(found).connection, source.release_of(found).format) == release
    assert release[0] in ADDRESSES
    assert len(source.layout_of(found).columns) == columns
    if release == OFFICIAL:
        assert source.file_path(found) == f"trip-data/{name}_tripdata_{month}.parquet"


@pytest.mark.parametrize(
    ("name", "layouts"),
    [
        ("green", {"1215b44ac1f9"}),
        ("yellow", {"7599530a6f0f"}),
        ("fhv", {"2aa61fbbdbf8", "3dc4a064e77c"}),
    ],
)
def test_layouts_of_the_mirror_stay_what_they_are(name: str, layouts: set[str]) -> None:
    """Loaded months keep their ids: with another layout, they would be loaded again."""
    source = load_source(SOURCES_FOLDER / f"{name}.yaml")
    month = source.first_month
    while month <= Month(2021, 7):
        assert set(source.layouts_of(month)) == layouts, month
        month = month.next()


def test_a_month_of_the_tlc_may_be_absent_until_three_months_have_passed() -> None:
    green = load_source(SOURCES_FOLDER / "green.yaml")

    assert green.due(Month(2026, 8)) == date(2026, 11, 30)


@pytest.mark.parametrize("month", ["2023-02", "2024-01", "2025-01"])
def test_the_official_files_have_the_columns_of_their_month(month: str, tlc: Path) -> None:
    green = load_source(SOURCES_FOLDER / "green.yaml")
    names = pq.read_schema(tlc / "parquet" / f"green_tripdata_{month}.parquet").names

    assert {name.lower() for name in names} == {column.name for column in green.layout_of(Month.parse(month)).columns}


@pytest.mark.parametrize("name", ["fhv", "fhvhv"])
def test_headers_of_for_hire_vehicles_are_those_of_the_real_files(name: str, tlc: Path) -> None:
    source = load_source(SOURCES_FOLDER / f"{name}.yaml")
    line = (tlc / "resaved" / f"{name}_tripdata_2020-04.1000rows.csv").read_bytes().splitlines()[0]

    columns = match_header(source, Month(2020, 4), line)

    assert columns == source.layout_of(Month(2020, 4)).columns


def test_the_airport_fee_is_found_in_either_spelling() -> None:
    yellow, month = load_source(SOURCES_FOLDER / "yellow.yaml"), Month(2023, 2)
    *rest, fee = [column.header for column in yellow.layout_of(month).columns]
    assert fee == "airport_fee"

    for spelling in ("airport_fee", "Airport_fee"):
        columns = match_header(yellow, month, ",".join([*rest, spelling]).encode())
        assert columns[-1].name == "airport_fee"


@pytest.mark.parametrize(
    ("name", "month"),
    [("green", "2021-08"), ("green", "2026-06"), ("yellow", "2025-01"), ("fhv", "2022-01"), ("fhvhv", "2019-02")],
)
def test_samples_in_parquet_have_the_columns_of_their_month(name: str, month: str, tmp_path: Path) -> None:
    source, found = load_source(SOURCES_FOLDER / f"{name}.yaml"), Month.parse(month)
    layout = source.layout_of(found)

    sample = write_sample_month(source, found, tmp_path / source.download_name(found), rows=500)

    assert pq.read_schema(sample.path).names == [column.header for column in layout.columns]
    text = b"".join(ParquetFile().blocks(sample.path, layout)).decode()
    _, *rows = csv.reader(text.splitlines())
    assert len(set(unique_row_ids(layout.columns, rows))) == 500


def test_a_corrected_sample_in_parquet_has_the_rows_that_it_says(tmp_path: Path) -> None:
    source, month = load_source(SOURCES_FOLDER / "fhvhv.yaml"), Month(2024, 1)
    layout = source.layout_of(month)
    ids = list[set[str]]()
    for revision in (0, 1):
        path = tmp_path / str(revision) / source.download_name(month)
        corrected = write_sample_month(source, month, path, rows=900, revision=revision)
        text = b"".join(ParquetFile().blocks(path, layout)).decode()
        ids.append(set(unique_row_ids(layout.columns, [*csv.reader(text.splitlines())][1:])))

    before, after = ids
    assert (len(after - before), len(before - after)) == (corrected.inserted, corrected.deleted)
    assert len(before & after) == corrected.unchanged
