"""The steps of a load into BigQuery, on Google's real clients: what comes out, what is refused, what goes wrong."""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stand_ins.bigquery import StandIn
from taxiway.errors import (
    BalanceError,
    InvalidFileError,
    MainTableError,
    MissingInputError,
    TransientWarehouseError,
    WarehouseError,
)
from taxiway.loads.attempts import attempt_of
from taxiway.loads.load import Counts
from taxiway.loads.row_identity import digest
from taxiway.loads.step_names import PUBLISH
from taxiway.loads.warehouse import Resumed
from taxiway.sources.months import Month
from taxiway.sources.source import Layout, Source
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.publication_jobs import find_publication
from taxiway.warehouses.bigquery.publish import NOTHING, UNKNOWN, merging
from taxiway.warehouses.bigquery.stage import finish_staging, load_configuration
from taxiway.warehouses.bigquery.statements import Statement, statement
from taxiway.warehouses.bigquery.upload import Uploaded
from taxiway.warehouses.bigquery.warehouse import BigQueryWarehouse
from tests.cloud_loading import Cloud, start_publishing
from tests.integration.gcp_months import ROWS
from tests.loading import lines_of, specified_ids, write_gzip


@pytest.fixture
def february(january: str) -> str:
    return january.replace("-01", "-02")


def rejected(cloud: Cloud, month: str) -> list[tuple[int, str, str]]:
    return cloud.query(
        f"SELECT line_number, raw_line, reason FROM `$taxi.rejected_rows` WHERE month = DATE '{month}-01' "
        "ORDER BY line_number"
    )


def with_lines(path: Path, folder: Path, change: Callable[[list[str]], list[str]]) -> Path:
    return write_gzip(folder / path.name, change(lines_of(path)))


def with_field(line: str, source: Source, name: str, value: str) -> str:
    fields = line.split(",")
    fields[[column.name for column in source.columns].index(name)] = value
    return ",".join(fields)


def test_a_month_arrives_whole_typed_and_described(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    path = samples(january)

    counts = cloud.load(green, january, path)

    assert counts == Counts(inserted=ROWS, deleted=0, unchanged=0)
    assert digest(cloud.ids(green, january)) == digest(specified_ids(green, path))
    table = cloud.bigquery.get_table(f"{cloud.settings.dataset_name}.green_tripdata")
    kinds = {"integer": "INTEGER", "numeric": "NUMERIC", "timestamp": "DATETIME", "text": "STRING"}
    assert [(field.name, field.field_type, field.description) for field in table.schema[3:]] == [
        (column.name, kinds[column.type], column.description) for column in green.columns
    ]
    assert [field.name for field in table.schema[:3]] == ["unique_row_id", "filename", "source_month"]
    assert (table.time_partitioning.field, table.time_partitioning.type_) == ("source_month", "MONTH")
    assert table.clustering_fields == ["lpep_pickup_datetime"]
    assert table.description == green.title
    assert cloud.staging_tables() == []
    # The bucket has the file as it was: compressed, and not unpacked on the way out.
    blob = cloud.storage.bucket(cloud.settings.bucket).get_blob(f"green/green_tripdata_{january}.csv.gz")
    assert blob.download_as_bytes(raw_download=True) == path.read_bytes()
    assert (blob.content_type, blob.content_encoding) == ("application/gzip", None)
    assert blob.md5_hash == base64.b64encode(hashlib.md5(path.read_bytes()).digest()).decode()
    # The course's queries find the rows by the name of their file.
    named = "SELECT count(*) FROM `$taxi.green_tripdata` WHERE filename"
    assert cloud.query(f"{named} = 'green_tripdata_{january}.csv'") == [(ROWS,)]
    assert cloud.query(f"{named} LIKE 'green_tripdata_{january[:4]}-__.csv'") == [(ROWS,)]
    # And the ledger says so.
    (entry,) = cloud.loads(green, january)
    assert (entry.state, entry.rows_read, entry.rows_rejected, entry.rows_staged) == ("published", ROWS, 0, ROWS)
    assert (entry.published, entry.number) == (Counts(ROWS, 0, 0), 1)
    assert cloud.query(f"SELECT finished_at IS NULL FROM `$taxi.loads` WHERE month = DATE '{january}-01'") == [(False,)]
    (month,) = cloud.query(
        f"SELECT last_state, row_count, sha256 FROM `$taxi.months` WHERE month = DATE '{january}-01'"
    )
    assert month == ("published", ROWS, hashlib.sha256(path.read_bytes()).hexdigest())
    rules = "SELECT unpacked_bytes, layout, row_id_version, yaml_sha256 FROM"
    made_by = (len(gzip.decompress(path.read_bytes())), Layout(green.columns).name, 1, green.yaml_sha256)
    for view in ("loads", "months"):
        assert cloud.query(f"{rules} `$taxi.{view}` WHERE month = DATE '{january}-01'") == [made_by]


def test_the_bucket_keeps_csv_that_is_not_compressed_as_it_came(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str, tmp_path: Path
) -> None:
    (release,) = green.releases
    plain = replace(green, releases=(replace(release, path=release.path.removesuffix(".gz"), format="csv"),))
    path = tmp_path / plain.download_name(Month.parse(january))
    path.write_bytes(gzip.decompress(samples(january).read_bytes()))

    assert cloud.load(plain, january, path) == Counts(inserted=ROWS, deleted=0, unchanged=0)

    assert digest(cloud.ids(green, january)) == digest(specified_ids(green, samples(january)))
    blob = cloud.storage.bucket(cloud.settings.bucket).get_blob(f"green/green_tripdata_{january}.csv")
    assert blob.download_as_bytes(raw_download=True) == path.read_bytes()
    assert (blob.content_type, blob.content_encoding) == ("text/csv", None)


def test_loading_again_uploads_nothing_nor_does_a_file_that_cannot_be_read(
    cloud: Cloud, samples: Callable[..., Path], green: Source, tmp_path: Path, january: str
) -> None:
    path, broken = samples(january), tmp_path / samples(january).name
    cloud.load(green, january, path)
    name = f"green/green_tripdata_{january}.csv.gz"
    before = cloud.storage.bucket(cloud.settings.bucket).get_blob(name)

    tables = cloud.tables(green, january, "manual__2")
    cloud.upload(tables, cloud.begin(tables, path, force=True))
    broken.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidFileError, match="expected a sound gzip file"):
        cloud.upload(tables, cloud.begin(tables, broken))

    after = cloud.storage.bucket(cloud.settings.bucket).get_blob(name)
    assert after.generation == before.generation


def with_equal_rows(lines: list[str], source: Source) -> list[str]:
    """A month with three rows that are equal, three others that are, and one without a text; others lack numbers."""
    first, second, third, fourth, *others = lines[1:]
    without_text = with_field(third, source, "store_and_fwd_flag", "")
    return [lines[0], first, second, without_text, fourth, *others, first, first, fourth, fourth]


ALL = ROWS + 4
BY_HAND: dict[str, tuple[str, int, int]] = {
    "number updated": ("fare_amount = fare_amount + 1", 1, 1),
    "text for no value": (r"store_and_fwd_flag = '\\N'", 2, 1),
    "first of equal rows updated": ("fare_amount = fare_amount + 1", 0, 3),
    "last of equal rows updated": ("fare_amount = fare_amount + 1", -1, 1),
    "text updated": ("store_and_fwd_flag = 'X'", 4, 1),
    "timestamp updated": ("lpep_pickup_datetime = DATETIME '2000-01-01 00:00:00'", 5, 1),
    "part of a second added": ("lpep_pickup_datetime = DATETIME '{pickup}.5'", 6, 1),
    "no value": ("trip_distance = NULL", 7, 1),
    "filename updated": ("filename = 'other.csv'", 8, 1),
    "file named as in version 0.1.0": ("filename = CONCAT(filename, '.gz')", 12, 1),
    "id made up": ("unique_row_id = 'made up'", 9, 1),
    "ids of two rows swapped": ("unique_row_id = IF(unique_row_id = '{id}', '{next_id}', '{id}')", 10, 2),
}
"""What somebody does to a row, which one in the file it is, and how many rows are seen to be changed by that."""


def load_again(
    cloud: Cloud, source: Source, month: str, path: Path, caplog: pytest.LogCaptureFixture
) -> tuple[str, Counts]:
    """Load a month that somebody has changed; return what is said of it, and what the load has changed."""
    tables = cloud.tables(source, month, "manual__2")
    with caplog.at_level(logging.WARNING, logger="taxiway"):
        fetched = cloud.begin(tables, path)
    assert fetched.nothing_to_do is None
    (logged,) = [text for text in caplog.messages if text.endswith("the month is loaded again")]
    cloud.check(tables, cloud.upload(tables, fetched))
    counts = cloud.publish(tables)
    assert cloud.publish(tables) == counts, "and says so again"
    cloud.discard(tables)
    of_month = f"state = 'published' AND month = DATE '{month}-01' AND run_id = 'manual__2'"
    (([warning],),) = cloud.query(f"SELECT warnings FROM `$taxi.loads` WHERE {of_month}")
    assert warning.startswith("before this load, ")
    assert warning.removeprefix("before this load, ") in logged
    assert f"the ledger has {ALL}" in warning
    assert cloud.begin(cloud.tables(source, month, "manual__3"), path).nothing_to_do is not None
    return warning, counts


def test_what_somebody_has_changed_is_loaded_again_and_said(
    cloud: Cloud,
    samples: Callable[..., Path],
    green: Source,
    tmp_path: Path,
    january: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All at once, each on rows of its own: a change that isn't seen would be missing in the number that is said."""
    path = with_lines(samples(january), tmp_path, lambda lines: with_equal_rows(lines, green))
    cloud.load(green, january, path)
    every_value = f"SELECT * FROM `$taxi.green_tripdata` WHERE source_month = DATE '{january}-01'"
    published = sorted(cloud.query(every_value), key=str)
    ids = list(specified_ids(green, path))
    assert sorted(row[0] for row in published) == sorted(ids)
    pickup = [column.name for column in green.columns].index("lpep_pickup_datetime")
    pickups = [line.split(",")[pickup] for line in lines_of(path)[1:]]
    for change, place, _ in BY_HAND.values():
        of_rows = {"id": ids[place], "next_id": ids[place + 1], "pickup": pickups[place]}
        named = "', '".join(each for name, each in of_rows.items() if name == "id" or "{next_id}" in change)
        cloud.query(
            f"UPDATE `$taxi.green_tripdata` SET {change.format(**of_rows)} "
            f"WHERE source_month = DATE '{january}-01' AND unique_row_id IN ('{named}')"
        )

    said, counts = load_again(cloud, green, january, path, caplog)

    found = sum(seen for _, _, seen in BY_HAND.values())
    assert f"holds {found} rows of the month whose values were changed" in said
    changed = len(BY_HAND) + 1  # two were swapped
    assert counts == Counts(changed, changed, ALL - changed)
    assert sorted(cloud.query(every_value), key=str) == published


def test_the_job_of_a_load_is_not_found_without_the_rows_that_it_publishes(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """Which job is the load's own is told by its rows."""
    tables, jobs = cloud.tables(green, january), cloud.jobs()
    cloud.ready(tables, samples(january))
    own = start_publishing(jobs, tables, cloud.attempt(tables)).job
    jobs.wait(own)
    entries = ledger.find_loads(jobs, tables)
    found = find_publication(jobs, tables, entries)
    assert found is not None
    assert found.job_id == own.job_id

    cloud.query(f"DROP TABLE `{tables.rows_table}`")
    assert find_publication(jobs, tables, entries) is None
    cloud.discard(tables)


def test_a_count_of_deletions_is_not_made_once_the_month_is_published(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str, tmp_path: Path
) -> None:
    """It may be refused, and its error would say that nothing was published; another run may have published before."""
    path = samples(january)
    cloud.load(green, january, path)
    tables, jobs = cloud.tables(green, january, "manual__2"), cloud.jobs()
    cloud.ready(tables, with_lines(path, tmp_path, lambda lines: lines[:-1]))
    bigquery.faults.fail_next_job("accessDenied", containing="deleted_rows")
    with pytest.raises(WarehouseError, match="Nothing was published by this run"):
        start_publishing(jobs, tables, cloud.attempt(tables))
    own = start_publishing(jobs, tables, cloud.attempt(tables)).job
    jobs.wait(own)
    bigquery.faults.fail_next_job("accessDenied", containing="deleted_rows")

    again = start_publishing(jobs, tables, cloud.attempt(tables))

    assert (again.own, again.job.job_id) == (True, own.job_id)
    cloud.discard(tables)


def test_another_try_does_not_say_that_nothing_was_published(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """The job of the try before may have published."""
    tables = cloud.tables(green, january)
    cloud.ready(tables, samples(january))
    for load, waited, outcome in (
        (tables, None, NOTHING),
        (replace(tables, is_retry=True), None, UNKNOWN),
        (tables, Resumed("a job"), UNKNOWN),
    ):
        bigquery.faults.fail_next_job("accessDenied")
        warehouse = BigQueryWarehouse(replace(cloud.jobs(), outcome=NOTHING), cloud.bucket, load)
        with pytest.raises(WarehouseError, match=outcome), warehouse.step(PUBLISH, waited):
            pass
    cloud.discard(tables)


def test_a_table_without_a_column_is_not_unchanged(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    source, path = replace(green, main_table="green_without_a_column"), samples(january)
    cloud.load(source, january, path)
    cloud.query(
        "CREATE OR REPLACE TABLE `$taxi.green_without_a_column` AS "
        "SELECT * EXCEPT (extra) FROM `$taxi.green_without_a_column`"
    )

    tables = cloud.tables(source, january, "manual__2")
    fetched = cloud.begin(tables, path)

    assert (
        cloud.attempt(tables)
        .warnings[0]
        .endswith(f"lacks the column extra NUMERIC, the ledger has {ROWS} rows of the month")
    )
    with pytest.raises(MainTableError, match="Rename it"):
        cloud.stage(tables, cloud.upload(tables, fetched))


def test_publishing_reads_its_own_partition_only(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str, february: str
) -> None:
    tables = cloud.tables(green, january, "manual__1")
    cloud.ready(tables, samples(january))
    cloud.publish(tables)
    alone = cloud.bytes_read_by(merging(tables))

    cloud.load(green, february, samples(february))

    merge = merging(tables)
    assert cloud.bytes_read_by(merge) == alone > 0
    everywhere = Statement(
        "test",
        merge.sql.replace(f"published.source_month = DATE '{january}-01'\n        AND ", "").replace(
            f" AND published.source_month = DATE '{january}-01'", ""
        ),
    )
    assert everywhere.sql != merge.sql
    assert cloud.bytes_read_by(everywhere) > alone
    cloud.discard(tables)


def test_the_bucket_keeps_the_lines_that_bigquery_cannot_read(
    cloud: Cloud, samples: Callable[..., Path], green: Source, tmp_path: Path, january: str
) -> None:
    """A copy without the lines that aren't rows is uploaded, too, and is gone at the end."""

    def spoil(lines: list[str]) -> list[str]:
        lines[4] = with_field(lines[4], green, "fare_amount", "0.1234567891")
        return [*lines[:10], "1,2,3", *lines[11:]]

    path = with_lines(samples(january), tmp_path, spoil)

    assert cloud.load(replace(green, max_rejected_share=0.5), january, path).inserted == ROWS - 2

    kept = rejected(cloud, january)
    assert [row[:2] for row in kept] == [(number, lines_of(path)[number - 1]) for number in (5, 11)]
    assert "fare_amount is '0.1234567891', expected a decimal number that NUMERIC" in kept[0][2]
    blobs = [blob for blob in cloud.storage.list_blobs(cloud.settings.bucket) if january in blob.name]
    assert [blob.name for blob in blobs] == [f"green/green_tripdata_{january}.csv.gz"]
    assert blobs[0].download_as_bytes(raw_download=True) == path.read_bytes()


# What goes wrong in the cloud


def test_every_job_of_a_load_may_fail_once_and_is_done_again(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """Until the last one has succeeded, the table is as before."""
    tables = cloud.tables(green, january)
    load = cloud.upload(tables, cloud.begin(tables, samples(january)))

    def fails(containing: str, step: Callable[[], object]) -> None:
        bigquery.faults.fail_next_job("quotaExceeded", containing=containing)
        with pytest.raises(TransientWarehouseError, match="a quota of the project is used up") as found:
            step()
        assert "project taxi-project, europe-west1" in str(found.value)

    fails("Creates the staging table", lambda: cloud.stage(tables, load))
    fails('"load"', lambda: cloud.stage(tables, load))
    staged = cloud.stage(tables, load)
    fails("Gives every staged row", lambda: cloud.hash(tables, staged))
    cloud.hash(tables, staged)
    fails("MERGE", lambda: cloud.publish(tables))
    assert cloud.ids(green, january) == []
    fails("Counts the published rows", lambda: cloud.publish(tables))

    assert cloud.publish(tables) == Counts(ROWS, 0, 0)
    assert len(cloud.ids(green, january)) == ROWS


def test_a_worker_that_is_lost_after_publishing_finds_its_job_again(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    tables = cloud.tables(green, january)
    outputs = cloud.ready(tables, samples(january))
    jobs = cloud.jobs()
    first = jobs.wait(start_publishing(jobs, tables, cloud.attempt(tables)).job)  # and the worker is gone

    counts = cloud.publish(tables)

    assert counts == Counts(ROWS, 0, 0)
    cloud.check(tables, outputs)  # which makes the rows anew
    assert start_publishing(jobs, tables, cloud.attempt(tables)).job.job_id != first.job_id


def test_a_lost_answer_runs_nothing_twice(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """The request is repeated, by Google's client, and told that the job is there."""
    tables = cloud.tables(green, january)
    load = cloud.upload(tables, cloud.begin(tables, samples(january)))
    staged = cloud.stage(tables, load)
    jobs, uploaded = cloud.jobs(), Uploaded.from_dict(load["upload_month"], tables.where)
    columns = uploaded.columns_of(green)
    jobs.run(statement("create_staging_table", staging_table=tables.staging_table, file_columns=columns))

    bigquery.faults.lose_insert_answer()
    uri = tables.uri(uploaded.object_name)
    again = jobs.start_load(uri, tables.staging_table, load_configuration(columns), f"taxiway_load_{january}")
    assert again.found
    finish_staging(jobs, cloud.bucket(), tables, uploaded, jobs.wait(again.job))

    cloud.hash(tables, staged)
    bigquery.faults.lose_insert_answer()
    merged = jobs.start_query(merging(tables), f"taxiway_merge_{january}")
    assert merged.found
    job = jobs.wait(merged.job)

    assert (job.dml_stats.inserted_row_count, job.dml_stats.deleted_row_count) == (ROWS, 0)
    assert len(cloud.ids(green, january)) == ROWS
    asked = [request.body["jobReference"]["jobId"] for request in bigquery.requests if _starts_a_job(request)]
    assert [asked.count(f"taxiway_{kind}_{january}") for kind in ("load", "merge")] == [2, 2]


def _starts_a_job(request: Any) -> bool:
    return bool(request.method == "POST" and request.path.endswith("/jobs") and request.body)


def clock_goes_back(cloud: Cloud, month: str) -> None:
    """Leave the ledger of a month as clocks leave it that were a year ahead until now."""
    later = ", ".join(
        f"{name} = TIMESTAMP_ADD({name}, INTERVAL 8760 HOUR)" for name in ("started_at", "finished_at", "recorded_at")
    )
    cloud.query(f"UPDATE `$taxi.load_events` SET {later} WHERE month = DATE '{month}-01'")


def test_what_is_published_is_what_was_published_last_whatever_the_clocks_say(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    first, corrected = samples(january), samples(january, revision=1)
    cloud.load(green, january, first)
    clock_goes_back(cloud, january)
    # A file that comes later is published, and no run takes it for an older one.
    assert cloud.load(green, january, corrected, "manual__2").inserted > 0

    (published,) = cloud.query(f"SELECT sha256, last_state FROM `$taxi.months` WHERE month = DATE '{january}-01'")
    assert published == (hashlib.sha256(corrected.read_bytes()).hexdigest(), "published")
    assert cloud.begin(cloud.tables(green, january, "manual__3"), corrected).nothing_to_do is not None
    assert cloud.begin(cloud.tables(green, january, "manual__4"), first).nothing_to_do is None
    entries = cloud.loads(green, january)
    assert [(entry.load_number, entry.run_id, entry.state, entry.publication) for entry in entries] == [
        (1, "manual__1", "published", 1),
        (2, "manual__2", "published", 2),
        (3, "manual__3", "unchanged", 3),
        (4, "manual__4", "running", None),
    ]
    # The worker of that run is gone, and the clock goes back again: its next attempt is the last one all the same.
    clock_goes_back(cloud, january)
    tables = cloud.tables(green, january, "manual__4")
    cloud.begin(tables, first)
    again = cloud.attempt(tables)
    assert again.number == 2
    assert attempt_of(ledger.Ledger(cloud.jobs(), tables), "upload_month") == again
    entries = cloud.loads(green, january)[3:]
    assert [(entry.load_number, entry.state) for entry in entries] == [(4, "abandoned"), (5, "running")]
    (month,) = cloud.query(f"SELECT last_state FROM `$taxi.months` WHERE month = DATE '{january}-01'")
    assert month == ("running",)


def test_a_missing_bucket_or_dataset_says_what_to_do(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    no_dataset = Cloud(cloud.bigquery, cloud.storage, replace(cloud.settings, dataset="absent"))
    with pytest.raises(WarehouseError, match="run the DAG gcp_setup"):
        no_dataset.begin(no_dataset.tables(green, january), samples(january))

    no_bucket = Cloud(cloud.bigquery, cloud.storage, replace(cloud.settings, bucket="absent"))
    tables = no_bucket.tables(green, january)
    with pytest.raises(WarehouseError, match="run the DAG gcp_setup"):
        no_bucket.upload(tables, no_bucket.begin(tables, samples(january)))


def test_a_query_that_would_bill_too_much_is_refused_and_costs_nothing(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    cloud.load(green, january, samples(january))
    stingy = Cloud(cloud.bigquery, cloud.storage, replace(cloud.settings, maximum_bytes_billed=1024 * 1024))

    with pytest.raises(WarehouseError, match="GCP_MAXIMUM_BYTES_BILLED"):
        stingy.ids(green, january)


def test_what_a_step_needs_and_is_gone_is_told(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    tables = cloud.tables(green, january)
    load = cloud.ready(tables, samples(january))
    bucket = cloud.storage.bucket(cloud.settings.bucket)
    uploaded = Uploaded.from_dict(load["upload_month"], tables.where)
    bucket.blob(uploaded.object_name).upload_from_string(b"another run's", content_type="application/gzip")
    with pytest.raises(MissingInputError, match="another run has changed it"):
        cloud.bucket().require_generation(uploaded.object_name, uploaded.generation)
    cloud.discard(tables)
    with pytest.raises(MissingInputError, match="clear the task stage_month"):
        cloud.hash(tables, load)
    with pytest.raises(MissingInputError, match="clear the task stage_month"):
        cloud.publish(tables)


def test_a_staging_table_that_was_emptied_is_filled_again(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """Of two tries of a task at once, the one that comes late makes the table anew, behind the other one's job."""
    tables = cloud.tables(green, january)
    load = cloud.upload(tables, cloud.begin(tables, samples(january)))
    staged = cloud.stage(tables, load)
    jobs, uploaded = cloud.jobs(), Uploaded.from_dict(load["upload_month"], tables.where)
    columns = uploaded.columns_of(green)
    jobs.run(statement("create_staging_table", staging_table=tables.staging_table, file_columns=columns))

    job = jobs.find_job(staged["stage_month"]["staged_by"])
    with pytest.raises(TransientWarehouseError, match=f"holds 0 rows, expected the {ROWS} that the job"):
        finish_staging(jobs, cloud.bucket(), tables, uploaded, job)
    with pytest.raises(BalanceError, match=f"{ROWS} staged rows can't be read, but 0 lines of the file"):
        cloud.hash(tables, staged)

    cloud.hash(tables, cloud.stage(tables, load))
    assert cloud.publish(tables) == Counts(ROWS, 0, 0)


def test_rows_that_something_else_added_are_noticed(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    cloud.load(green, january, samples(january))
    cloud.query(
        "INSERT INTO `$taxi.green_tripdata` (unique_row_id, filename, source_month) "
        "SELECT unique_row_id, filename, source_month FROM `$taxi.green_tripdata` "
        f"WHERE source_month = DATE '{january}-01'"
    )

    with pytest.raises(BalanceError, match=f"holds {2 * ROWS} rows of the month, expected the {ROWS}"):
        cloud.load(green, january, samples(january), "manual__2")
