"""The load into BigQuery on the real Google Cloud: ``make test-gcp``, never run by default.

One test is ``make demo-gcp`` on the real service: the DAGs set up, load three months, and compare them with Postgres,
which runs here as it does in every test. The others run single steps, for what only the real service can show.

They make buckets and datasets of their own, and delete them. They need TAXIWAY_TEST_GCP_PROJECT (and
TAXIWAY_TEST_GCP_LOCATION, a region), application default credentials that may create a bucket and a dataset there and
run jobs, and a project with a billing account.

Cost: some 150 queries over small tables, billed at 10 MiB for every table that one reads: about 3 GB, or 2 US cents;
nothing within the first TiB of a month. Storage and its requests: below a tenth of a cent. Time: about 10 minutes, an
estimate from the number of jobs; against the stand-ins, the DAGs take one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taxiway.loads.load import Counts
from taxiway.loads.row_identity import digest
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery.publish import merging
from taxiway.warehouses.bigquery.settings import GcpSettings
from taxiway.warehouses.bigquery.statements import Statement
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.conftest import PostgresServer
from tests.integration.gcp_airflow import gcp_airflow, google_connection
from tests.integration.gcp_scenario import Scenario, sample_months, specified

PROJECT = os.environ.get("TAXIWAY_TEST_GCP_PROJECT", "")
pytestmark = pytest.mark.skipif(
    os.environ.get("TAXIWAY_TEST_GCP") != "1" or not PROJECT,
    reason="runs on the real Google Cloud: TAXIWAY_TEST_GCP_PROJECT=<project> make test-gcp",
)
LOCATION = os.environ.get("TAXIWAY_TEST_GCP_LOCATION", "europe-west1")
ROWS = 300
TIMEOUT = 3600
"""Seconds that all runs of the DAGs may take; every job of the real service takes some, however small it is."""


@contextmanager
def made_and_deleted() -> Iterator[Cloud]:
    """The project, with names for a bucket and a dataset that don't exist yet; deletes both, whoever makes them."""
    from google.cloud import bigquery, storage

    emulators = [name for name in ("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST") if name in os.environ]
    assert not emulators, f"{emulators} would lead away from the real Google Cloud: unset them"
    name = f"taxiway-test-{uuid.uuid4().hex[:12]}"
    settings = GcpSettings(PROJECT, LOCATION, name, name.replace("-", "_"), 10**9)
    cloud = Cloud(bigquery.Client(project=PROJECT, location=LOCATION), storage.Client(project=PROJECT), settings)
    try:
        yield cloud
    finally:
        try:
            cloud.bigquery.delete_dataset(settings.dataset_name, delete_contents=True, not_found_ok=True)
        finally:
            bucket = cloud.storage.lookup_bucket(name)
            if bucket is not None:
                bucket.delete(force=True)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with made_and_deleted() as cloud:
        yield cloud.set_up()


def test_the_dags_set_up_load_three_months_and_agree_with_postgres(
    green: Source, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    months = sample_months(tmp_path / "mirror", [green], [Month(2019, number) for number in (1, 2, 3)], ROWS)
    with made_and_deleted() as cloud, serve(tmp_path / "mirror") as mirror:
        credentials = {"AIRFLOW_CONN_TAXI_GCP": google_connection()}
        with gcp_airflow(
            postgres_server, tmp_path / "home", mirror.address, credentials, settings=cloud.settings
        ) as taxi:
            scenario = Scenario(taxi, months, into_postgres=months)
            scenario.finish(scenario.start(), cloud, timeout=TIMEOUT)


def sample(folder: Path, source: Source, month: str, revision: int = 0) -> Path:
    path = folder / source.download_name(Month.parse(month))
    write_sample_month(source, Month.parse(month), path, rows=ROWS, revision=revision)
    return path


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

    assert cloud.bytes_read_by(statement) < cloud.bytes_read_by(everywhere)


def test_the_real_head_of_a_month(cloud: Cloud, green: Source, tlc: Path) -> None:
    path = tlc / "heads" / green.file_path(Month(2019, 6))

    assert cloud.load(green, "2019-06", path).inserted == 100
    assert digest(cloud.ids(green, "2019-06")) == specified(green, path)
