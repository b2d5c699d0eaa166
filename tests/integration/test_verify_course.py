"""``airflow taxi verify --course``: what it finds in a real Postgres and in BigQuery, and the command in an Airflow."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.compare.known_figures import (
    BYTES,
    DIFFERS,
    INCOMPLETE,
    NOT_LOADED,
    OTHER_FILES,
    RIGHT,
    ROWS,
    SAMPLES,
    Checked,
    KnownFigure,
    check_figures,
    find_months,
    read_figures,
)
from taxiway.paths import FIGURES_FILE, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.postgres.published_months import PostgresMonths
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.conftest import Connect, PostgresServer
from tests.integration.command_output import told_in_each_format
from tests.integration.gcp_airflow import gcp_airflow, stand_ins
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.terminal import COLOURS
from tests.loading import by_hand, load, unpacked_bytes

FIRST, SECOND, THIRD = (Month(2020, number) for number in (1, 2, 3))
COUNTS = {FIRST: 30, SECOND: 40, THIRD: 50}
YEAR = KnownFigure("green", FIRST, THIRD, "csv", ROWS, 120, 4, "the course")
MONTHS = [KnownFigure("green", month, month, "csv", ROWS, rows, None, "a test") for month, rows in COUNTS.items()]

APRIL = Month(2020, 4)
ROWS_OF_APRIL = 35_612
"""Rows of the real file, which the project's table has."""


@pytest.fixture(scope="module")
def green() -> Source:
    """Green taxis as the command reads them: with every release."""
    return load_source(SOURCES_FOLDER / "green.yaml")


def load_sample(connection: psycopg.Connection[Any], source: Source, month: Month, folder: Path, rows: int) -> Path:
    path = folder / source.download_name(month)
    write_sample_month(source, month, path, rows=rows)
    load(connection, source, str(month), path, run_id=f"manual__{month}_{rows}")
    return path


def checked(
    connection: psycopg.Connection[Any],
    source: Source,
    figures: list[KnownFigure],
    samples: tuple[Month, ...] = (),
) -> list[Checked]:
    months = sorted({month for figure in figures for month in figure.all_months})
    found = find_months(
        PostgresMonths(connection, purpose="verify"), source, months, lambda _, month, *__: month in samples
    )
    return check_figures(figures, {source.name: source}, {source.name: found})


def results(found: list[Checked]) -> list[tuple[str, int | None]]:
    return [(each.result, each.found) for each in found]


@pytest.fixture
def months(connect: Connect, green: Source, tmp_path: Path) -> psycopg.Connection[Any]:
    """A warehouse with the months of :data:`COUNTS`."""
    connection = connect()
    for month, rows in COUNTS.items():
        load_sample(connection, green, month, tmp_path, rows)
    return connection


def test_months_as_they_were_published_are_right(months: psycopg.Connection[Any], green: Source) -> None:
    assert results(checked(months, green, [YEAR, *MONTHS])) == [(RIGHT, 120), (RIGHT, 120)]


def test_a_row_that_somebody_has_deleted_is_found(months: psycopg.Connection[Any], green: Source) -> None:
    """The ledger goes on saying what was published: the rows are counted."""
    by_hand(
        months,
        "DELETE FROM green_tripdata WHERE unique_row_id IN "
        "(SELECT unique_row_id FROM green_tripdata WHERE source_month = '2020-02-01' LIMIT 1)",
    )

    year, together, month = checked(months, green, [YEAR, *MONTHS])

    assert results([year, together, month]) == [(DIFFERS, 119), (DIFFERS, 119), (DIFFERS, 39)]
    assert month.months == [SECOND]
    assert month.recorded is not None
    assert month.recorded.rows == 40


def test_a_file_with_one_row_more_differs(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    load_sample(connection, green, FIRST, tmp_path, 31)

    together, month = checked(connection, green, MONTHS)

    assert results([together, month]) == [(DIFFERS, 31), (DIFFERS, 31)]


def test_months_that_are_missing_are_named_and_not_compared(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    assert results(checked(connection, green, [YEAR, *MONTHS])) == [(NOT_LOADED, None), (NOT_LOADED, None)]

    load_sample(connection, green, SECOND, tmp_path, 40)
    year, together = checked(connection, green, [YEAR, *MONTHS])

    assert results([year, together]) == [(INCOMPLETE, 40), (RIGHT, 40)]
    assert list(year.missing) == [FIRST, THIRD]


def test_a_partition_that_was_dropped_differs(months: psycopg.Connection[Any], green: Source) -> None:
    ((partition,),) = months.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class ON oid = inhrelid "
        "WHERE inhparent = 'green_tripdata'::regclass AND pg_get_expr(relpartbound, oid) LIKE '%2020-03-01%'"
    ).fetchall()
    months.commit()
    by_hand(months, f"DROP TABLE {partition}")

    assert results(checked(months, green, [YEAR])) == [(DIFFERS, 70)]


def test_a_month_that_another_release_has_superseded_is_compared_with_that_one(
    months: psycopg.Connection[Any], green: Source, tmp_path: Path
) -> None:
    mirror, official = green.releases
    releases = replace(mirror, last=FIRST), replace(official, first=SECOND)
    another = replace(green, releases=releases, max_deleted_share=1)
    load_sample(months, another, SECOND, tmp_path, 41)
    of_parquet = KnownFigure("green", SECOND, SECOND, "parquet", ROWS, 41, None, "a test")

    year, *of_months = checked(months, green, [YEAR, *MONTHS, of_parquet])

    assert (year.result, year.others) == (OTHER_FILES, {SECOND: "green_tripdata_2020-02.parquet"})
    assert [(each.result, each.found, each.months) for each in of_months] == [
        (RIGHT, 80, [FIRST, THIRD]),
        (RIGHT, 41, [SECOND]),
    ]


def test_sample_months_are_not_compared(months: psycopg.Connection[Any], green: Source) -> None:
    (year,) = checked(months, green, [replace(YEAR, value=1)], samples=(FIRST,))

    assert (year.result, year.samples) == (SAMPLES, [FIRST])


def test_the_size_of_the_unpacked_file_is_the_ledgers(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    path = load_sample(connection, green, FIRST, tmp_path, 30)
    size = KnownFigure("green", FIRST, FIRST, "csv", BYTES, unpacked_bytes(path) or 0, 1, "a test")

    assert results(checked(connection, green, [size])) == [(RIGHT, size.value)]
    assert results(checked(connection, green, [replace(size, value=size.value + 1)])) == [(DIFFERS, size.value)]


@pytest.mark.parametrize(
    ("path", "month"),
    [
        ("months/green/green_tripdata_2020-04.csv.gz", "2020-04"),
        ("parquet/green_tripdata_2020-04.parquet", "2020-04"),
        ("parquet/green_tripdata_2023-02.parquet", "2023-02"),
        ("parquet/green_tripdata_2024-01.parquet", "2024-01"),
    ],
)
def test_real_months_are_right(connect: Connect, green: Source, tlc: Path, path: str, month: str) -> None:
    """The figures of the mirror's files and of the TLC's, of the same month too, are those of the real files."""
    connection = connect()
    _, official = green.releases
    source = green if path.endswith(".gz") else replace(green, releases=(replace(official, first=green.first_month),))
    load(connection, source, month, tlc / path)
    of_months = [figure for figure in read_figures(FIGURES_FILE) if figure.source == "green" and not figure.question]

    (together,) = (each for each in checked(connection, green, of_months) if each.counted)

    assert (together.result, together.found) == (RIGHT, together.figure.value)
    assert list(together.counted) == [Month.parse(month)]


@pytest.fixture(scope="module")
def taxi(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, green: Source
) -> Iterator[TaxiAirflow]:
    """An Airflow whose mirror has as many rows of 2020-04 as the real one; the month is loaded."""
    folder = tmp_path_factory.mktemp("verify")
    path = folder / "mirror" / green.file_path(APRIL)
    path.parent.mkdir(parents=True)
    write_sample_month(green, APRIL, path, rows=ROWS_OF_APRIL)
    with serve(folder / "mirror") as mirror:
        made = TaxiAirflow.create(postgres_server, folder / "home", mirror.address, own_api=True, extra=COLOURS)
        try:
            with made.connect() as connection:
                load(connection, green, str(APRIL), path)
            yield made
        finally:
            made.close()


GREEN = ("--source", "green", "--from", "2020-01", "--to", "2020-12")


def verify(taxi: TaxiAirflow, *options: str, **variables: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, and what it wrote to standard output and to standard error."""
    done = taxi.airflow.run("taxi", "verify", *options, **variables)
    assert "\x1b" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def test_the_formats_say_the_same(taxi: TaxiAirflow) -> None:
    """2020-04 is right, and the year isn't loaded whole: nothing differs, so the exit code is 0."""
    code, (year, months), said = told_in_each_format(partial(verify, taxi), "--course", *GREEN)

    assert (code, said) == (0, "")
    assert year.pop("note") == (
        "green 2020-01 to 2020-12: not compared, 1 of 12 months loaded, 11 missing: 2020-01 to 2020-03, 2020-05 to "
        "2020-12. To load: airflow dags backfill -s 2020-01-01 -e 2020-03-31 --reprocess-behavior completed "
        "taxi_green; airflow dags backfill -s 2020-05-01 -e 2020-12-31 --reprocess-behavior completed taxi_green"
    )
    assert year == {
        "source": "green", "months": "2020-01 to 2020-12", "file": "csv", "figure": "rows", "question": 4,
        "compared": "1 of 12", "found": ROWS_OF_APRIL, "expected": 1_734_051, "result": INCOMPLETE,
    }  # fmt: skip
    assert months == {
        **year, "question": None, "expected": ROWS_OF_APRIL, "result": RIGHT, "note": ""
    }  # fmt: skip


def test_what_an_error_advises_mends_it(taxi: TaxiAirflow) -> None:
    with taxi.connect() as connection:
        by_hand(
            connection,
            "DELETE FROM green_tripdata WHERE unique_row_id = "
            "(SELECT unique_row_id FROM green_tripdata WHERE source_month = '2020-04-01' LIMIT 1)",
        )

    code, text, said = verify(taxi, "--course", *GREEN)
    (line,) = (line for line in said.splitlines() if line.startswith("green 2020-04: found"))

    assert code == 1
    assert "differs" in text
    assert line.startswith(
        "green 2020-04: found 35611 rows of green_tripdata_2020-04.csv, expected 35612, as in the course's mirror. The "
        "ledger has 35612 rows: somebody has changed the table. To load it again: airflow dags backfill "
    )
    done = taxi.airflow.run(*shlex.split(line.rpartition(": airflow ")[2]), timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    code, text, _ = verify(taxi, "--course", *GREEN)
    assert code == 0, text


def test_a_sample_month_is_known_by_its_bytes(taxi: TaxiAirflow, green: Source, tmp_path: Path) -> None:
    """It is compared with nothing; the sentence says how to put the real file in its place."""
    with taxi.connect() as connection:
        load_sample(connection, green, Month(2020, 5), tmp_path, 200)
    try:
        code, text, said = verify(taxi, "--course", "--source", "green", "--from", "2020-05", "--to", "2020-05")
        _, of_year, _ = verify(taxi, "--course", *GREEN, "--output", "json")
    finally:
        with taxi.connect() as connection:
            by_hand(
                connection,
                "DELETE FROM taxiway.loads WHERE month = '2020-05-01'; "
                "DELETE FROM green_tripdata WHERE source_month = '2020-05-01'",
            )

    assert (code, SAMPLES in text) == (1, True)
    assert said.splitlines() == [
        "green 2020-05: not compared, 2020-05 holds sample data. To put the real files in their place: airflow dags "
        "backfill -s 2020-05-01 -e 2020-05-31 --reprocess-behavior completed taxi_green",
        "Nothing was compared: Postgres holds no real month with a known figure. To load some: airflow dags backfill "
        "-s 2020-05-01 -e 2020-05-31 --reprocess-behavior completed taxi_green",
    ]
    assert [record["result"] for record in json.loads(of_year)] == [SAMPLES, RIGHT]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--course", "--source", "purple"],
            "error: --source purple: expected one of ",
        ),
        (["--course", "--from", "2020-13"], "error: '2020-13' is not a month: write it as YYYY-MM"),
        (["--course", "--from", "2020-05", "--to", "2020-04"], "error: --from 2020-05 is after --to 2020-04"),
        (["--course", "--source", "zones"], "error: no figure of include/known_figures.csv is about zones"),
        (["--course", "--output", "csv"], "airflow taxi verify command error: argument -o/--output"),
    ],
)
def test_wrong_options_end_with_2(taxi: TaxiAirflow, options: list[str], said: str) -> None:
    code, text, errors = verify(taxi, *options)

    assert code == 2
    assert said in " ".join((text + errors).split())


def test_a_warehouse_that_does_not_answer_is_a_sentence(taxi: TaxiAirflow, tmp_path: Path) -> None:
    nobody = json.dumps({"conn_type": "postgres", "host": str(tmp_path), "login": "postgres", "schema": "taxi"})

    code, text, said = verify(taxi, "--course", AIRFLOW_CONN_TAXI_POSTGRES=nobody)

    assert (code, text) == (1, "")
    assert said.startswith("error: verify, connection taxi_postgres: Postgres says: connection ")
    assert "Expected an answer: give the command again" in said
    assert "task" not in said


def test_the_same_of_bigquery(
    tmp_path: Path,
    postgres_server: PostgresServer,
    bigquery: StandIn,
    cloud_storage: CloudStorage,
    green: Source,
) -> None:
    path = tmp_path / green.download_name(APRIL)
    write_sample_month(green, APRIL, path, rows=60)
    cloud = Cloud.connect().set_up()
    taxi = gcp_airflow(postgres_server, tmp_path / "home", "http://127.0.0.1:1", stand_ins(bigquery, cloud_storage))
    try:
        empty = verify(taxi, "--course", *GREEN, "--warehouse", "bigquery", "--output", "json")
        cloud.load(green, str(APRIL), path)
        code, text, said = verify(taxi, "--course", *GREEN, "--warehouse", "bigquery", "--output", "json")
    finally:
        taxi.close()

    assert [record["result"] for record in json.loads(empty[1])] == [NOT_LOADED, NOT_LOADED]
    assert empty[0] == 1
    assert "Nothing was compared: BigQuery holds no real month" in empty[2]
    assert "taxi_green_gcp" in empty[2]
    # Known by its bytes as a sample, through the ledger of BigQuery.
    year, months = json.loads(text)
    assert (code, year["result"], months["result"]) == (1, SAMPLES, SAMPLES), said
