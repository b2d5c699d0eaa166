"""The sources for-hire vehicles and zones, a file of no month: made-up files, and real ones if they are at hand."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from taxiway.loads.load import Counts
from taxiway.loads.row_identity import unique_row_ids
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Layout, Source, load_source
from taxiway_local.samples import SampleMonth, write_sample_month
from tests.conformance.harness import Harness
from tests.conformance.run import Run
from tests.tlc_files import write_tlc_file


@pytest.fixture(scope="module")
def zones() -> Source:
    return load_source(SOURCES_FOLDER / "zones.yaml")


@pytest.fixture(scope="module")
def fhv() -> Source:
    return load_source(SOURCES_FOLDER / "fhv.yaml")


def sample(source: Source, month: Month, folder: Path, rows: int = 265, revision: int = 0) -> SampleMonth:
    path = folder / str(revision) / source.download_name(month)
    return write_sample_month(source, month, path, rows=rows, revision=revision)


def ids_of(layout: Layout, path: Path) -> list[str]:
    """The ids of a file whose columns are in the layout's order."""
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
    _, *rows = csv.reader(text.splitlines())
    return sorted(unique_row_ids(layout.columns, rows))


def in_words(harness: Harness, run: Run, names: Sequence[str], where: str) -> list[tuple[object, ...]]:
    table = harness.main_table(run.load.source)
    return [tuple(row) for row in harness.ask(f"SELECT {', '.join(names)} FROM {table} WHERE {where} ORDER BY 1")]


def test_zones_are_loaded_once_and_corrected(harness: Harness, zones: Source, tmp_path: Path) -> None:
    # A table of the test's own: each test of the module loads the one period that there is.
    zones = replace(zones, name="zones_1", main_table="zones_1")
    first, second, third, fourth = (Run.of(harness, zones, WHOLE, f"manual__{number}") for number in range(4))
    file, corrected = sample(zones, WHOLE, tmp_path), sample(zones, WHOLE, tmp_path, revision=1)

    assert first.complete(file.path) == Counts(265, 0, 0)
    assert harness.ids(first.load) == ids_of(Layout(zones.columns), file.path)
    names = ("locationid", "borough", "zone", "service_zone", "filename")
    name = "taxi_zone_lookup.csv"
    assert in_words(harness, first, names, "locationid > 263") == [
        (264, "Unknown", "NV", "N/A", name),
        (265, "Unknown", "NA", "N/A", name),
    ]
    assert [str(row[0]) for row in in_words(harness, first, ["source_month"], "locationid = 1")] == ["1970-01-01"]

    assert second.download(file.path).nothing_to_do is not None
    assert third.complete(file.path, force=True) == Counts(0, 0, 265)
    counts = fourth.complete(corrected.path)
    assert counts == Counts(corrected.inserted, corrected.deleted, corrected.unchanged)
    assert harness.ids(fourth.load) == ids_of(Layout(zones.columns), corrected.path)

    assert [entry.state for entry in harness.attempts(first.load)] == [
        "published",
        "unchanged",
        "published",
        "published",
    ]
    assert [entry.warnings for entry in harness.attempts(first.load)] == [()] * 4
    assert harness.left_behind(first.load) == []


def test_a_step_of_a_file_of_no_month_is_tried_again(harness: Harness, zones: Source, tmp_path: Path) -> None:
    zones = replace(zones, name="zones_2", main_table="zones_2")
    run = Run.of(harness, zones, WHOLE, "manual__1")
    file = sample(zones, WHOLE, tmp_path)
    run.download(file.path)
    harness.lose_worker(run.load, "stage_month")
    for name in run.load.steps[1:-1]:
        run.do(name, again=True)

    assert run.publish(again=True) == Counts(265, 0, 0)

    assert harness.ids(run.load) == ids_of(Layout(zones.columns), file.path)


def test_the_real_zones(harness: Harness, zones: Source, tlc: Path) -> None:
    zones = replace(zones, name="zones_3", main_table="zones_3")
    path = tlc / "months" / "misc" / "taxi_zone_lookup.csv"
    run = Run.of(harness, zones, WHOLE, "manual__1")

    assert run.complete(path) == Counts(265, 0, 0)

    assert harness.ids(run.load) == ids_of(Layout(zones.columns), path)
    named = in_words(harness, run, ["locationid", "zone", "service_zone"], "service_zone = 'N/A'")
    assert {(264, "NV", "N/A"), (265, "NA", "N/A")} <= set(named)
    assert Run.of(harness, zones, WHOLE, "manual__2").download(path).nothing_to_do is not None


def test_a_sample_of_for_hire_vehicles(harness: Harness, fhv: Source, tmp_path: Path) -> None:
    month = Month(2019, 3)
    fhv = replace(fhv, name="fhv_1", main_table="fhv_1")
    file = sample(fhv, month, tmp_path, rows=300)
    run = Run.of(harness, fhv, month, "manual__1")

    assert run.complete(file.path) == Counts(300, 0, 0)

    assert harness.ids(run.load) == ids_of(Layout(fhv.columns), file.path)
    assert Run.of(harness, fhv, month, "manual__2").download(file.path).nothing_to_do is not None


def test_for_hire_vehicles_of_six_columns(harness: Harness, fhv: Source, tlc: Path) -> None:
    """Their headers differ in case, and lack the seventh column."""
    paths = sorted((tlc / "heads" / "fhv").glob("*.csv.gz"))
    assert len(paths) == 18
    for path in paths if harness.name == "postgres" else paths[::6]:
        month = Month.parse(path.name.removeprefix("fhv_tripdata_").removesuffix(".csv.gz"))
        run = Run.of(harness, fhv, month, "manual__1")

        assert run.complete(path) == Counts(100, 0, 0), month

        assert harness.ids(run.load) == ids_of(Layout(fhv.columns[:6]), path), month
        assert in_words(harness, run, ["COUNT(*)", "COUNT(affiliated_base_number)"], harness.of_month(run.load)) == [
            (100, 0)
        ]
        assert Run.of(harness, fhv, month, "manual__2").download(path).nothing_to_do is not None


@pytest.mark.parametrize("name", ["fhv", "fhvhv"])
def test_for_hire_vehicles_that_somebody_has_saved_again(harness: Harness, name: str, tlc: Path) -> None:
    path = tlc / "resaved" / f"{name}_tripdata_2020-04.1000rows.csv"
    source, month = load_source(SOURCES_FOLDER / f"{name}.yaml"), Month(2020, 4)
    saved = replace(source.release_of(month), path=f"{name}_tripdata_{{month}}.1000rows.csv", format="csv")
    source = replace(source, releases=(saved,), name=f"{name}_2", main_table=f"{name}_2")
    run = Run.of(harness, source, month, "manual__1")

    assert run.complete(path) == Counts(1000, 0, 0)

    assert harness.ids(run.load) == ids_of(source.layout_of(month), path)
    assert harness.rejects(run.load) == []


@pytest.mark.parametrize(
    ("name", "month"), [("green", "2021-08"), ("yellow", "2025-01"), ("fhv", "2023-03"), ("fhvhv", "2019-02")]
)
def test_samples_of_the_tlc_s_own_files(harness: Harness, name: str, month: str, tmp_path: Path) -> None:
    source = load_source(SOURCES_FOLDER / f"{name}.yaml")
    source = replace(source, name=f"{name}_3", main_table=f"{name}_3")
    file = sample(source, Month.parse(month), tmp_path, rows=60)
    run = Run.of(harness, source, Month.parse(month), "manual__1")

    assert run.complete(file.path) == Counts(60, 0, 0)

    assert len(set(harness.ids(run.load))) == 60
    assert harness.rejects(run.load) == []


@pytest.mark.parametrize(
    ("name", "month", "row_group"),
    [
        ("green", "2021-08", None),
        ("green", "2023-02", 7),
        ("green", "2026-06", 64),
        ("yellow", "2021-08", 7),
        ("yellow", "2023-02", None),
        ("yellow", "2025-01", 7),
        ("yellow", "2026-06", 16),
        ("fhv", "2021-08", 7),
        ("fhv", "2023-02", None),
        ("fhvhv", "2019-02", 7),
        ("fhvhv", "2023-02", None),
        ("fhvhv", "2025-01", 7),
    ],
)
def test_files_with_the_schemas_of_the_tlc_s_own(
    harness: Harness, name: str, month: str, row_group: int | None, tmp_path: Path
) -> None:
    """Old and new types, columns of nulls, both compressions, one and several row groups."""
    source, of = load_source(SOURCES_FOLDER / f"{name}.yaml"), Month.parse(month)
    file = write_tlc_file(name, of, tmp_path, row_group=row_group)
    layout = source.layout_of(of)
    run = Run.of(harness, replace(source, name=f"{name}_4", main_table=f"{name}_4"), of, "manual__1")

    assert run.complete(file.path) == Counts(len(file.rows), 0, 0)

    rows = [[row[column.name] for column in layout.columns] for row in file.rows]
    assert harness.ids(run.load) == sorted(unique_row_ids(layout.columns, rows))
    assert harness.rejects(run.load) == []
