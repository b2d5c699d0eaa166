"""The ledgers that `make bench-board` measures; `test_web_ui.py` has the board measured."""

from __future__ import annotations

import pytest

from bench.board import ERROR, SOURCES, WARNING, fill_bigquery, fill_postgres
from taxiway.loads.published_months import LastLoad
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import find_source
from taxiway.warehouses.bigquery.published_months import BigQueryMonths
from taxiway.warehouses.postgres.published_months import PostgresMonths
from tests.cloud_loading import Cloud
from tests.conftest import Connect


@pytest.mark.usefixtures("bigquery", "cloud_storage")
def test_both_warehouses_have_the_same_months_and_attempts(connect: Connect) -> None:
    connection, jobs = connect(), Cloud.connect().set_up().jobs()
    assert [fill_postgres(connection, 14, 3), fill_bigquery(jobs, 14, 3)] == [len(SOURCES) * 14 * 3] * 2

    sources = [find_source(SOURCES_FOLDER, name) for name in SOURCES]
    in_postgres = PostgresMonths(connection).last_loads(sources)
    in_bigquery = BigQueryMonths(jobs).last_loads(sources)

    def said(load: LastLoad) -> tuple[object, ...]:
        file = load.filename, load.bytes, load.layout
        return load.state, load.error, load.rows, load.rejected, load.warnings, file

    assert {name: len(months) for name, months in in_postgres.items()} == dict.fromkeys(SOURCES, 14)
    for name, months in in_postgres.items():
        assert {month: said(load) for month, load in months.items()} == {
            month: said(load) for month, load in in_bigquery[name].items()
        }
    failed, published, *_, last = in_postgres["green"].values()
    assert (failed.state, failed.error, failed.warnings) == ("failed", ERROR, (WARNING,))
    assert (published.state, published.error, published.warnings) == ("published", None, ())
    assert last.filename == "green_tripdata_13.csv"
