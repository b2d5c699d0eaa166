"""A clock that goes back between two attempts: what was done later counts, whatever the times say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from taxiway.core.months import Month
from taxiway.core.row_identity import digest, unique_row_ids
from taxiway.core.sources import Source
from taxiway.core.tables import LoadTables
from taxiway.local.samples import write_sample_month
from taxiway.postgres.fetch import fetch_month
from taxiway.postgres.hash import hash_rows
from taxiway.postgres.stage import stage_month
from tests.conftest import Connect
from tests.faults.aftermath import assert_survived
from tests.loading import lines_of, load, query, source_file, table_digest

MONTH = Month(2019, 1)


@pytest.fixture
def files(green: Source, tmp_path: Path) -> list[Path]:
    """The month, and a corrected one."""
    paths = [tmp_path / str(revision) / green.filename(MONTH) for revision in (0, 1)]
    for revision, path in enumerate(paths):
        write_sample_month(green, MONTH, path, rows=200, revision=revision)
    return paths


def clock_goes_back(connection: psycopg.Connection[Any]) -> None:
    """Leave the ledger as a clock leaves it that was a year ahead until now."""
    with connection.transaction():
        connection.execute(
            "UPDATE taxiway.loads SET started_at = started_at + interval '1 year',"
            " finished_at = finished_at + interval '1 year'"
        )


def is_unchanged(connection: psycopg.Connection[Any], source: Source, path: Path, run_id: str) -> bool:
    """Begin a load; say whether its file counts as published already."""
    fetched = fetch_month(connection, LoadTables(source, MONTH, run_id), lambda: source_file(path))
    return fetched.nothing_to_do is not None


def test_what_is_published_is_what_was_published_last(connect: Connect, green: Source, files: list[Path]) -> None:
    connection = connect()
    first, corrected = files
    load(connection, green, "2019-01", first, run_id="first")
    expected = table_digest(connection, green)
    clock_goes_back(connection)
    load(connection, green, "2019-01", corrected, run_id="corrected")
    assert query(connection, "SELECT sha256 FROM taxiway.months") == [(source_file(corrected).sha256,)]

    assert is_unchanged(connection, green, corrected, "corrected again")
    assert not is_unchanged(connection, green, first, "first again")
    load(connection, green, "2019-01", first, run_id="first again")

    ledger = assert_survived(connection, green, {first.name: expected})
    assert [state for _, state, _, _ in ledger] == ["published", "published", "unchanged", "published"]


def test_an_attempt_goes_on_after_one_that_began_later(connect: Connect, green: Source, files: list[Path]) -> None:
    """The worker is gone, and its attempt stands in the ledger with a time that is yet to come."""
    connection = connect()
    load(connection, green, "2019-01", files[1], run_id="before")
    run = LoadTables(green, MONTH, "run")
    hash_rows(connection, run, stage_month(connection, run, source_file(files[0])))
    clock_goes_back(connection)

    load(connection, green, "2019-01", files[0], run_id="run")

    rows = [line.split(",") for line in lines_of(files[0])[1:]]
    ledger = assert_survived(connection, green, {files[0].name: digest(unique_row_ids(green.columns, rows))})
    assert [state for _, state, _, _ in ledger] == ["published", "abandoned", "published"]
