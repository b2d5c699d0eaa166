"""A Parquet file on its way into BigQuery: the bucket keeps it as it came, and no copy of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taxiway.download.download import Download
from taxiway.errors import MissingFileError
from taxiway.loads.load import Counts
from taxiway.loads.month import Downloaded
from taxiway.loads.step_names import UPLOAD
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.integration.gcp_months import ROWS
from tests.loading import source_file

CONTENT_TYPE = "application/vnd.apache.parquet"


@pytest.fixture
def official(green: Source) -> Source:
    """Green taxis in Parquet, without an end."""
    release = replace(green.releases[0], path="green/green_tripdata_{month}.parquet", format="parquet")
    return replace(green, releases=(release,))


@pytest.fixture
def path(official: Source, january: str, tmp_path: Path) -> Path:
    path = tmp_path / official.download_name(Month.parse(january))
    write_sample_month(official, Month.parse(january), path, rows=ROWS)
    return path


def copies(cloud: Cloud, tables: CloudTables) -> list[str]:
    """The runs' own objects of a month."""
    found = cloud.bucket().names(f"taxiway_staging/{tables.month_name}_")
    return [name.split("/")[1].removeprefix(f"{tables.month_name}_") for name in found]


def test_the_bucket_keeps_the_file_as_it_came_and_no_copy(
    cloud: Cloud, official: Source, january: str, path: Path
) -> None:
    assert cloud.load(official, january, path) == Counts(ROWS, 0, 0)

    blob = cloud.storage.bucket(cloud.settings.bucket).get_blob(f"green/green_tripdata_{january}.parquet")
    kept = blob.download_as_bytes(raw_download=True)
    assert kept == path.read_bytes()
    assert (blob.content_type, blob.content_encoding) == (CONTENT_TYPE, None)
    recorded = cloud.query(f"SELECT sha256 FROM `$taxi.months` WHERE source = 'green' AND month = DATE '{january}-01'")
    assert recorded == [(hashlib.sha256(kept).hexdigest(),)]
    assert copies(cloud, cloud.tables(official, january)) == []


def begun(cloud: Cloud, tables: CloudTables, path: Path) -> list[Any]:
    """Begin a load whose worker is gone after the upload, before it could say so; keep what holds its step open."""
    file = cloud.begin(tables, path, force=True).file
    assert isinstance(file, Download)
    warehouse = cloud.opened(tables)
    step = warehouse.step(UPLOAD)
    warehouse.upload(step.__enter__(), file)
    return [step]


def test_the_copy_of_a_lost_worker_goes_when_its_run_ends(
    cloud: Cloud, official: Source, january: str, path: Path
) -> None:
    tables = cloud.tables(official, january)
    lost = begun(cloud, tables, path)
    assert copies(cloud, tables) == [tables.run_key]

    outputs = cloud.upload(replace(tables, try_number=2, is_retry=True), Downloaded(source_file(path)))
    cloud.check(tables, outputs)
    assert cloud.publish(tables) == Counts(ROWS, 0, 0)
    cloud.discard(tables)

    assert copies(cloud, tables) == []
    assert [entry.state for entry in cloud.loads(official, january)] == ["abandoned", "published"]
    del lost


def test_copies_of_runs_that_were_cut_off_go_with_the_next_run(
    cloud: Cloud, official: Source, january: str, path: Path
) -> None:
    """By their timeout, or with their worker and every retry: their last task never ran."""
    published, old, at_work, following = (
        cloud.tables(official, january, f"manual__{name}") for name in ("published", "old", "at work", "following")
    )
    cloud.ready(published, path)
    lost = [*begun(cloud, old, path), *begun(cloud, at_work, path)]
    cloud.publish(published)
    assert sorted(copies(cloud, old)) == sorted(run.run_key for run in (published, old, at_work))
    cloud.query(
        "UPDATE `$taxi.load_events` SET started_at = TIMESTAMP_ADD(started_at, INTERVAL -25 HOUR) "
        f"WHERE month = DATE '{january}-01' AND run_id = '{old.run_id}'"
    )

    cloud.ready(following, path)

    assert sorted(copies(cloud, old)) == sorted(run.run_key for run in (at_work, following))
    assert cloud.publish(following) == Counts(0, 0, ROWS)
    cloud.discard(following)
    assert copies(cloud, old) == [at_work.run_key]
    del lost


def test_other_bytes_than_those_that_were_read_are_not_uploaded(
    cloud: Cloud, official: Source, january: str, path: Path
) -> None:
    """Another run may put a newer file into the cache between the look through the file and its upload."""
    name = cloud.tables(official, january).object_name
    upload: Callable[..., Any] = cloud.bucket().upload

    with pytest.raises(MissingFileError, match="changed since it was downloaded: found SHA-256"):
        upload(path, name, "an attempt", content_type=CONTENT_TYPE, sha256=hashlib.sha256(b"other").hexdigest())

    assert cloud.storage.bucket(cloud.settings.bucket).get_blob(name) is None
