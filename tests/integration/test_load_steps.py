"""The steps of a load on a real Postgres: exact, repeatable, whole or not at all."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from taxiway import errors
from taxiway.loads.load import Counts
from taxiway.loads.row_identity import unique_row_ids
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source, load_source
from taxiway.warehouses.postgres import hash as hash_module
from taxiway.warehouses.postgres import stage
from taxiway.warehouses.postgres.parallel_copy import copy_in_parallel
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


@pytest.mark.parametrize("flag", ["N", '"N"'])
def test_a_new_month_goes_the_quick_ways(
    connect: Connect, green: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    """Nothing but its time would show that one is lost."""
    path = green_file(tmp_path, green, [ROW.replace("N", flag), ROW.replace("1.68", "1.7")])
    statements = list[str]()

    def copy(connection: Any, statement: str, *others: Any) -> int:
        statements.append(statement)
        return copy_in_parallel(connection, statement, *others)

    monkeypatch.setattr(stage, "copy_in_parallel", copy)
    monkeypatch.setattr(hash_module, "count_rows", None)  # the index has counted them

    assert load(connect(), green, "2019-01", path) == Counts(2, 0, 0)

    formats = [re.findall(r"FORMAT (\w+)", statement) for statement in statements]
    assert formats == ([["text"]] if flag == "N" else [["text"], ["csv"]])


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


def test_a_file_mangled_by_a_spreadsheet_is_refused(connect: Connect, yellow: Source, tlc: Path) -> None:
    connection = connect()

    with pytest.raises(errors.TaxiwayError, match="yellow 2019-01"):
        load(connection, yellow, "2019-01", tlc / "broken/yellow_tripdata_2019-01.excel_dates.csv.gz")

    assert query(connection, "SELECT count(*) FROM public.yellow_tripdata") == [(0,)]


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
