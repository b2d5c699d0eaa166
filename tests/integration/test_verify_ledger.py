"""``airflow taxi verify``: rows that somebody has changed are found, in Postgres, in BigQuery, and between the two."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.compare.comparison import Compared, compare_months
from taxiway.errors import ComparisonError, DestructiveCorrectionError
from taxiway.loads.deletions import ACCEPTING_CONF
from taxiway.loads.file_months import FileMonth, FileMonths
from taxiway.loads.published_months import PublishedMonths, Verified, misfits
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.bigquery.published_months import BigQueryMonths
from taxiway.warehouses.postgres.published_months import PostgresMonths
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.conftest import Connect, PostgresServer
from tests.integration.command_output import told_in_each_format
from tests.integration.gcp_airflow import gcp_airflow, stand_ins
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.terminal import COLOURS, run_in_terminal
from tests.loading import by_hand, lines_of, load, source_file, specified_ids, write_gzip
from tests.mirror_faults import FaultyMirror, status

FIRST, SECOND, CUT = (Month(2019, number) for number in (1, 2, 3))
ROWS = 1000
"""Enough for a few duplicate rows."""

ONE = "unique_row_id = (SELECT min(unique_row_id::text)::uuid FROM green_tripdata WHERE source_month = '2019-01-01')"


@pytest.fixture(scope="module")
def green() -> Source:
    """Green taxis as the command reads them: with the columns of later months, too."""
    return load_source(SOURCES_FOLDER / "green.yaml")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, green: Source) -> dict[Month, Path]:
    folder = tmp_path_factory.mktemp("files")
    paths = {month: folder / green.download_name(month) for month in (FIRST, SECOND)}
    for month, path in paths.items():
        write_sample_month(green, month, path, rows=ROWS)
    return paths


@pytest.fixture
def months(connect: Connect, green: Source, files: dict[Month, Path]) -> psycopg.Connection[Any]:
    """A warehouse with one month."""
    connection = connect()
    load(connection, green, str(FIRST), files[FIRST])
    return connection


def verified(connection: psycopg.Connection[Any], source: Source) -> Verified:
    return PostgresMonths(connection, purpose="verify").verify(source, FIRST)


def test_a_month_is_as_it_was_published(
    months: psycopg.Connection[Any], green: Source, files: dict[Month, Path]
) -> None:
    assert verified(months, green) == Verified(ROWS, ROWS)
    # A month that is loaded again, from the same file too, is what its last load published.
    load(months, green, str(FIRST), files[FIRST], run_id="manual__2")
    assert verified(months, green) == Verified(ROWS, ROWS)


PARTITION = "green_tripdata_2019_01"
CHANGES = {
    "a value changed": (f"UPDATE green_tripdata SET fare_amount = -1 WHERE {ONE}", ROWS, 1),
    "a value of a later column added": (f"UPDATE green_tripdata SET cbd_congestion_fee = 1 WHERE {ONE}", ROWS, 1),
    "a filename changed": (
        f"ALTER TABLE {PARTITION} DROP CONSTRAINT of_one_file; "
        f"UPDATE green_tripdata SET filename = 'mine.csv' WHERE {ONE}",
        ROWS,
        1,
    ),
    "an id changed": (f"UPDATE green_tripdata SET unique_row_id = gen_random_uuid() WHERE {ONE}", ROWS, 1),
    "a row deleted": (f"DELETE FROM green_tripdata WHERE {ONE}", ROWS - 1, 0),
    "a row added": (
        "INSERT INTO green_tripdata (unique_row_id, filename, source_month) "
        "VALUES (gen_random_uuid(), 'green_tripdata_2019-01.csv', '2019-01-01')",
        ROWS + 1,
        1,
    ),
    "a row exchanged": (
        f"DELETE FROM green_tripdata WHERE {ONE}; "
        "INSERT INTO green_tripdata (unique_row_id, filename, source_month) "
        "VALUES (gen_random_uuid(), 'green_tripdata_2019-01.csv', '2019-01-01')",
        ROWS,
        1,
    ),
    "all rows deleted": ("TRUNCATE green_tripdata", 0, 0),
    "the partition dropped": (f"DROP TABLE {PARTITION}", 0, 0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_somebody_has_changed_is_found(months: psycopg.Connection[Any], green: Source, change: str) -> None:
    statements, rows, changed = CHANGES[change]
    by_hand(months, statements)

    found = verified(months, green)

    assert (found.rows, found.recorded, found.rewritten) == (rows, ROWS, False)
    assert found.difference
    assert len(found.changed) == changed
    if changed:
        assert f"; {changed} row with an id that doesn't fit: changed or added by hand, or left of " in found.difference


def test_a_row_that_is_left_of_deleted_duplicates_is_not_called_changed_alone(
    months: psycopg.Connection[Any], green: Source, files: dict[Month, Path]
) -> None:
    """The id of a duplicate row has its number, and the row with the first number is gone."""
    rows = lines_of(files[FIRST])[1:]
    first = next(number for number, row in enumerate(rows) if row in rows[number + 1 :])
    row_id = specified_ids(green, files[FIRST])[first]
    by_hand(months, f"DELETE FROM green_tripdata WHERE unique_row_id = '{row_id}'")

    assert verified(months, green).difference == (
        f"public.{PARTITION} holds {ROWS - 1} rows, the ledger has {ROWS}; 1 row with an id that doesn't fit: changed "
        "or added by hand, or left of duplicate rows of which some were deleted"
    )


def test_a_changed_row_is_named(months: psycopg.Connection[Any], green: Source) -> None:
    ((row_id,),) = months.execute(f"SELECT replace(unique_row_id::text, '-', '') FROM green_tripdata WHERE {ONE}")
    months.commit()
    by_hand(months, f"UPDATE green_tripdata SET total_amount = total_amount + 1 WHERE {ONE}")

    assert verified(months, green).changed == (row_id,)


def test_rows_that_were_written_again_as_they_were_are_right(months: psycopg.Connection[Any], green: Source) -> None:
    """As a restore leaves them: duplicate rows have the ids of their numbers."""
    by_hand(months, "UPDATE green_tripdata SET fare_amount = fare_amount")

    assert verified(months, green) == Verified(ROWS, ROWS, rewritten=True)


def test_a_column_that_is_gone_is_said(months: psycopg.Connection[Any], green: Source) -> None:
    by_hand(months, "ALTER TABLE green_tripdata DROP COLUMN total_amount")

    found = verified(months, green)

    assert found.difference.endswith("; a column of its rows is gone")
    # The session goes on.
    assert verified(months, green) == found


def test_a_month_that_the_ledger_does_not_know_is_said(months: psycopg.Connection[Any], green: Source) -> None:
    by_hand(months, "DELETE FROM taxiway.loads")
    warehouse = PostgresMonths(months)

    assert list(warehouse.months_of_table(green)) == [FIRST]
    assert warehouse.verify(green, FIRST) == Verified(
        ROWS, None, f"public.{PARTITION} holds {ROWS} rows that the ledger knows nothing of"
    )


def test_a_source_without_a_table_has_no_months(connect: Connect, green: Source) -> None:
    warehouse = PostgresMonths(connect())

    assert (list(warehouse.months_of_table(green)), dict(warehouse.months(green))) == ([], {})


ODD = '2.0,2019-01-05 00:44:02.000,2019-01-05 00:52:23,"N",1,42,41,1,01.680,8,.5,0.5,0,0,,0.3,9.3,1,1,0'
"""A row that is written in another way than the warehouse writes it."""


def against_file(warehouse: PublishedMonths, source: Source, month: Month, path: Path, *rejected: int) -> Compared:
    file = FileMonths(FileMonth(source, month, source_file(path), rejected))
    return compare_months(warehouse, file, source, [month])


def test_rows_are_those_of_their_file(
    months: psycopg.Connection[Any], green: Source, files: dict[Month, Path], tmp_path: Path
) -> None:
    """Duplicate rows are numbered; Parquet, other people's CSV and rejected lines are read as a load reads them."""
    warehouse = PostgresMonths(months)
    assert against_file(warehouse, green, FIRST, files[FIRST]).same == {"green 2019-01": ROWS}

    of_parquet = Month(2024, 1)
    path = tmp_path / green.download_name(of_parquet)
    write_sample_month(green, of_parquet, path, rows=ROWS)
    load(months, green, str(of_parquet), path, run_id="manual__parquet")
    assert against_file(warehouse, green, of_parquet, path).same == {"green 2024-01": ROWS}

    header, *rows = lines_of(files[FIRST])
    trailing = write_gzip(tmp_path / "odd.csv.gz", [header, *(f"{row},," for row in (*rows, ODD)), "1,2"], "\r\n")
    load(months, replace(green, max_rejected_share=1.0), str(FIRST), trailing, run_id="manual__odd")
    rejected = warehouse.rejected(green, FIRST)
    assert rejected is not None
    assert [line.reason for line in rejected.lines] == ["2 fields, expected 20 and 2 empty ones behind the last column"]
    (line,) = [line.line_number for line in rejected.lines]
    assert against_file(warehouse, green, FIRST, trailing, line).same == {"green 2019-01": ROWS + 1}
    with pytest.raises(ComparisonError, match=rf"line {line} of the file can't be read \(2 fields, expected 20"):
        against_file(warehouse, green, FIRST, trailing)


def test_rows_that_are_not_those_of_their_file_are_named(
    months: psycopg.Connection[Any], green: Source, files: dict[Month, Path]
) -> None:
    warehouse = PostgresMonths(months)
    ((gone,),) = months.execute(f"SELECT replace(unique_row_id::text, '-', '') FROM green_tripdata WHERE {ONE}")
    months.commit()
    by_hand(months, f"DELETE FROM green_tripdata WHERE {ONE}")

    (difference,) = against_file(warehouse, green, FIRST, files[FIRST]).differences

    assert difference.startswith(f"green 2019-01: rows: {ROWS - 1} in Postgres, {ROWS} in the file; sum of ")
    assert f"; only in the file: {gone}; Postgres holds {ROWS - 1} rows, its ledger has {ROWS}" in difference


@dataclass
class Both:
    """An Airflow with both warehouses, which hold the same month; Postgres holds another one, too."""

    taxi: TaxiAirflow
    cloud: Cloud
    mirror: FaultyMirror

    def run(self, *options: str) -> tuple[int, str, str]:
        """Run the command; return its exit code, and what it wrote to standard output and to standard error."""
        done = self.taxi.airflow.run("taxi", "verify", "--source", "green", *options)
        assert "\x1b" not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    def verify(self, *options: str) -> tuple[int, list[dict[str, Any]], str]:
        """Run the command; return its exit code, its records and its sentences."""
        code, text, said = self.run(*options, "--output", "json")
        return code, json.loads(text or "[]"), said


@pytest.fixture
def both(
    tmp_path: Path,
    postgres_server: PostgresServer,
    bigquery: StandIn,
    cloud_storage: CloudStorage,
    green: Source,
    files: dict[Month, Path],
) -> Iterator[Both]:
    cloud = Cloud.connect().set_up()
    cloud.load(green, str(FIRST), files[FIRST])
    with (
        FaultyMirror() as mirror,
        gcp_airflow(postgres_server, tmp_path / "home", mirror.url, stand_ins(bigquery, cloud_storage)) as made,
    ):
        made.airflow.variables |= COLOURS
        with made.connect() as connection:
            for month, path in files.items():
                load(connection, green, str(month), path, run_id=f"manual__{month}")
                mirror.put(f"/{green.file_path(month)}", path.read_bytes())
        yield Both(made, cloud, mirror)


def line(month: Month, result: str = "right", **more: Any) -> dict[str, Any]:
    return {"source": "green", "month": str(month), "rows": ROWS, "result": result, "note": "", **more}


def test_the_command_compares_with_the_ledger_and_with_the_other_warehouse(
    both: Both, bigquery: StandIn, green: Source, files: dict[Month, Path], tmp_path: Path
) -> None:
    assert both.verify() == (0, [line(FIRST, ledger=ROWS), line(SECOND, ledger=ROWS)], "")
    assert both.verify("--warehouse", "bigquery") == (0, [line(FIRST, ledger=ROWS)], "")
    assert both.verify("--against", "bigquery", "--to", "2019-01") == (0, [line(FIRST)], "")
    of_file = {"ledger": ROWS, "file": ROWS}
    of_files = told_in_each_format(both.run, "--against", "file")
    assert of_files == (0, [line(FIRST, **of_file), line(SECOND, **of_file)], "")
    of_bigquery = both.verify("--against", "file", "--warehouse", "bigquery")
    assert of_bigquery == (0, [line(FIRST, **of_file)], "")

    with both.taxi.connect() as connection:
        by_hand(connection, f"UPDATE green_tripdata SET fare_amount = fare_amount + 1 WHERE {ONE}")
    code, (first, second), _ = told_in_each_format(both.run)
    assert (code, first["result"], second["result"]) == (1, "differs", "right")
    assert re.search(
        r"; 1 row with an id that doesn't fit: .* of which some were deleted \([0-9a-f]{32}\)\. ", first["note"]
    )
    assert first["note"].endswith(
        "To load it again: airflow dags backfill -s 2019-01-01 -e 2019-01-31 --reprocess-behavior completed taxi_green"
    )
    code, shown = run_in_terminal(both.taxi.airflow, "taxi", "verify", "--source", "green", columns=40)
    assert code == 1
    assert f"source: green\nmonth: 2019-01\nrows: {ROWS}\nledger: {ROWS}\nresult: differs\n\n" in shown
    assert f"\n{first['note']}\n" in shown

    # Which loads were refused is one job of a source, though the month differs from ledger and file.
    both.cloud.query("UPDATE $taxi.green_tripdata SET fare_amount = fare_amount + 1 WHERE TRUE")
    bigquery.forget_requests()
    code, (first,), _ = both.verify("--against", "file", "--warehouse", "bigquery")
    assert (code, first["result"]) == (1, "differs")
    assert len([request for request in bigquery.requests if "last_attempts AS" in str(request.body)]) == 1

    # A load that goes on in BigQuery's ledger, but whose run is gone, changes nothing.
    both.cloud.begin(both.cloud.tables(green, str(FIRST), "manual__begun"), files[FIRST], force=True)
    code, (first, second), _ = told_in_each_format(both.run, "--against", "bigquery")
    assert (code, first["result"], second["result"]) == (1, "differs", "not compared")
    assert first["note"].startswith("green 2019-01: sum of fare_amount: ")
    assert second["note"] == "green 2019-02: not published in BigQuery"
    both.taxi.add_run("taxi_green_gcp", "manual__begun", "running")
    _, (first,), _ = both.verify("--against", "bigquery", "--to", str(FIRST))
    assert first["result"] == "unsettled"
    assert first["note"].endswith("; a load of the month into BigQuery is under way")

    both.mirror.put(f"/{load_source(SOURCES_FOLDER / 'green.yaml').file_path(SECOND)}", status(404))
    write_sample_month(green, CUT, tmp_path / "whole.csv.gz", rows=ROWS)
    cut = write_gzip(tmp_path / "cut.csv.gz", lines_of(tmp_path / "whole.csv.gz")[: ROWS // 2])
    with both.taxi.connect() as connection:
        load(connection, green, str(CUT), tmp_path / "whole.csv.gz", run_id="manual__whole")
        with pytest.raises(DestructiveCorrectionError):
            load(connection, green, str(CUT), cut, run_id="manual__cut")
    both.mirror.put(f"/{green.file_path(CUT)}", cut.read_bytes())
    code, (first, second, third), _ = both.verify("--against", "file")
    assert (code, first["result"], second["result"], third["result"]) == (1, "differs", "unreadable", "other file")
    assert third["note"].endswith(
        "Look first at the file of 2019-03: the last load would delete too many published rows. If it is right, load "
        "again: airflow dags backfill -s 2019-03-01 -e 2019-03-31 --reprocess-behavior completed "
        f"-c '{ACCEPTING_CONF}' taxi_green"
    )
    assert first["note"].startswith("green 2019-01: sum of fare_amount: ")
    assert " in Postgres, " in first["note"]
    assert first["note"].endswith("--reprocess-behavior completed taxi_green")
    assert "the answer is 404" in second["note"]

    code, records, said = both.verify("--from", "2031-01")
    assert (code, records) == (1, [])
    assert said == "Nothing was compared: Postgres holds no published month that was asked for\n"
    code, records, said = both.verify("--against", "postgres")
    assert (code, said) == (
        2, "error: --against postgres and --warehouse postgres exclude each other: give one of them\n"
    )  # fmt: skip


def test_a_changed_row_of_bigquery_is_found(
    bigquery: StandIn, cloud_storage: CloudStorage, green: Source, files: dict[Month, Path]
) -> None:
    cloud = Cloud.connect().set_up()
    cloud.load(green, str(FIRST), files[FIRST])
    warehouse = BigQueryMonths(cloud.jobs(), purpose="verify")
    assert warehouse.verify(green, FIRST) == Verified(ROWS, ROWS)
    ((row_id,),) = cloud.query("SELECT MIN(unique_row_id) FROM $taxi.green_tripdata")

    cloud.query(f"UPDATE $taxi.green_tripdata SET fare_amount = -1 WHERE unique_row_id = '{row_id}'")
    assert warehouse.verify(green, FIRST) == Verified(ROWS, ROWS, misfits(1), changed=[row_id])

    cloud.query(f"DELETE FROM $taxi.green_tripdata WHERE unique_row_id = '{row_id}'")
    assert f"holds {ROWS - 1} rows of the month, the ledger has {ROWS}" in warehouse.verify(green, FIRST).difference
    assert warehouse.verify(replace(green, main_table="nothing"), FIRST).difference.startswith("there is no table ")

    cloud.query("UPDATE $taxi.green_tripdata SET fare_amount = -1 WHERE TRUE")
    first = [row_id for (row_id,) in cloud.query("SELECT unique_row_id FROM $taxi.green_tripdata ORDER BY 1 LIMIT 5")]
    assert warehouse.verify(green, FIRST).changed == first
