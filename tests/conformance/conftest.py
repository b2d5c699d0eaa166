"""A warehouse for each module of the suite, and what its tests load: a source of few columns, which is quick."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.checks import Check
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from tests.conformance.bigquery import BigQueryHarness
from tests.conformance.harness import Harness, made
from tests.conformance.postgres import PostgresHarness
from tests.conformance.run import Run
from tests.loading import write_gzip
from tests.releases import ending, on_mirror

HARNESSES: dict[str, type[Harness]] = {kind.name: kind for kind in (PostgresHarness, BigQueryHarness)}
"""The warehouses that the suite runs against."""

COLUMNS = ("lpep_pickup_datetime", "store_and_fwd_flag", "pulocationid", "fare_amount")
"""One of each type."""

CHECKS = (
    Check("another_month", "share_outside_month", COLUMNS[0], None, 0.5, "fail", "the file of another month"),
    Check("negative_fares", "share_negative", COLUMNS[3], None, 0.15, "warn", "more refunds than usual"),
)

_YEARS = itertools.count(2022)


@pytest.fixture(scope="module", params=sorted(HARNESSES, reverse=True))
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """One warehouse after another."""
    with made(HARNESSES[request.param], request) as harness:
        yield harness


@pytest.fixture(scope="session")
def trips() -> Source:
    """A source with a column of each type, without an end: each test has months of its own."""
    green = on_mirror(load_source(SOURCES_FOLDER / "green.yaml"))
    columns = tuple(column for column in green.columns if column.name in COLUMNS)
    return replace(ending(green, None), columns=columns, checks=CHECKS, main_table="trips")


@dataclass(frozen=True)
class Months:
    """What a test loads: months of its own, and their files.

    :param harness: the warehouse
    :param source: the source
    :param folder: where files go
    """

    harness: Harness
    source: Source
    folder: Path
    month: Month

    def run(self, run_id: str = "manual__1", *, source: Source | None = None, month: Month | None = None) -> Run:
        """Begin a run of the month."""
        return Run.of(self.harness, source or self.source, month or self.month, run_id)

    def rows(self, count: int = 6, month: Month | None = None) -> list[str]:
        """Return lines of rows that all differ; the second one has neither a text nor a fare."""
        lines = [f"{month or self.month}-{number + 1:02d} 08:30:00,N,{number},{number}.50" for number in range(count)]
        return [line if number != 1 else line.replace(",N,", ",,")[: -len("1.50")] for number, line in enumerate(lines)]

    def file(self, rows: Sequence[str], name: str = "file") -> Path:
        """Write a file of the source with these rows.

        :param name: of a folder; the file's own is the source's
        """
        path = self.folder / name / f"{self.source.name}_tripdata_{self.month}.csv.gz"
        path.parent.mkdir(exist_ok=True)
        return write_gzip(path, [",".join(column.header for column in self.source.columns), *rows])


@pytest.fixture
def months(harness: Harness, trips: Source, tmp_path: Path) -> Months:
    """A month that no other test has."""
    return Months(harness, trips, tmp_path, Month(next(_YEARS), 1))
