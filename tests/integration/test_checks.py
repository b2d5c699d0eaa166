"""Checks of a source on a real Postgres: what fails a month, and what its load only warns of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from taxiway.errors import CheckFailedError
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect
from tests.loading import lines_of, load, query, write_gzip

WARNINGS = "SELECT state, warnings FROM taxiway.loads ORDER BY load_id"


def sample(source: Source, month: Month, folder: Path, rows: int = 400) -> Path:
    path = folder / source.download_name(month)
    write_sample_month(source, month, path, rows=rows)
    return path


def changed(path: Path, source: Source, column: str, value: str, rows: int) -> Path:
    """Write another value into a column of the first rows of a file."""
    header, *lines = lines_of(path)
    position = [name.strip().lower() for name in header.split(",")].index(column)
    fields = [line.split(",") for line in lines]
    for row in fields[:rows]:
        row[position] = value
    return write_gzip(path.with_name(f"changed-{path.name}"), [header, *(",".join(row) for row in fields)])


def test_a_sample_month_passes_every_check(connect: Connect, green: Source, yellow: Source, tmp_path: Path) -> None:
    connection = connect()
    for source in (green, yellow):
        load(connection, source, "2019-03", sample(source, Month(2019, 3), tmp_path, rows=2000))

    assert query(connection, WARNINGS) == [("published", []), ("published", [])]


@pytest.mark.parametrize(
    ("column", "value", "rows", "check"),
    [
        ("total_amount", "-5.5", 12, "negative_totals: share negative of total_amount is 0.03"),
        ("lpep_pickup_datetime", "2009-01-01 00:00:00", 12, "pickups_outside_month: share outside month of lpep_pick"),
        ("vendorid", "", 300, "missing_vendors: share null of vendorid is "),
    ],
)
def test_what_is_odd_is_published_with_a_warning(
    column: str, value: str, rows: int, check: str, connect: Connect, green: Source, tmp_path: Path
) -> None:
    connection = connect()
    path = changed(sample(green, Month(2019, 3), tmp_path), green, column, value, rows)

    load(connection, green, "2019-03", path)

    [(state, [warning])] = query(connection, WARNINGS)
    assert state == "published"
    assert warning.startswith(check)
    assert query(connection, "SELECT warnings FROM taxiway.months") == [([warning],)]


def test_trips_without_a_pickup_are_not_published(connect: Connect, green: Source, tmp_path: Path) -> None:
    path = changed(sample(green, Month(2019, 3), tmp_path), green, "lpep_pickup_datetime", "", 5)

    with pytest.raises(CheckFailedError, match=r"missing_pickups: share null of lpep_pickup_datetime is 0\.0125"):
        load(connect(), green, "2019-03", path)


def test_a_warning_made_a_failure_stops_the_month(connect: Connect, green: Source, tmp_path: Path) -> None:
    strict = replace(green, checks=tuple(replace(check, severity="fail", at_most=0.0) for check in green.checks[3:4]))
    path = changed(sample(green, Month(2019, 3), tmp_path), green, "total_amount", "-1", 1)

    with pytest.raises(CheckFailedError, match="negative_totals"):
        load(connect(), strict, "2019-03", path)
