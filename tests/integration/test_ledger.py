"""The ledger on a real Postgres: one row per attempt, whatever became of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from taxiway.core import errors
from taxiway.core.download import Download
from taxiway.core.months import Month
from taxiway.core.sources import Source
from taxiway.core.tables import LoadTables
from taxiway.local.samples import write_sample_month
from taxiway.postgres import ledger
from taxiway.postgres.check import check_month
from taxiway.postgres.cleanup import drop_staging
from taxiway.postgres.fetch import Fetched, fetch_month
from taxiway.postgres.hash import hash_rows
from taxiway.postgres.ledger import Published
from taxiway.postgres.publish import merge_month
from taxiway.postgres.stage import stage_month
from tests.conftest import Connect
from tests.loading import load, query, source_file

MONTH = Month(2019, 1)
ENTRIES = "SELECT attempt, step, state, error, finished_at IS NOT NULL FROM taxiway.loads ORDER BY load_id"


@pytest.fixture
def file(green: Source, tmp_path: Path) -> Download:
    path = tmp_path / green.filename(MONTH)
    write_sample_month(green, MONTH, path, rows=40)
    return source_file(path)


def tables(source: Source, run_id: str = "scheduled__1") -> LoadTables:
    return LoadTables(source, MONTH, run_id)


def load_all(connection: psycopg.Connection[Any], load: LoadTables, file: Download, **options: Any) -> Fetched:
    fetched = fetch_month(connection, load, lambda: file, **options)
    if fetched.nothing_to_do is None:
        hash_rows(connection, load, stage_month(connection, load, file))
        check_month(connection, load)
        merge_month(connection, load)
        drop_staging(connection, load)
    return fetched


def test_a_load_is_one_entry(connect: Connect, green: Source, file: Download) -> None:
    connection = connect()

    load_all(connection, tables(green), file)

    assert query(connection, ENTRIES) == [(1, "merge_month", "published", None, True)]
    assert query(connection, "SELECT url, bytes, sha256, rows_read, rows_staged FROM taxiway.loads") == [
        (file.url, file.size, file.sha256, 40, 40)
    ]


def test_a_run_whose_bytes_are_published_ends_at_once(connect: Connect, green: Source, file: Download) -> None:
    connection = connect()
    load_all(connection, tables(green), file)

    fetched = load_all(connection, tables(green, "manual__2"), file)

    assert fetched.nothing_to_do is not None
    assert "is published with the same bytes" in fetched.nothing_to_do
    assert query(connection, ENTRIES)[1:] == [(1, "download_month", "unchanged", None, True)]
    counts = (
        "SELECT rows_read, rows_inserted, rows_deleted, rows_unchanged FROM taxiway.loads WHERE state = 'unchanged'"
    )
    assert query(connection, counts) == [(40, 0, 0, 40)]


def test_force_loads_the_same_bytes_again(connect: Connect, green: Source, file: Download) -> None:
    connection = connect()
    load_all(connection, tables(green), file)

    assert load_all(connection, tables(green, "manual__2"), file, force=True).nothing_to_do is None
    assert query(connection, ENTRIES)[1:] == [(1, "merge_month", "published", None, True)]


def test_a_month_whose_partition_was_dropped_is_loaded_again(connect: Connect, green: Source, file: Download) -> None:
    connection = connect()
    load_all(connection, tables(green), file)
    with connection.transaction():
        connection.execute("DROP TABLE public.green_tripdata_2019_01")

    assert load_all(connection, tables(green, "manual__2"), file).nothing_to_do is None
    assert query(connection, "SELECT count(*) FROM public.green_tripdata") == [(40,)]


def test_a_failed_download_is_an_entry_and_the_next_try_another(
    connect: Connect, green: Source, file: Download
) -> None:
    connection = connect()

    def broken() -> Download:
        raise errors.DownloadError("green 2019-01: the mirror is down")

    with pytest.raises(errors.DownloadError):
        fetch_month(connection, tables(green), broken)
    load_all(connection, tables(green), file)

    assert query(connection, ENTRIES) == [
        (1, "download_month", "failed", "download_month: green 2019-01: the mirror is down", True),
        (2, "merge_month", "published", None, True),
    ]


def test_a_worker_that_was_killed_leaves_an_abandoned_attempt(connect: Connect, green: Source, file: Download) -> None:
    """The step is begun again although nobody ended it: the attempt before it is nobody's."""
    connection = connect()
    load = tables(green)
    fetch_month(connection, load, lambda: file)
    killed = ledger.step(connection, load, "stage_month")
    killed.__enter__()

    staged = stage_month(connection, load, file)
    hash_rows(connection, load, staged)
    check_month(connection, load)
    merge_month(connection, load)

    assert query(connection, ENTRIES) == [
        (1, "stage_month", "abandoned", "stage_month: its worker ended without a word", True),
        (2, "merge_month", "published", None, True),
    ]
    assert query(connection, "SELECT url, rows_read FROM taxiway.loads WHERE attempt = 2") == [(file.url, 40)]


def test_a_step_that_fails_and_is_tried_again_is_another_attempt(
    connect: Connect, green: Source, file: Download
) -> None:
    connection = connect()
    load = tables(green)
    fetch_month(connection, load, lambda: file)
    staged = stage_month(connection, load, file)
    with connection.transaction():
        connection.execute(f"ALTER TABLE {load.staging_table} RENAME TO hidden")
    with pytest.raises(errors.StagingMissingError):
        hash_rows(connection, load, staged)
    with connection.transaction():
        connection.execute(f"ALTER TABLE taxiway_staging.hidden RENAME TO {load.staging_table.partition('.')[2]}")

    hash_rows(connection, load, staged)
    check_month(connection, load)

    assert merge_month(connection, load) == Published(40, 0, 0)
    found = query(connection, ENTRIES)
    assert [entry[:3] for entry in found] == [(1, "hash_rows", "failed"), (2, "merge_month", "published")]


def test_a_month_that_is_not_available_is_skipped(connect: Connect, green: Source) -> None:
    connection = connect()
    load = LoadTables(green, Month(2021, 8), "scheduled__1")

    def never() -> Download:
        raise AssertionError("a month that isn't there is not asked for")

    fetched = fetch_month(connection, load, never)

    assert fetched.file is None
    assert fetched.nothing_to_do == (
        "green 2021-08: not available: include/sources/green.yaml says that there are the months 2019-01 to 2021-07"
    )
    assert query(connection, ENTRIES) == [(1, "download_month", "skipped", fetched.nothing_to_do, True)]


def test_a_source_without_a_last_month_goes_on(green: Source) -> None:
    assert replace(green, last_month=None).why_unavailable(Month(2031, 1)) is None
    assert green.why_unavailable(Month(2018, 12))


def test_the_view_shows_the_state_of_every_month(connect: Connect, green: Source, file: Download) -> None:
    connection = connect()
    load_all(connection, tables(green), file)

    def broken() -> Download:
        raise errors.DownloadError("green 2019-01: the mirror is down")

    with pytest.raises(errors.DownloadError):
        fetch_month(connection, tables(green, "manual__2"), broken)

    found = query(
        connection, "SELECT source, month::text, last_state, last_error, filename, row_count FROM taxiway.months"
    )
    assert found == [
        ("green", "2019-01-01", "failed", "download_month: green 2019-01: the mirror is down", file_name(file), 40)
    ]


def file_name(file: Download) -> str:
    return Path(file.path).name


def test_a_ledger_of_an_earlier_version_gets_what_it_lacks(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    path = tmp_path / green.filename(MONTH)
    write_sample_month(green, MONTH, path, rows=60)
    load(connection, green, str(MONTH), path)
    with connection.transaction():
        connection.execute("ALTER TABLE taxiway.loads DROP COLUMN try_number")

    load(connection, green, str(MONTH), path, run_id="manual__2")

    assert query(connection, "SELECT run_id, try_number FROM taxiway.loads ORDER BY load_id") == [
        ("manual__1", 1),
        ("manual__2", 1),
    ]
