"""Old files whose rows, or whose header too, end with commas that no column belongs to."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.errors import HeaderError, RejectLimitError
from taxiway.files.csv_header import read_row_shape
from taxiway.loads.row_identity import digest
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.conftest import Connect
from tests.loading import lines_of, load, query, source_file, specified_ids, stage_month, table_digest

MONTH = "2019-01"
ROWS = 1000
COLUMNS_2015 = {
    "VendorID": "integer",
    "lpep_pickup_datetime": "timestamp",
    "Lpep_dropoff_datetime": "timestamp",
    "Store_and_fwd_flag": "text",
    "RateCodeID": "integer",
    "Pickup_longitude": "text",
    "Pickup_latitude": "text",
    "Dropoff_longitude": "text",
    "Dropoff_latitude": "text",
    "Passenger_count": "integer",
    "Trip_distance": "numeric",
    "Fare_amount": "numeric",
    "Extra": "numeric",
    "MTA_tax": "numeric",
    "Tip_amount": "numeric",
    "Tolls_amount": "numeric",
    "Ehail_fee": "numeric",
    "improvement_surcharge": "numeric",
    "Total_amount": "numeric",
    "Payment_type": "integer",
    "Trip_type": "integer",
}


@pytest.fixture
def canonical(tmp_path: Path, green: Source) -> Path:
    """A month without such commas."""
    path = tmp_path / "canonical" / green.download_name(Month.parse(MONTH))
    write_sample_month(green, Month.parse(MONTH), path, rows=ROWS)
    return path


@pytest.fixture
def cloud(bigquery: StandIn, cloud_storage: CloudStorage) -> Cloud:
    return Cloud.connect().set_up()


def written(folder: Path, header: str, rows: list[str], end: str = "\r\n") -> Path:
    path = folder / "written.csv.gz"
    path.write_bytes(gzip.compress(end.join([header, *rows, ""]).encode()))
    return path


SHAPES = {
    "rows": (" ", ",,", "\r\n"),
    "header and rows": (",,", ",,", "\r\n"),
    "header more than rows": (", ,,", ",", "\n"),
    "header alone": (",,", "", "\n"),
    "blank names": (', ," "', ",,", "\n"),
    "quoted": (',""', ',"",', "\r\n"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_they_load_with_the_ids_of_the_rows_without_them(
    shape: str, connect: Connect, cloud: Cloud, green: Source, canonical: Path, tmp_path: Path
) -> None:
    behind_header, behind_rows, end = SHAPES[shape]
    header, *rows = lines_of(canonical)
    path = written(tmp_path, header + behind_header, [row + behind_rows for row in rows], end)
    connection = connect()

    staged = stage_month(connection, LoadTables(green, Month.parse(MONTH), "manual__0"), source_file(path))
    assert staged["stage_month"] == {"rows_read": ROWS, "canonical": shape != "quoted"}
    assert load(connection, green, MONTH, path).inserted == ROWS
    assert cloud.load(green, MONTH, path).inserted == ROWS

    expected = digest(specified_ids(green, canonical))
    assert table_digest(connection, green) == digest(cloud.ids(green, MONTH)) == expected
    # The raw file stays what it is, in the bucket too.
    assert load(connection, green, MONTH, canonical, "manual__2").unchanged == ROWS


def test_text_that_needs_quotation_marks_takes_the_second_way(
    connect: Connect, green: Source, canonical: Path, tmp_path: Path
) -> None:
    header, *rows = lines_of(canonical)
    quoted = [row.replace(",N,", ',N"",', 1) + ",," for row in rows]
    assert quoted != [row + ",," for row in rows]
    connection = connect()
    assert load(connection, green, MONTH, written(tmp_path, header, quoted)).inserted == ROWS
    assert table_digest(connection, green) == digest(specified_ids(green, canonical))


def test_a_row_that_differs_is_rejected_with_its_reason(
    connect: Connect, cloud: Cloud, green: Source, canonical: Path, tmp_path: Path
) -> None:
    tolerant = replace(green, max_rejected_share=0.1)
    header, *rows = lines_of(canonical)
    good = [row + ",," for row in rows]
    bad = {
        5: (rows[0] + ",7,", "a value behind the last column, in a field that has no name; expected none"),
        6: (rows[0] + ",, ", "a value behind the last column, in a field that has no name; expected none"),
        7: (rows[0] + ",,,", "23 fields, expected 20 and 2 empty ones behind the last column"),
        8: (rows[0], "20 fields, expected 20 and 2 empty ones behind the last column"),
        9: ("x" + rows[0] + ",,", "VendorID is "),
    }
    lines = [*good[:3], *(line for line, _ in bad.values()), *good[3:]]
    path = written(tmp_path, header, lines)
    connection = connect()

    assert load(connection, tolerant, MONTH, path).inserted == ROWS
    assert cloud.load(tolerant, MONTH, path).inserted == ROWS

    in_postgres = query(connection, "SELECT line_number, raw_line, reason FROM taxiway.rejected_rows ORDER BY 1")
    in_bigquery = cloud.query("SELECT line_number, raw_line, reason FROM `$taxi.rejected_rows` ORDER BY 1")
    for found in (in_postgres, in_bigquery):
        assert [(number, line) for number, line, _ in found] == [(number, line) for number, (line, _) in bad.items()]
        for (_, _, reason), (_, expected) in zip(found, bad.values(), strict=True):
            assert reason.startswith(expected)
    expected_ids = digest(specified_ids(green, canonical))
    assert table_digest(connection, green) == digest(cloud.ids(green, MONTH)) == expected_ids


def test_rows_with_one_field_too_many_do_not_make_good_rows_bad(
    connect: Connect, green: Source, canonical: Path, tmp_path: Path
) -> None:
    """Most rows were shifted, and end with an empty field: those that fit show that they are damaged."""
    header, *rows = lines_of(canonical)
    shifted = ["7," + row.rpartition(",")[0] + "," for row in rows]
    path = written(tmp_path, header, [*rows[:50], *shifted[50:]])
    with pytest.raises(RejectLimitError, match=f"{ROWS - 50} of {ROWS} rows .* line 52: 21 fields, expected 20"):
        load(connect(), green, MONTH, path)


def test_nothing_tells_a_file_of_shifted_rows_alone_from_an_old_one(green: Source, canonical: Path) -> None:
    """The types of the columns reject such rows; one whole row in a hundred shows what they are."""
    header, *rows = lines_of(canonical)
    shifted = ["7," + row.rpartition(",")[0] + "," for row in rows * 2][:100]
    for whole, unnamed in ((0, 1), (1, 1), (2, 0)):
        data = "\n".join([header, *rows[:whole], *shifted]).encode()
        assert read_row_shape(green, Month.parse(MONTH), iter([data]))[1].unnamed == unnamed


def test_an_empty_line_sends_an_old_file_line_by_line(
    connect: Connect, green: Source, canonical: Path, tmp_path: Path
) -> None:
    header, *rows = lines_of(canonical)
    path = written(tmp_path, header, ["", *(row + ",," for row in rows)])

    staged = stage_month(connect(), LoadTables(green, Month.parse(MONTH), "manual__0"), source_file(path))

    assert staged["stage_month"] == {"rows_read": ROWS, "canonical": False}


def test_an_empty_name_in_the_middle_is_not_a_column(
    connect: Connect, green: Source, canonical: Path, tmp_path: Path
) -> None:
    header, *rows = lines_of(canonical)
    path = written(tmp_path, "," + header, ["," + row for row in rows])
    with pytest.raises(HeaderError, match="unknown ''"):
        load(connect(), green, MONTH, path)


def test_the_real_file_of_2015(connect: Connect, cloud: Cloud, tmp_path: Path) -> None:
    real = ROOT.parent / "shared" / "field" / "green_2015-04.trailing_commas.head.csv.gz"
    if not real.is_file():
        pytest.skip("no files of the field beside the project")
    green = yaml.safe_load((SOURCES_FOLDER / "green.yaml").read_text())
    columns = [{"name": name, "type": kind, "description": name} for name, kind in COLUMNS_2015.items()]
    releases = [{**green["releases"][0], "from": "2015-01", "to": "2015-12"}]
    del green["report"]  # it names columns of today
    document = {**green, "releases": releases, "columns": columns, "checks": []}
    (tmp_path / "green_2015.yaml").write_text(yaml.safe_dump({**document, "main_table": "green_2015"}))
    source = load_source(tmp_path / "green_2015.yaml")
    header, *rows = lines_of(real)
    assert (header[-1], {row[-2:] for row in rows}) == (" ", {",,"})
    connection = connect()

    assert load(connection, source, "2015-04", real).inserted == len(rows)
    assert cloud.load(source, "2015-04", real).inserted == len(rows)

    without = written(tmp_path, header, [row[:-2] for row in rows])
    expected = digest(specified_ids(source, without))
    assert table_digest(connection, source) == digest(cloud.ids(source, "2015-04")) == expected
