"""The steps of a load on a real Postgres: exact, repeatable, whole or not at all."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from taxiway import errors
from taxiway.loads.load import Counts
from taxiway.loads.row_identity import unique_row_ids
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source, load_source
from taxiway.warehouses.postgres.tables import LoadTables
from tests.conftest import Connect
from tests.loading import (
    ids,
    lines_of,
    load,
    query,
    source_file,
    stage_month,
    staging_tables,
    table_digest,
    write_gzip,
)

ROW = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.68,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"


def header(source: Source) -> str:
    return ",".join(column.header for column in source.columns)


def green_file(folder: Path, green: Source, rows: list[str], line_end: str = "\n", head: str | None = None) -> Path:
    return write_gzip(folder / "green_tripdata_2019-01.csv.gz", [head or header(green), *rows], line_end)


@pytest.mark.parametrize(
    ("name", "month", "rows"), [("green", "2020-04", 35_612), ("yellow", "2021-01", 22_792)], ids=["green", "yellow"]
)
def test_whole_months_have_the_golden_ids(
    name: str, month: str, rows: int, request: pytest.FixtureRequest, connect: Connect, tlc: Path
) -> None:
    source: Source = request.getfixturevalue(name)
    file = f"months/{name}/{name}_tripdata_{month}.csv.gz"
    golden = {entry["file"]: entry for entry in json.loads((tlc / "golden_row_ids.json").read_text())["files"]}[file]
    connection = connect()

    counts = load(connection, source, month, tlc / file)

    assert counts == Counts(inserted=rows, deleted=0, unchanged=0)
    assert golden["rows"] == rows
    assert table_digest(connection, source) == golden["digest"]
    assert staging_tables(connection) == []


@pytest.mark.parametrize("name", ["green", "yellow"])
def test_a_year_loads_side_by_side_with_the_ids_of_the_specification(
    name: str, request: pytest.FixtureRequest, connect: Connect, tlc: Path
) -> None:
    source: Source = request.getfixturevalue(name)
    files = {f"2019-{n:02d}": tlc / "heads" / name / f"{name}_tripdata_2019-{n:02d}.csv.gz" for n in range(1, 13)}
    connections = {month: connect() for month in files}

    with ThreadPoolExecutor(len(files)) as pool:
        for load_one in [
            pool.submit(load, connections[month], source, month, path, run_id=f"backfill__{month}")
            for month, path in files.items()
        ]:
            load_one.result()

    connection = connect()
    per_file = query(connection, f"SELECT filename, count(*) FROM public.{source.main_table} GROUP BY 1 ORDER BY 1")
    assert per_file == [(path.name.removesuffix(".gz"), 100) for path in files.values()]
    for month, path in files.items():
        _, *rows = [line.split(",") for line in lines_of(path)]
        expected = sorted(unique_row_ids(source.columns, rows))
        assert sorted(i.replace("-", "") for i in ids(connection, source, path.name)) == expected, month


def test_loading_again_changes_nothing(connect: Connect, green: Source, tlc: Path) -> None:
    connection = connect()
    path = tlc / "heads/green/green_tripdata_2019-01.csv.gz"
    load(connection, green, "2019-01", path)
    places = query(connection, "SELECT unique_row_id, ctid, xmin::text FROM public.green_tripdata ORDER BY 1")

    counts = load(connection, green, "2019-01", path, run_id="manual__2")

    assert counts == Counts(inserted=0, deleted=0, unchanged=100)
    # Not even rewritten: every row lies where it lay.
    assert query(connection, "SELECT unique_row_id, ctid, xmin::text FROM public.green_tripdata ORDER BY 1") == places


def test_loading_again_during_another_months_load_changes_nothing(connect: Connect, green: Source, tlc: Path) -> None:
    folder = tlc / "heads/green"
    first, second = connect(), connect()
    load(first, green, "2019-01", folder / "green_tripdata_2019-01.csv.gz")
    before = table_digest(first, green)

    def load_others() -> None:
        for number in range(2, 7):
            load(second, green, f"2019-{number:02d}", folder / f"green_tripdata_2019-{number:02d}.csv.gz", "other")

    counts = []
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(load_others)
        while not counts or not others.done():
            counts.append(
                load(first, green, "2019-01", folder / "green_tripdata_2019-01.csv.gz", run_id=f"again__{len(counts)}")
            )
        others.result()

    assert set(counts) == {Counts(inserted=0, deleted=0, unchanged=100)}
    assert table_digest(first, green, "green_tripdata_2019-01.csv") == before
    assert query(first, "SELECT count(*) FROM public.green_tripdata") == [(600,)]


def ids_of(connection: object, source: Source, filename: str) -> list[str]:
    return sorted(row_id.replace("-", "") for row_id in ids(connection, source, filename))  # type: ignore[arg-type]


@pytest.mark.parametrize("most_named", [0, 2, 10_000])
@pytest.mark.parametrize("flag", ["N", '"N"', 'N""'], ids=["canonical", "saved again", "text"])
def test_duplicates_are_numbered_whether_they_are_few_or_many(
    flag: str, most_named: int, connect: Connect, green: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taxiway.warehouses.postgres.duplicates._MOST_NAMED", most_named)
    connection = connect()
    rows = [ROW.replace("9.3", f"{number % 40}.3") for number in range(100)]
    path = green_file(tmp_path, green, [row.replace(",N,", f",{flag},") for row in rows])

    load(connection, green, "2019-01", path)

    expected = sorted(unique_row_ids(green.columns, [row.split(",") for row in rows]))
    assert len(set(expected)) == 100
    assert ids_of(connection, green, path.name) == expected


@pytest.mark.parametrize("width", [46, 101])
def test_a_source_may_have_more_columns_than_a_function_takes(
    width: int, connect: Connect, green: Source, tmp_path: Path
) -> None:
    kinds = ("timestamp", "numeric", "integer", "text")
    columns = tuple(
        Column(f"column_{number}", f"column_{number}", kinds[number % 4], "a column") for number in range(width)
    )
    wide = replace(green, columns=columns, checks=())
    values = {"timestamp": "2019-01-05 00:44:02", "numeric": "1.50", "integer": "7", "text": ""}
    rows = [[values[column.type] for column in columns], [values[column.type] or "Y" for column in columns]]
    path = green_file(tmp_path, wide, [",".join(row) for row in rows])
    connection = connect()

    load(connection, wide, "2019-01", path)

    assert ids_of(connection, wide, path.name) == sorted(unique_row_ids(columns, rows))


@pytest.mark.parametrize(
    ("base", "zone", "canonical"),
    [("B00254", "7", True), ("B00254", "", True), ("B00254", "0B1", False), ("B00254 ", "7", True), ("b", "7", True)],
)
def test_texts_take_the_quick_way(base: str, zone: str, canonical: bool, connect: Connect, tmp_path: Path) -> None:
    """Postgres would read 0B1 as the integer 1; it is rejected. A space behind a text stays."""
    fhv = replace(load_source(SOURCES_FOLDER / "fhv.yaml"), max_rejected_share=0.5)
    good = "HV0003,2019-01-05 00:44:02,2019-01-05 00:52:23,42,41,1,B00254"
    row = f"{base},2019-01-05 00:44:02,2019-01-05 00:52:23,{zone},41,1,{base}"
    path = write_gzip(tmp_path / "fhv_tripdata_2019-01.csv.gz", [header(fhv), good, row])
    tables = LoadTables(fhv, Month(2019, 1), "manual__1")

    staged = stage_month(connect(), tables, source_file(path))
    assert staged["stage_month"] == {"rows_read": 2, "canonical": canonical}
    counts = load(connect(), fhv, "2019-01", path)

    rows = [line.split(",") for line in (good, row) if "0B1" not in line]
    assert counts == Counts(len(rows), 0, 0)
    expected = list(unique_row_ids(fhv.columns, rows))
    assert sorted(row_id.replace("-", "") for row_id in ids(connect(), fhv)) == sorted(expected)


@pytest.mark.parametrize(("flag", "canonical"), [("N", True), ('"N"', True), ("\u00e9 ", True), ('N""', False)])
def test_text_that_is_not_read_in_one_way_only_takes_the_slower_way(
    flag: str, canonical: bool, connect: Connect, green: Source, tmp_path: Path
) -> None:
    path = green_file(tmp_path, green, [ROW, ROW.replace(",N,", f",{flag},")])

    staged = stage_month(connect(), LoadTables(green, Month.parse("2019-01"), "manual__1"), source_file(path))

    assert staged["stage_month"] == {"rows_read": 2, "canonical": canonical}


def test_nothing_of_the_staging_stays_with_a_partition(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()

    load(connection, green, "2019-01", green_file(tmp_path, green, [ROW]))

    assert query(connection, "SELECT proname FROM pg_proc WHERE pronamespace = 'taxiway_staging'::regnamespace") == []
    of_partition = "'public.green_tripdata_2019_01'::regclass"
    assert query(connection, f"SELECT adnum FROM pg_attrdef WHERE adrelid = {of_partition}") == []
    assert query(
        connection,
        f"SELECT conname FROM pg_constraint WHERE conrelid = {of_partition} AND contype = 'c'",
    ) == [("of_one_file",)], "what tells the planner which file the partition is of"
    assert query(connection, f"SELECT relpersistence::text FROM pg_class WHERE oid = {of_partition}") == [("p",)]


def test_columns_in_another_order_and_case_load_right(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    straight = green_file(tmp_path, green, [ROW])
    load(connection, green, "2019-01", straight)
    expected = query(connection, "SELECT * FROM public.green_tripdata")
    names = [column.header for column in green.columns][::-1]
    turned = green_file(
        tmp_path, green, [",".join(ROW.split(",")[::-1])], head=",".join(f'"{name.upper()}"' for name in names)
    )

    counts = load(connection, green, "2019-01", turned, run_id="manual__2")

    assert counts == Counts(inserted=0, deleted=0, unchanged=1)
    assert query(connection, "SELECT * FROM public.green_tripdata") == expected


def test_values_arrive_exactly(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    row = ",2019-01-05 00:44:02,2008-12-31 23:59:59,,1.0,42,41,,.79,-8.50,0.10,,205654.12,0,,0.3,9.30,,,2.75"
    load(connection, green, "2019-01", green_file(tmp_path, green, [row, ROW], line_end="\r\n"))

    found = query(
        connection,
        "SELECT vendorid, lpep_dropoff_datetime::text, store_and_fwd_flag, ratecodeid, trip_distance, fare_amount, "
        "extra, mta_tax, tip_amount, congestion_surcharge FROM public.green_tripdata WHERE trip_distance = 0.79",
    )

    assert found == [
        (
            None,
            "2008-12-31 23:59:59",
            None,
            1,
            Decimal("0.79"),
            Decimal("-8.50"),
            Decimal("0.10"),
            None,
            Decimal("205654.12"),
            Decimal("2.75"),
        )
    ]
    _, *rows = [line.split(",") for line in lines_of(tmp_path / "green_tripdata_2019-01.csv.gz")]
    assert ids_of(connection, green, "green_tripdata_2019-01.csv") == sorted(unique_row_ids(green.columns, rows))


def test_main_table_has_the_sources_columns_types_and_comments(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    load(connection, green, "2019-01", green_file(tmp_path, green, [ROW]))

    found = query(
        connection,
        "SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute "
        "WHERE attrelid = 'public.green_tripdata'::regclass AND attnum > 0 ORDER BY attnum",
    )

    types = {"timestamp": "timestamp without time zone"}
    assert [(name, kind) for name, kind, _ in found[:3]] == [
        ("unique_row_id", "uuid"),
        ("filename", "text"),
        ("source_month", "date"),
    ]
    assert all(comment for _, _, comment in found)
    assert found[3:] == [(c.name, types.get(c.type, c.type), c.description) for c in green.columns]
    persistence = query(connection, "SELECT DISTINCT relpersistence FROM pg_class WHERE relname LIKE 'green_tripdata%'")
    assert persistence == [("p",)], "the published table is logged"


BAD_FILES = {
    "cut off": (lambda whole: whole[: len(whole) // 2], errors.InvalidFileError, "breaks off"),
    "corrupt": (lambda whole: whole[:60] + b"\xff\xff\xff\xff" + whole[64:], errors.InvalidFileError, "damaged"),
    "wrong checksum": (lambda whole: whole[:-8] + bytes(8), errors.InvalidFileError, "damaged"),
    "trailing garbage": (lambda whole: whole + b"garbage", errors.InvalidFileError, "other data behind its end"),
    "html": (lambda whole: b"<html><title>Not here</title></html>", errors.InvalidFileError, "no gzip file"),
    "no bytes": (lambda whole: b"", errors.InvalidFileError, "is empty"),
    "nothing packed": (lambda whole: gzip.compress(b""), errors.InvalidFileError, "is empty"),
    "packed html": (lambda whole: gzip.compress(b"<html>\n<body>"), errors.InvalidFileError, "an HTML page"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_an_error_and_leaves_the_main_table_alone(
    name: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    spoil, error, said = BAD_FILES[name]
    connection = connect()
    path = green_file(tmp_path, green, [ROW, *(ROW.replace("9.3", f"{n}.3") for n in range(200))])
    load(connection, green, "2019-01", path)
    before = query(connection, "SELECT * FROM public.green_tripdata ORDER BY 1")
    path.write_bytes(spoil(path.read_bytes()))

    with pytest.raises(error, match="green 2019-01") as caught:
        load(connection, green, "2019-01", path, run_id="manual__2")

    assert said in str(caught.value)
    assert query(connection, "SELECT * FROM public.green_tripdata ORDER BY 1") == before
    assert staging_tables(connection) == []


BAD_HEADERS = {
    "missing": (lambda names: [*names[:-1], "X"], ["missing congestion_surcharge", "unknown X"]),
    "repeated": (
        lambda names: [*names[:-1], "vendorid"],
        ["repeated VendorID, vendorid", "missing congestion_surcharge"],
    ),
    "unknown": (lambda names: [*names, "cbd_congestion_fee"], ["unknown cbd_congestion_fee"]),
    "no header": (lambda names: ROW.split(","), ["missing VendorID"]),
    "bom is fine but a name is not": (lambda names: ["\ufeff" + names[0], *names[1:-1], "Y"], ["unknown Y"]),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_a_wrong_header_is_named(name: str, connect: Connect, green: Source, tmp_path: Path) -> None:
    change, said = BAD_HEADERS[name]
    connection = connect()
    load(connection, green, "2019-01", green_file(tmp_path, green, [ROW]))
    before = table_digest(connection, green)
    names = change([column.header for column in green.columns])
    path = green_file(tmp_path, green, [ROW + ",0" * (len(names) - 20)], head=",".join(names))

    with pytest.raises(errors.HeaderError, match="green 2019-01") as caught:
        load(connection, green, "2019-01", path, run_id="manual__2")

    for words in said:
        assert words in str(caught.value)
    assert table_digest(connection, green) == before


def test_a_byte_order_mark_is_no_part_of_the_first_name(connect: Connect, green: Source, tmp_path: Path) -> None:
    path = green_file(tmp_path, green, [ROW], head="\ufeff" + header(green))

    assert load(connect(), green, "2019-01", path).inserted == 1


BAD_ROWS = {
    "word in a number": (ROW.replace("1.68", "far"), "line 3: trip_distance is 'far'"),
    "fraction in an integer": (ROW.replace(",42,", ",42.5,"), "line 3: PULocationID is '42.5'"),
    "too large an integer": (ROW.replace(",42,", ",4200000000,"), "line 3: PULocationID is '4200000000'"),
    "impossible date": (ROW.replace("2019-01-05 00:44", "2019-02-30 00:44"), "lpep_pickup_datetime is '2019-02-30"),
    "spreadsheet date": (
        ROW.replace("2019-01-05 00:44:02", "1/5/2019 0:44"),
        "lpep_pickup_datetime is '1/5/2019 0:44'",
    ),
    "24 o'clock": (ROW.replace("00:44:02", "24:00:00"), "lpep_pickup_datetime is '2019-01-05 24:00:00'"),
    "time zone": (ROW.replace("00:44:02", "00:44:02+05"), "lpep_pickup_datetime is '2019-01-05 00:44:02+05'"),
    "today": (ROW.replace("2019-01-05 00:44:02", "today"), "lpep_pickup_datetime is 'today'"),
    "NaN": (ROW.replace("1.68", "NaN"), "trip_distance is 'NaN'"),
    "Infinity": (ROW.replace("1.68", "Infinity"), "trip_distance is 'Infinity'"),
    "hexadecimal": (ROW.replace("1.68", "0x1A"), "trip_distance is '0x1A'"),
    "too few fields": (ROW.rpartition(",")[0], "line 3: 19 fields, expected 20"),
    "too many fields": (ROW + ",1", "line 3: 21 fields, expected 20"),
    "open quotation mark": (ROW.replace(",N,", ',"N,'), "line"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_row_that_cannot_be_read_is_named(name: str, connect: Connect, green: Source, tmp_path: Path) -> None:
    row, said = BAD_ROWS[name]
    connection = connect()
    load(connection, green, "2019-01", green_file(tmp_path, green, [ROW]))
    before = table_digest(connection, green)

    with pytest.raises(errors.RejectLimitError, match="green 2019-01") as caught:
        load(connection, green, "2019-01", green_file(tmp_path, green, [ROW, row, ROW]), run_id="manual__2")

    assert said in str(caught.value)
    assert table_digest(connection, green) == before
    assert staging_tables(connection) == []


def test_a_file_that_is_replaced_or_gone_since_its_download_is_not_loaded(
    connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    tables = LoadTables(green, Month.parse("2019-01"), "manual__1")
    path = green_file(tmp_path, green, [ROW])
    downloaded = source_file(path)
    green_file(tmp_path, green, [ROW, ROW])

    with pytest.raises(errors.MissingInputError, match="changed since it was downloaded"):
        stage_month(connection, tables, downloaded)
    path.unlink()
    with pytest.raises(errors.MissingInputError, match="is gone"):
        stage_month(connection, tables, downloaded)

    assert staging_tables(connection) == []


def test_bytes_that_are_not_utf_8_are_named(connect: Connect, green: Source, tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2019-01.csv.gz"
    path.write_bytes(gzip.compress(f"{header(green)}\n{ROW}\n".encode().replace(b",N,", b",\xff\xfe,")))

    with pytest.raises(errors.RejectLimitError, match=r"green 2019-01.*line 2: not UTF-8: byte 0xff"):
        load(connect(), green, "2019-01", path)


def test_a_file_mangled_by_a_spreadsheet_is_refused(connect: Connect, yellow: Source, tlc: Path) -> None:
    connection = connect()

    with pytest.raises(errors.TaxiwayError, match="yellow 2019-01"):
        load(connection, yellow, "2019-01", tlc / "broken/yellow_tripdata_2019-01.excel_dates.csv.gz")

    assert query(connection, "SELECT count(*) FROM public.yellow_tripdata") == [(0,)]


def test_a_table_of_another_make_is_not_touched(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    with connection.transaction():
        connection.execute("CREATE TABLE public.green_tripdata (unique_row_id text, filename text, vendorid text)")

    with pytest.raises(errors.MainTableError, match=r"found an ordinary table with unique_row_id text.*Rename it"):
        load(connection, green, "2019-01", green_file(tmp_path, green, [ROW]))


def test_a_reader_sees_the_month_whole_or_not_at_all(connect: Connect, green: Source, tmp_path: Path) -> None:
    """A reader with its transaction open keeps its view, and neither waits for the load nor stops it."""
    writer, reader = connect(), connect()
    load(writer, green, "2019-01", green_file(tmp_path, green, [ROW]))
    reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert reader.execute("SELECT count(*) FROM public.green_tripdata").fetchall() == [(1,)]

    rows = [ROW.replace("9.3", f"{number}.1") for number in range(50)]
    load(writer, green, "2019-01", green_file(tmp_path, green, rows), run_id="manual__2", accept_deletions=True)

    assert reader.execute("SELECT count(*) FROM public.green_tripdata").fetchall() == [(1,)]
    reader.rollback()
    assert reader.execute("SELECT count(*) FROM public.green_tripdata").fetchall() == [(50,)]


def test_the_ledger_tells_what_was_loaded_from_where(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    path = green_file(tmp_path, green, [ROW, ROW.replace("9.3", "9.9")])
    load(connection, green, "2019-01", path)
    again = green_file(tmp_path, green, [ROW, ROW])
    load(connection, green, "2019-01", again, run_id="manual__2", accept_deletions=True)

    found = query(
        connection,
        "SELECT month::text, run_id, attempt, step, state, filename, url, rows_read, rows_staged, rows_rejected, "
        "rows_inserted, rows_deleted, rows_unchanged, finished_at >= started_at, error "
        "FROM taxiway.loads ORDER BY load_id",
    )

    url = f"http://mirror.test/{path.name}"
    assert found == [
        (
            "2019-01-01",
            "manual__1",
            1,
            "merge_month",
            "published",
            path.name.removesuffix(".gz"),
            url,
            2,
            2,
            0,
            2,
            0,
            0,
            True,
            None,
        ),
        (
            "2019-01-01",
            "manual__2",
            1,
            "merge_month",
            "published",
            path.name.removesuffix(".gz"),
            url,
            2,
            2,
            0,
            1,
            1,
            1,
            True,
            None,
        ),
    ]
