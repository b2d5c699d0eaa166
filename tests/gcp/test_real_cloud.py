"""The load into BigQuery on the real Google Cloud: ``make test-gcp``, never run by default.

It makes a bucket and a dataset of its own, and deletes both. It needs TAXIWAY_TEST_GCP_PROJECT, application default
credentials that may create them, and a billing account; it costs below one cent.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxiway.bigquery.publish import Counts, merging
from taxiway.bigquery.settings import GcpSettings
from taxiway.bigquery.statements import Statement
from taxiway.core.months import Month
from taxiway.core.row_identity import digest, unique_row_ids
from taxiway.core.sources import Source
from taxiway.local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.loading import lines_of

PROJECT = os.environ.get("TAXIWAY_TEST_GCP_PROJECT", "")
pytestmark = pytest.mark.skipif(
    os.environ.get("TAXIWAY_TEST_GCP") != "1" or not PROJECT,
    reason="runs on the real Google Cloud: TAXIWAY_TEST_GCP_PROJECT=<project> make test-gcp",
)
ROWS = 300


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    from google.cloud import bigquery, storage

    name = f"taxiway-test-{uuid.uuid4().hex[:12]}"
    location = os.environ.get("TAXIWAY_TEST_GCP_LOCATION", "europe-west1")
    settings = GcpSettings(PROJECT, location, name, name.replace("-", "_"), 10**9)
    cloud = Cloud(bigquery.Client(project=PROJECT, location=location), storage.Client(project=PROJECT), settings)
    try:
        yield cloud.set_up()
    finally:
        bucket = cloud.storage.lookup_bucket(name)
        if bucket is not None:
            bucket.delete(force=True)
        cloud.bigquery.delete_dataset(settings.dataset_name, delete_contents=True, not_found_ok=True)


def sample(folder: Path, source: Source, month: str, revision: int = 0) -> Path:
    path = folder / source.filename(Month.parse(month))
    write_sample_month(source, Month.parse(month), path, rows=ROWS, revision=revision)
    return path


def specified(source: Source, path: Path) -> str:
    return digest(unique_row_ids(source.columns, [line.split(",") for line in lines_of(path)[1:]]))


def test_a_month_loads_again_and_corrected(cloud: Cloud, green: Source, tmp_path: Path) -> None:
    path = sample(tmp_path / "0", green, "2019-01")
    assert cloud.load(green, "2019-01", path) == Counts(ROWS, 0, 0)
    assert digest(cloud.ids(green, "2019-01")) == specified(green, path)
    assert cloud.load(green, "2019-01", path, "manual__2") == Counts(0, 0, ROWS)

    corrected = sample(tmp_path / "1", green, "2019-01", revision=1)
    counts = cloud.load(green, "2019-01", corrected, "manual__3")

    assert counts.inserted > 0 < counts.deleted
    assert digest(cloud.ids(green, "2019-01")) == specified(green, corrected)
    assert cloud.staging_tables() == []


def test_publishing_reads_its_own_partition_only(cloud: Cloud, green: Source, tmp_path: Path) -> None:
    cloud.load(green, "2019-02", sample(tmp_path, green, "2019-02"))
    tables = cloud.tables(green, "2019-03", "manual__3")
    cloud.ready(tables, sample(tmp_path, green, "2019-03"))
    statement = merging(tables)
    constant = "published.source_month = DATE '2019-03-01'"
    assert constant in statement.sql
    everywhere = Statement("test", statement.sql.replace(constant, "TRUE"))

    warehouse = cloud.warehouse()

    assert warehouse.bytes_read_by(statement) < warehouse.bytes_read_by(everywhere)


def test_the_real_head_of_a_month(cloud: Cloud, green: Source, tlc: Path) -> None:
    path = tlc / "heads" / green.file_path(Month(2019, 6))

    assert cloud.load(green, "2019-06", path).inserted == 100
    assert digest(cloud.ids(green, "2019-06")) == specified(green, path)
