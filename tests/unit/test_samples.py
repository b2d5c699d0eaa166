from __future__ import annotations

import csv
import gzip
import hashlib
import io
import itertools
import os
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq
import pytest
import yaml

from taxiway.errors import InvalidArgumentError
from taxiway.files.formats import FORMATS
from taxiway.loads.row_identity import unique_row_ids
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.sources.source_file import COLUMN_TYPES
from taxiway_local.samples import WRITERS, SampleMonth, main, write_sample_month, write_sample_months
from tests.releases import on_mirror

MARCH = Month(2019, 3)
AMOUNTS = (
    *("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount"),
    *("improvement_surcharge", "congestion_surcharge"),
)
EMPTY_AT_THE_END = (
    *("VendorID", "store_and_fwd_flag", "RatecodeID", "passenger_count"),
    *("payment_type", "trip_type", "congestion_surcharge"),
)

Rows = list[dict[str, str]]


@pytest.fixture(scope="module", params=["green", "yellow"])
def colour(request: pytest.FixtureRequest) -> Source:
    return on_mirror(load_source(SOURCES_FOLDER / f"{request.param}.yaml"))


@pytest.fixture(scope="module")
def month_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Source], Rows]:
    """10,000 trips of March 2019, made once for each colour."""
    folder = tmp_path_factory.mktemp("months")

    @cache
    def make(source: Source) -> Rows:
        return rows_of(write_sample_months([source], [MARCH], folder, 10_000)[0].path)

    return make


@pytest.fixture
def other_source(tmp_path: Path) -> Callable[..., Source]:
    """Builds a source with columns of its own, by way of a YAML file."""

    def build(*columns: tuple[str, str]) -> Source:
        document = yaml.safe_load((SOURCES_FOLDER / "green.yaml").read_text(encoding="utf-8"))
        document["columns"] = [{"name": header, "type": kind, "description": "a test's"} for header, kind in columns]
        for key in ("checks", "report"):  # they name columns of green
            del document[key]
        path = tmp_path / "other.yaml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return load_source(path)

    return build


def content_of(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def rows_of(path: Path) -> Rows:
    return list(csv.DictReader(io.StringIO(content_of(path).decode(), newline="")))


def lines_of(path: Path) -> Counter[bytes]:
    """The file's rows as a multiset."""
    return Counter(content_of(path).splitlines()[1:])


def pickup(row: dict[str, str]) -> datetime:
    return datetime.fromisoformat(next(value for name, value in row.items() if "pickup" in name))


def dropoff(row: dict[str, str]) -> datetime:
    return datetime.fromisoformat(next(value for name, value in row.items() if "dropoff" in name))


def metered(rows: Rows) -> Rows:
    return [row for row in rows if row["VendorID"]]


# --- the same everywhere ---


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("green", "da6da13b23708d4deaa1a06523f22a3f579a0710c71619990f1f5c1ecd00856d"),
        ("yellow", "3e407db19d8b19e7ddcd78e608635ea5dbf4d6c0b127026a0cacdb20b7081162"),
    ],
)
def test_content_is_the_same_on_every_python_and_platform(name: str, digest: str, tmp_path: Path) -> None:
    # A new digest means other rows for the same arguments: raise GENERATOR with it.
    source = load_source(SOURCES_FOLDER / f"{name}.yaml")
    sample = write_sample_month(source, MARCH, tmp_path / "month.csv.gz", rows=2000, seed=7)
    assert sample.content_sha256 == digest


def test_digests_and_sizes_are_those_of_the_file(green: Source, tmp_path: Path) -> None:
    sample = write_sample_month(green, MARCH, tmp_path / "month.csv.gz", rows=50)
    assert sample.sha256 == hashlib.sha256(sample.path.read_bytes()).hexdigest()
    assert sample.content_sha256 == hashlib.sha256(content_of(sample.path)).hexdigest()
    assert sample.file_bytes == sample.path.stat().st_size
    assert sample.rows == len(rows_of(sample.path)) == 50


def test_gzip_header_has_neither_time_nor_name(green: Source, tmp_path: Path) -> None:
    header = write_sample_month(green, MARCH, tmp_path / "month.csv.gz", rows=1).path.read_bytes()[:10]
    assert header[:4] == b"\x1f\x8b\x08\x00"
    assert header[4:8] == bytes(4)


def test_seed_month_source_and_revision_each_give_other_rows(green: Source, yellow: Source, tmp_path: Path) -> None:
    samples = [
        write_sample_month(green, MARCH, tmp_path / "a.csv.gz", rows=100),
        write_sample_month(green, MARCH, tmp_path / "b.csv.gz", rows=100, seed=1),
        write_sample_month(green, MARCH, tmp_path / "c.csv.gz", rows=100, revision=1),
        write_sample_month(green, MARCH, tmp_path / "d.csv.gz", rows=100, revision=2),
        write_sample_month(green, MARCH.next(), tmp_path / "e.csv.gz", rows=100),
        write_sample_month(yellow, MARCH, tmp_path / "f.csv.gz", rows=100),
    ]
    assert len({sample.content_sha256 for sample in samples}) == len(samples)


# --- the shape of the real files ---


def test_header_is_spelled_as_in_the_source(colour: Source, tmp_path: Path) -> None:
    sample = write_sample_month(colour, MARCH, tmp_path / "month.csv.gz", rows=1)
    header = content_of(sample.path).splitlines()[0].decode()
    assert header == ",".join(column.header for column in colour.columns)


def test_lines_end_as_they_do_in_the_real_files(green: Source, yellow: Source, tmp_path: Path) -> None:
    of_green = content_of(write_sample_month(green, MARCH, tmp_path / "green.csv.gz", rows=30).path)
    of_yellow = content_of(write_sample_month(yellow, MARCH, tmp_path / "yellow.csv.gz", rows=30).path)
    assert of_green.count(b"\r\n") == of_green.count(b"\n") == 31
    assert of_yellow.count(b"\n") == 31
    assert b"\r" not in of_yellow
    assert of_green.endswith(b"\n")
    assert of_yellow.endswith(b"\n")


def test_numbers_are_written_as_in_the_real_files(colour: Source, month_of: Callable[[Source], Rows]) -> None:
    rows = month_of(colour)
    distances = {row["trip_distance"] for row in rows}
    assert all(re.fullmatch(r"([1-9][0-9]*)?\.[0-9]{2}", distance) for distance in distances)
    assert any(distance.startswith(".") and distance != ".00" for distance in distances)
    amounts = {row[name] for row in rows for name in (*AMOUNTS, "total_amount")} - {""}
    assert all(re.fullmatch(r"0|-?([1-9][0-9]*|(0|[1-9][0-9]*)\.[0-9]?[1-9])", amount) for amount in amounts)
    assert {"8", "6.5"} <= amounts


def test_every_row_adds_up(colour: Source, month_of: Callable[[Source], Rows]) -> None:
    rows = month_of(colour)
    assert len(rows) == 10_000
    for row in rows:
        assert sum(Decimal(row[name] or 0) for name in AMOUNTS) == Decimal(row["total_amount"]), row
        assert dropoff(row) > pickup(row), row
        assert 1 <= int(row["PULocationID"]) <= 265
        assert 1 <= int(row["DOLocationID"]) <= 265
        assert row["passenger_count"] in {"", *"0123456"}
        assert row["payment_type"] in {"", *"1234"}
        assert row.get("ehail_fee", "") == ""
        if Decimal(row["tip_amount"]) > 0:
            assert row["payment_type"] in {"", "1"}, row


def test_congestion_surcharge_is_empty_until_it_is_levied(colour: Source, tmp_path: Path) -> None:
    january, february = (
        rows_of(write_sample_month(colour, Month(2019, number), tmp_path / f"{number}.csv.gz", rows=3000).path)
        for number in (1, 2)
    )
    assert {row["congestion_surcharge"] for row in january} == {""}
    surcharges = {row["congestion_surcharge"] for row in metered(february)}
    assert surcharges <= {"0", "2.5", "2.75", "-2.5", "-2.75"}
    assert {"0", "2.75" if colour.name == "green" else "2.5"} <= surcharges


def test_a_third_of_green_stands_at_the_end_and_lacks_half_its_values(
    green: Source, month_of: Callable[[Source], Rows]
) -> None:
    rows = month_of(green)
    block = rows[-3300:]
    assert all(row[name] == "" for row in block for name in EMPTY_AT_THE_END)
    assert all(pickup(row).second == dropoff(row).second == 0 for row in block)
    assert all(row["VendorID"] for row in rows[:-3300])
    assert any(pickup(row).second for row in rows[:-3300])


def test_yellow_has_no_row_without_a_vendor(yellow: Source, month_of: Callable[[Source], Rows]) -> None:
    assert len(metered(month_of(yellow))) == 10_000


def test_evenings_are_busier_than_nights(colour: Source, month_of: Callable[[Source], Rows]) -> None:
    hours = Counter(pickup(row).hour for row in month_of(colour))
    assert set(hours) == set(range(24))
    assert hours[18] > 5 * hours[4]


# --- rare rows ---


def test_refunds_repeat_the_trip_before_with_negated_amounts(
    colour: Source, month_of: Callable[[Source], Rows]
) -> None:
    pairs = [pair for pair in itertools.pairwise(month_of(colour)) if pair[1]["fare_amount"].startswith("-")]
    assert len(pairs) == 10_000 // 200
    for trip, refund in pairs:
        for name, value in trip.items():
            if name in {*AMOUNTS, "total_amount"}:
                assert Decimal(refund[name] or 0) == -Decimal(value or 0)
            elif name != "payment_type":
                assert refund[name] == value
        assert refund["payment_type"] in {"3", "4"}


def test_a_few_rows_are_wholly_identical(colour: Source, month_of: Callable[[Source], Rows]) -> None:
    counts = Counter(tuple(row.values()) for row in month_of(colour))
    assert sum(count - 1 for count in counts.values()) == 3


def test_a_month_without_duplicates_is_the_same_otherwise(colour: Source, tmp_path: Path) -> None:
    month = Month(2019, 2)
    usual, unique = (
        write_sample_month(colour, month, tmp_path / f"{duplicates}.csv.gz", rows=2000, duplicates=duplicates)
        for duplicates in (True, False)
    )
    before, after = lines_of(usual.path), lines_of(unique.path)

    assert max(before.values()) > 1
    assert max(after.values()) == 1
    assert (before - after).total() == (after - before).total() == before.total() - len(before) == 3


def test_a_few_pairs_differ_in_tax_and_total_only(colour: Source, month_of: Callable[[Source], Rows]) -> None:
    pairs = [
        {name for name in first if first[name] != second[name]}
        for first, second in itertools.pairwise(month_of(colour))
    ]
    assert pairs.count({"mta_tax", "total_amount"}) == 2


def test_a_few_pickups_lie_outside_the_month(colour: Source, month_of: Callable[[Source], Rows]) -> None:
    days = Counter(str(pickup(row).date()) for row in month_of(colour) if Month.of(pickup(row)) != MARCH)
    assert days == {"2019-02-28": 1, "2008-12-31": 1, "2009-01-01": 1}


def test_a_rare_distance_is_beyond_belief(colour: Source, month_of: Callable[[Source], Rows]) -> None:
    far = [row["trip_distance"] for row in month_of(colour) if Decimal(row["trip_distance"]) > 100]
    assert far == ["205654.12"]


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_rows_have_every_quirk(colour: Source, seed: int, tmp_path: Path) -> None:
    rows = rows_of(write_sample_month(colour, MARCH, tmp_path / "month.csv.gz", rows=1000, seed=seed).path)
    assert len(rows) == 1000
    assert sum(row["fare_amount"].startswith("-") for row in rows) == 5
    assert len({tuple(row.values()) for row in rows}) == 997
    assert sum(Month.of(pickup(row)) != MARCH for row in rows) == 3
    assert [row["trip_distance"] for row in rows].count("205654.12") == 1


@pytest.mark.parametrize("rows", [1, 2, 3, 100, 999])
def test_small_months_have_the_rows_asked_for(colour: Source, rows: int, tmp_path: Path) -> None:
    sample = write_sample_month(colour, MARCH, tmp_path / "month.csv.gz", rows=rows)
    assert sample.rows == len(rows_of(sample.path)) == rows


# --- corrected months ---


@pytest.mark.parametrize(("rows", "revision"), [(6, 1), (999, 1), (5000, 1), (5000, 12)])
def test_a_revision_says_how_many_rows_came_and_went(colour: Source, rows: int, revision: int, tmp_path: Path) -> None:
    first = write_sample_month(colour, MARCH, tmp_path / "first.csv.gz", rows=rows)
    second = write_sample_month(colour, MARCH, tmp_path / "second.csv.gz", rows=rows, revision=revision)
    before, after = lines_of(first.path), lines_of(second.path)
    assert (first.inserted, first.deleted, first.unchanged) == (0, 0, rows)
    assert second.inserted == (after - before).total() > 0
    assert second.deleted == (before - after).total() > 0
    assert second.unchanged == (before & after).total()
    assert second.rows == after.total() == second.unchanged + second.inserted
    assert second.inserted > second.deleted


def test_a_revision_of_a_long_month_stays_small(yellow: Source, tmp_path: Path) -> None:
    sample = write_sample_month(yellow, MARCH, tmp_path / "month.csv.gz", rows=21_000, revision=1)
    assert (sample.inserted, sample.deleted, sample.rows) == (100, 60, 21_040)


def test_a_revision_keeps_the_rest_of_the_file_in_its_order(green: Source, tmp_path: Path) -> None:
    first = write_sample_month(green, MARCH, tmp_path / "first.csv.gz", rows=2000)
    second = write_sample_month(green, MARCH, tmp_path / "second.csv.gz", rows=2000, revision=1)
    before, after = content_of(first.path).splitlines(), content_of(second.path).splitlines()
    shared = set(before) & set(after)
    kept = iter(before)
    assert all(line in kept for line in after if line in shared)


# --- sources of another layout ---


def test_a_new_yaml_file_gets_plausible_values_by_type(other_source: Callable[..., Source], tmp_path: Path) -> None:
    source = other_source(
        ("dispatching_base_num", "text"),
        ("pickup_datetime", "timestamp"),
        ("dropoff_datetime", "timestamp"),
        ("PULocationID", "integer"),
        ("SR_Flag", "integer"),
        ("driver_pay", "numeric"),
    )
    sample = write_sample_month(source, MARCH, tmp_path / "other.csv.gz", rows=1500)
    content = content_of(sample.path)
    assert (
        content.splitlines()[0]
        == b"dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,SR_Flag,driver_pay"
    )
    assert b"\r" not in content
    rows = rows_of(sample.path)
    assert len(rows) == 1500
    assert len({tuple(row.values()) for row in rows}) == 1497
    for row in rows:
        assert Month.of(pickup(row)) == MARCH
        assert dropoff(row) > pickup(row)
        assert row["PULocationID"] == "" or 1 <= int(row["PULocationID"]) <= 265
        assert row["SR_Flag"] == "" or int(row["SR_Flag"]) >= 0
        assert row["driver_pay"] == "" or Decimal(row["driver_pay"]) >= 0
    bases = {row["dispatching_base_num"] for row in rows}
    assert all(re.fullmatch(r"|[A-Z][0-9]{5}", base) for base in bases)
    assert len(bases) > 1000
    assert "" in bases


@pytest.mark.parametrize("kind", ["integer", "numeric", "timestamp", "text"])
def test_revisions_count_rows_whatever_the_columns(
    kind: str, other_source: Callable[..., Source], tmp_path: Path
) -> None:
    source = other_source(("only", kind))
    first = write_sample_month(source, MARCH, tmp_path / "first.csv.gz", rows=500)
    second = write_sample_month(source, MARCH, tmp_path / "second.csv.gz", rows=500, revision=1)
    before, after = lines_of(first.path), lines_of(second.path)
    assert second.inserted == (after - before).total() == 5
    assert second.deleted == (before - after).total() == 3
    assert before.total() == 500


def test_a_taxi_source_may_have_a_column_more_and_another_order(
    green: Source, other_source: Callable[..., Source], tmp_path: Path
) -> None:
    columns = [("cbd_congestion_fee", "numeric"), *((column.header, column.type) for column in reversed(green.columns))]
    source = other_source(*columns)
    rows = rows_of(write_sample_month(source, MARCH, tmp_path / "other.csv.gz", rows=1000).path)
    assert list(rows[0]) == [header for header, _ in columns]
    assert all(re.fullmatch(r"|[0-9]+(\.[0-9]{1,2})?", row["cbd_congestion_fee"]) for row in rows)
    assert all(sum(Decimal(row[name] or 0) for name in AMOUNTS) == Decimal(row["total_amount"]) for row in rows)
    assert len({tuple(row.values()) for row in rows}) == 997


# --- formats ---


def in_format(source: Source, name: str) -> Source:
    """The source with its first release alone, in another format."""
    release = source.releases[0]
    path = release.path.removesuffix(f".{release.format}") + f".{name}"
    return replace(source, releases=(replace(release, path=path, format=name),))


@pytest.mark.parametrize("name", ["fhv", "fhvhv"])
def test_no_value_is_empty_if_a_check_counts_empty_ones(name: str, tmp_path: Path) -> None:
    """Otherwise each sample month would be published with a warning."""
    source = in_format(load_source(SOURCES_FOLDER / f"{name}.yaml"), "csv")
    path = write_sample_month(source, source.first_month, tmp_path / "month.csv", rows=500).path
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))

    counted = {check.column for check in source.checks if check.measure == "share_null"}
    assert len(counted) == 2
    empty = {column.name for column in source.columns if any(row.get(column.header) == "" for row in rows)}
    assert empty
    assert not empty & counted


def test_samples_are_written_in_every_format() -> None:
    assert set(WRITERS) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("source_name", ["green", "yellow", "fhv", "zones", "other"])
def test_a_sample_has_the_same_rows_in_every_format(
    name: str, source_name: str, other_source: Callable[..., Source], tmp_path: Path
) -> None:
    if source_name == "other":
        source = other_source(*((f"{kind}_column", kind) for kind in COLUMN_TYPES))
    else:
        source = load_source(SOURCES_FOLDER / f"{source_name}.yaml")
    month = source.first_month
    # More rows than one write has.
    usual = write_sample_month(in_format(source, "csv"), month, tmp_path / "month.csv", rows=5000)
    sample = write_sample_month(in_format(source, name), month, tmp_path / name / f"month.{name}", rows=5000)
    layout = source.layout_of(month)

    content = b"".join(FORMATS[name].blocks(sample.path, layout)).decode()
    header, *rows = csv.reader(io.StringIO(content, newline=""))
    expected = list(csv.reader(io.StringIO(usual.path.read_bytes().decode(), newline="")))

    assert header == expected[0] == [column.header for column in layout.columns]
    assert list(unique_row_ids(layout.columns, rows)) == list(unique_row_ids(layout.columns, expected[1:]))
    assert (sample.rows, sample.content_sha256) == (usual.rows, usual.content_sha256)
    assert FORMATS[name].check(sample.path).sha256 == sample.sha256


@pytest.mark.parametrize("name", FORMATS)
def test_a_sample_has_the_same_bytes_each_time(name: str, yellow: Source, tmp_path: Path) -> None:
    source = in_format(yellow, name)
    first = write_sample_month(source, MARCH, tmp_path / "a", rows=5000)
    program = (
        "import sys; from pathlib import Path; from taxiway.sources.months import Month\n"
        "from taxiway.sources.source import load_source; from taxiway_local.samples import write_sample_month\n"
        "source, path = map(Path, sys.argv[1:])\n"
        "write_sample_month(load_source(source), Month(2019, 3), path, rows=5000)"
    )
    document = yaml.safe_load((SOURCES_FOLDER / "yellow.yaml").read_text(encoding="utf-8"))
    document["releases"][0].update(path=source.releases[0].path, format=name)
    (tmp_path / "yellow.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    done = run_python("-c", program, str(tmp_path / "yellow.yaml"), str(tmp_path / "b"))

    assert done.returncode == 0, done.stderr
    assert first.path.read_bytes() == (tmp_path / "b").read_bytes()


def test_a_parquet_sample_has_the_types_of_the_tlc(other_source: Callable[..., Source], tmp_path: Path) -> None:
    source = in_format(other_source(*((kind, kind) for kind in COLUMN_TYPES)), "parquet")
    sample = write_sample_month(source, MARCH, tmp_path / "month.parquet", rows=100)

    found = pq.read_table(sample.path)

    types = {field.name: str(field.type) for field in found.schema}
    assert types == {"integer": "int64", "numeric": "double", "timestamp": "timestamp[us]", "text": "string"}
    assert found.num_rows == 100
    assert all(found[kind].null_count for kind in ("integer", "numeric", "text"))


@pytest.mark.parametrize("kind", COLUMN_TYPES)
def test_a_parquet_sample_of_one_column_has_all_rows(
    kind: str, other_source: Callable[..., Source], tmp_path: Path
) -> None:
    source = in_format(other_source(("only", kind)), "parquet")
    first, second = (
        write_sample_month(source, MARCH, tmp_path / f"{revision}.parquet", rows=500, revision=revision)
        for revision in (0, 1)
    )

    before, after = (Counter(pq.read_table(sample.path)["only"].to_pylist()) for sample in (first, second))

    assert before.total() == 500
    assert second.inserted == (after - before).total() == 5
    assert second.deleted == (before - after).total() == 3


# --- files ---


def test_months_are_laid_out_as_the_mirror_lays_them_out(green: Source, yellow: Source, tmp_path: Path) -> None:
    months = [MARCH, MARCH.next()]
    samples = write_sample_months([green, yellow], iter(months), tmp_path / "mirror", rows=20, seed=3)
    assert [str(sample.path.relative_to(tmp_path / "mirror")) for sample in samples] == [
        "green/green_tripdata_2019-03.csv.gz",
        "green/green_tripdata_2019-04.csv.gz",
        "yellow/yellow_tripdata_2019-03.csv.gz",
        "yellow/yellow_tripdata_2019-04.csv.gz",
    ]
    assert [sample.rows for sample in samples] == [20] * 4
    assert sorted(path.name for path in (tmp_path / "mirror").rglob("*.csv.gz")) == sorted(s.path.name for s in samples)


def identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def test_a_second_call_leaves_the_file(green: Source, tmp_path: Path) -> None:
    path = tmp_path / "month.csv.gz"
    first = write_sample_month(green, MARCH, path, rows=500, revision=1)
    before = identity(path)
    second = write_sample_month(green, MARCH, path, rows=500, revision=1)
    assert identity(path) == before
    assert (first.written, second.written) == (True, False)
    assert second == SampleMonth(**{**vars(first), "written": False})


def test_a_month_with_duplicates_doesnt_pass_for_one_without(green: Source, tmp_path: Path) -> None:
    path = tmp_path / "month.csv.gz"
    asked = (True, False, False, True)

    samples = [write_sample_month(green, MARCH, path, rows=1000, duplicates=duplicates) for duplicates in asked]

    assert [sample.written for sample in samples] == [True, True, False, True]
    assert len({sample.content_sha256 for sample in samples}) == 2
    assert max(lines_of(path).values()) > 1


def test_a_revision_of_a_month_without_duplicates_has_none_either(colour: Source, tmp_path: Path) -> None:
    sample = write_sample_month(colour, MARCH, tmp_path / "month.csv.gz", rows=2000, revision=1, duplicates=False)

    assert max(lines_of(sample.path).values()) == 1


def test_other_arguments_replace_the_file(green: Source, yellow: Source, tmp_path: Path) -> None:
    path = tmp_path / "month.csv.gz"
    digests = {
        write_sample_month(source, MARCH, path, rows=rows, seed=seed, revision=revision).content_sha256
        for source, rows, seed, revision in [
            *((green, 50, 0, 0), (green, 60, 0, 0), (green, 60, 1, 0), (green, 60, 1, 1), (yellow, 60, 1, 1)),
        ]
    }
    assert len(digests) == 5


@pytest.mark.parametrize("damage", ["the file is overwritten", "the file is gone", "its memory is cut off"])
def test_a_file_that_was_touched_is_made_anew(damage: str, green: Source, tmp_path: Path) -> None:
    path = tmp_path / "month.csv.gz"
    first = write_sample_month(green, MARCH, path, rows=50)
    memory = tmp_path / ".month.csv.gz.json"
    if damage == "the file is overwritten":
        path.write_bytes(bytes(first.file_bytes))
    elif damage == "the file is gone":
        path.unlink()
    else:
        memory.write_text(memory.read_text(encoding="utf-8")[:40], encoding="utf-8")
    second = write_sample_month(green, MARCH, path, rows=50)
    assert second.written
    assert len(rows_of(path)) == 50
    assert second.content_sha256 == first.content_sha256


def test_a_write_that_fails_leaves_what_was_there(green: Source, tmp_path: Path) -> None:
    path = tmp_path / "month.csv.gz"
    write_sample_month(green, MARCH, path, rows=50)
    names, content = sorted(tmp_path.iterdir()), path.read_bytes()
    program = (
        "import resource, sys; from pathlib import Path; from taxiway.sources.months import Month\n"
        "from taxiway.paths import SOURCES_FOLDER; from taxiway.sources.source import load_source\n"
        "from taxiway_local.samples import write_sample_month\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "write_sample_month(load_source(SOURCES_FOLDER / 'green.yaml'), Month(2019, 3), Path(sys.argv[1]), rows=20_000)"
    )
    done = run_python("-c", program, str(path))
    assert done.returncode == 1
    assert "OSError" in done.stderr
    assert "File too large" in done.stderr
    assert sorted(tmp_path.iterdir()) == names
    assert path.read_bytes() == content


def test_memory_does_not_grow_with_the_rows(yellow: Source, tmp_path: Path) -> None:
    write_sample_month(yellow, MARCH, tmp_path / "warm.csv.gz", rows=10)
    tracemalloc.start()
    try:
        write_sample_month(yellow, MARCH, tmp_path / "month.csv.gz", rows=20_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_500_000  # rows that are held take 7 MB


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": 0}, "green 2019-03: rows is 0: expected at least 1"),
        ({"rows": -5}, "green 2019-03: rows is -5"),
        ({"revision": -1}, "green 2019-03: revision is -1"),
        ({"rows": 5, "revision": 1}, "at least 6 rows"),
    ],
)
def test_arguments_out_of_range_are_named_and_nothing_is_written(
    arguments: dict[str, int], message: str, green: Source, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match=re.escape(message)):
        write_sample_month(green, MARCH, tmp_path / "sub" / "month.csv.gz", **arguments)
    assert list(tmp_path.iterdir()) == []


# --- the command ---


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_writes_months_and_says_what_it_did(tmp_path: Path) -> None:
    arguments = ["--folder", str(tmp_path), "--rows", "20", "--first", "2019-12", "--last", "2020-01"]
    both = ["--source", "green", "--source", "yellow", "--seed", "5"]
    done = run_python("-m", "taxiway_local.samples", *arguments, *both)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all("20 rows" in line and line.endswith("written") for line in lines)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.gz")} == {
        f"{name}/{name}_tripdata_{month}.csv.gz" for name in ("green", "yellow") for month in ("2019-12", "2020-01")
    }


def test_the_command_takes_every_source_and_one_month_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for state in ("written", "already there"):
        assert main(["--folder", str(tmp_path), "--rows", "7", "--first", "2019-03"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(list(SOURCES_FOLDER.glob("*.yaml")))
        assert all(line.endswith(state) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--first", "2019-01", "--rows", "0"], "rows is 0: expected at least 1"),
        (["--first", "2019-05", "--last", "2019-04"], "--last 2019-04 is before --first 2019-05"),
        (
            ["--first", "2019-01", "--source", "purple"],
            "--source purple: no such source: expected one of ",
        ),
        (["--first", "January"], "'January' is not a month: write it as YYYY-MM"),
    ],
)
def test_the_command_names_what_is_wrong_and_writes_nothing(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--folder", str(tmp_path), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


# --- against real months ---


@pytest.mark.parametrize(
    ("name", "month"), [("green", Month(2020, 4)), ("yellow", Month(2021, 1))], ids=["green", "yellow"]
)
def test_samples_resemble_real_months(name: str, month: Month, tlc: Path, tmp_path: Path) -> None:
    source = load_source(SOURCES_FOLDER / f"{name}.yaml")
    path = tlc / "months" / source.file_path(month)
    real = rows_of(path)
    sample = rows_of(write_sample_month(source, month, tmp_path / "month.csv.gz", rows=10_000).path)

    assert list(sample[0]) == list(real[0])
    assert b"\r\n" in content_of(path)[:1000] if name == "green" else b"\r" not in content_of(path)[:1000]
    assert [len(metered(rows)) < len(rows) for rows in (real, sample)] == [name == "green"] * 2

    def share(rows: Rows, column: str, value: str) -> float:
        return sum(row[column] == value for row in rows) / len(rows)

    assert share(sample, "VendorID", "") == pytest.approx(share(real, "VendorID", ""), abs=0.05)
    real, sample = metered(real), metered(sample)
    for column, value in [
        *(("VendorID", "2"), ("payment_type", "1"), ("payment_type", "2"), ("passenger_count", "1")),
        *(("RatecodeID", "1"), ("store_and_fwd_flag", "N"), ("tolls_amount", "0"), ("mta_tax", "0.5")),
        *(("improvement_surcharge", "0.3"), ("congestion_surcharge", "0")),
    ]:
        assert share(sample, column, value) == pytest.approx(share(real, column, value), abs=0.1), (column, value)
    for column, near in [("trip_distance", 0.3), ("fare_amount", 1.5), ("total_amount", 3.0)]:
        middle, expected = (median(float(row[column]) for row in rows) for rows in (sample, real))
        assert middle == pytest.approx(expected, abs=near), column
    seconds, expected = (
        median((dropoff(row) - pickup(row)).total_seconds() for row in rows) for rows in (sample, real)
    )
    assert seconds == pytest.approx(expected, abs=120)
    refunds, expected = (sum(row["fare_amount"].startswith("-") for row in rows) / len(rows) for rows in (sample, real))
    assert refunds == pytest.approx(expected, abs=0.01)
