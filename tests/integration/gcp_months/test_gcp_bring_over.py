"""A dataset of version 0.1.0: its rows get the unpacked file's name, and stay the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stand_ins.bigquery import StandIn
from taxiway.errors import TransientWarehouseError
from taxiway.loads.load import Counts
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery.provisioning import Provisioner
from tests.cloud_loading import SETTINGS, Cloud
from tests.integration.gcp_months import ROWS
from tests.integration.gcp_months.test_gcp_overlaps import EARLIER_COLUMNS

MONTHS = ("2020-01", "2020-02")
Samples = Callable[..., Path]


@pytest.fixture
def earlier(cloud: Cloud, samples: Samples, green: Source, request: pytest.FixtureRequest) -> Cloud:
    """Two months as version 0.1.0 left them, with a view and a label of somebody's."""
    name = f"version_0_1_0_{abs(hash(request.node.name)) % 10**6}"
    made = Cloud(cloud.bigquery, cloud.storage, replace(SETTINGS, dataset=name))
    Provisioner(made.settings, "test").ensure_dataset(cloud.bigquery)
    for month in MONTHS:
        made.load(green, month, samples(month), f"manual__{month}")
    made.query("UPDATE `$taxi.green_tripdata` SET filename = CONCAT(filename, '.gz') WHERE TRUE")
    made.query("DROP VIEW `$taxi.months`")
    made.query("DROP VIEW `$taxi.loads`")
    columns = EARLIER_COLUMNS.replace("filename,", "CONCAT(filename, '.gz') AS filename,")
    made.query(f"CREATE OR REPLACE TABLE `$taxi.load_events` AS SELECT {columns} FROM `$taxi.load_events`")
    made.query("CREATE VIEW `$taxi.months` AS SELECT source, month, state, filename FROM `$taxi.load_events`")
    made.query("CREATE VIEW `$taxi.totals` AS SELECT filename, unique_row_id FROM `$taxi.green_tripdata`")
    made.query("ALTER TABLE `$taxi.green_tripdata` SET OPTIONS (labels = [('team', 'x')])")
    return made


def rows(cloud: Cloud, source: Source) -> list[tuple[Any, ...]]:
    columns = ", ".join(f"`{column.name}`" for column in source.columns)
    return cloud.query(
        f"SELECT unique_row_id, source_month, {columns} FROM `$taxi.green_tripdata` ORDER BY unique_row_id"
    )


def names(cloud: Cloud, table: str = "green_tripdata") -> list[tuple[Any, ...]]:
    return cloud.query(f"SELECT filename, COUNT(*) FROM `$taxi.{table}` GROUP BY filename ORDER BY filename")


def unpacked(source: Source, count: int) -> list[tuple[str, int]]:
    return [(source.filename(Month.parse(month)), count) for month in MONTHS]


def labels(cloud: Cloud) -> dict[str, str]:
    return dict(cloud.bigquery.get_table(f"{cloud.settings.dataset_name}.green_tripdata").labels)


def test_every_row_and_id_stays_and_the_same_file_is_unchanged(
    earlier: Cloud, samples: Samples, green: Source, bigquery: StandIn
) -> None:
    before = rows(earlier, green)
    assert names(earlier) == [(f"{name}.gz", count) for name, count in unpacked(green, ROWS)]
    assert labels(earlier) == {"team": "x"}

    for month in MONTHS:
        tables = earlier.tables(green, month, f"again__{month}")
        assert earlier.fetch(tables, samples(month)).nothing_to_do is not None

    assert rows(earlier, green) == before
    assert names(earlier) == names(earlier, "totals") == unpacked(green, ROWS)
    assert names(earlier, "loads") == unpacked(green, 2)
    assert [name for name, _ in names(earlier, "months")] == [name for name, _ in unpacked(green, 1)]
    assert labels(earlier) == {"team": "x", "taxiway_filename": "unpacked"}
    # The bucket keeps the file as it came, under the name that it came with.
    bucket = earlier.storage.bucket(earlier.settings.bucket)
    assert bucket.get_blob(f"green/green_tripdata_{MONTHS[0]}.csv.gz") is not None
    # The second time, and on a new table, nothing is looked for.
    bigquery.forget_requests()
    earlier.fetch(earlier.tables(green, MONTHS[0], "again__3"), samples(MONTHS[0]))
    assert not any("ENDS_WITH" in str(request) for request in bigquery.requests)


@pytest.mark.parametrize(
    "containing", ["DATE '2020-02-01' AND ENDS_WITH", "@destination AND ENDS_WITH"], ids=["a month", "the ledger"]
)
def test_what_is_cut_off_goes_on_at_the_next_try(
    containing: str, earlier: Cloud, samples: Samples, green: Source, bigquery: StandIn
) -> None:
    before = rows(earlier, green)
    bigquery.faults.fail_next_job("quotaExceeded", containing=containing)

    with pytest.raises(TransientWarehouseError):
        earlier.fetch(earlier.tables(green, MONTHS[0], "again"), samples(MONTHS[0]))
    assert labels(earlier) == {"team": "x"}

    assert earlier.fetch(earlier.tables(green, MONTHS[0], "again"), samples(MONTHS[0])).nothing_to_do is not None
    assert (rows(earlier, green), names(earlier)) == (before, unpacked(green, ROWS))


def test_a_corrected_file_and_a_new_month_load_on_what_was_brought_over(
    earlier: Cloud, samples: Samples, green: Source
) -> None:
    counts = earlier.load(green, MONTHS[0], samples(MONTHS[0], revision=1), "manual__corrected")
    assert 0 < counts.inserted < ROWS
    assert earlier.load(green, "2020-03", samples("2020-03"), "manual__new") == Counts(ROWS, 0, 0)

    after = counts.inserted + counts.unchanged
    assert names(earlier) == [
        *((name, held) for (name, _), held in zip(unpacked(green, ROWS), (after, ROWS), strict=True)),
        ("green_tripdata_2020-03.csv", ROWS),
    ]
