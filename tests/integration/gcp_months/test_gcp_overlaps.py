"""Loads into BigQuery that overlap: side by side, one behind another, and with themselves after a worker was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stand_ins.bigquery import StandIn
from taxiway.errors import BalanceError, SupersededError, TransientWarehouseError
from taxiway.loads.load import Counts
from taxiway.loads.row_identity import layout_key
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.fetch import fetch_month
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.places import Places
from taxiway.warehouses.bigquery.publish import merging, start_publishing, with_failed_publication
from taxiway.warehouses.bigquery.stage import finish_staging, start_staging
from taxiway.warehouses.bigquery.tables import CloudTables
from tests.cloud_loading import SETTINGS, Cloud
from tests.integration.gcp_months import ROWS
from tests.loading import lines_of, source_file, specified_ids, write_gzip

CONFLICT = "Could not serialize access to table taxi-project:taxi.green_tripdata due to concurrent update"


class Thread(threading.Thread):
    """A thread whose failure isn't lost."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._act()
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        self.join(60)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error
        return self._result


# The ledger


def test_months_that_begin_on_an_empty_dataset_make_the_ledger_together(
    bigquery: StandIn, cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """The ledger is made by four statements: whoever comes between the first and the last one finds half of it."""
    empty = Cloud(cloud.bigquery, cloud.storage, replace(SETTINGS, dataset="side_by_side"))
    Places(empty.settings, "test").ensure_dataset(cloud.bigquery)
    held = bigquery.faults.hold_next_job("load_events", after=1)
    first = Thread(lambda: empty.load(green, january, samples(january)))
    held.wait_until_running()
    february = january.replace("-01", "-02")

    second = empty.load(green, february, samples(february))
    held.release()

    assert second == first.result() == Counts(ROWS, 0, 0)


def test_a_ledger_that_was_left_half_made_is_completed(
    bigquery: StandIn, cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    half = Cloud(cloud.bigquery, cloud.storage, replace(SETTINGS, dataset="half_made"))
    Places(half.settings, "test").ensure_dataset(cloud.bigquery)
    bigquery.faults.hold_next_job("load_events", after=1)
    job = half.warehouse().start_query(ledger.statement("create_ledger", dataset=half.settings.dataset_name), "half")
    half.bigquery.cancel_job("half", location=SETTINGS.location)
    assert half.warehouse().wait(job.job).error_result["reason"] == "stopped"
    assert half.warehouse().find_table(f"{half.settings.dataset_name}.load_events") is not None
    with pytest.raises(TransientWarehouseError, match="run the DAG gcp_setup"):
        half.loads(green, january)

    assert half.load(green, january, samples(january)) == Counts(ROWS, 0, 0)


EARLIER_COLUMNS = """
    load_id, load_number, source, month, destination, run_id, attempt, try_number, fetched_load_id, step, state,
    filename, url, etag, last_modified, bytes, sha256, rows_read, rows_rejected, rows_staged, rows_inserted,
    rows_deleted, rows_unchanged, publication, warnings, started_at, finished_at, error, recorded_at
"""
"""Columns of ``load_events`` in version 0.1.0."""


def test_a_ledger_of_an_earlier_version_gets_what_it_lacks(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    earlier = Cloud(cloud.bigquery, cloud.storage, replace(SETTINGS, dataset="earlier_ledger"))
    Places(earlier.settings, "test").ensure_dataset(cloud.bigquery)
    earlier.load(green, january, samples(january))
    earlier.query("DROP VIEW `$taxi.months`")
    earlier.query("DROP VIEW `$taxi.loads`")
    earlier.query(f"CREATE OR REPLACE TABLE `$taxi.load_events` AS SELECT {EARLIER_COLUMNS} FROM `$taxi.load_events`")
    earlier.query("CREATE VIEW `$taxi.months` AS SELECT source, month, state FROM `$taxi.load_events`")

    assert earlier.load(green, january, samples(january, revision=1), "manual__2").unchanged > 0

    found = earlier.query("SELECT run_id, state, layout, row_id_version FROM `$taxi.loads` ORDER BY load_number")
    assert found == [
        ("manual__1", "published", None, None),
        ("manual__2", "published", layout_key(green.columns), 1),
    ]
    assert earlier.query("SELECT layout, row_count FROM `$taxi.months`") == [(layout_key(green.columns), ROWS)]


def test_what_nobody_ended_keeps_the_rules_that_it_began_under(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """The run's next attempt marks it abandoned, under another YAML file."""
    cloud.fetch(cloud.tables(green, january), samples(january))
    cloud.fetch(cloud.tables(replace(green, yaml_sha256="changed"), january), samples(january))

    found = cloud.query(
        f"SELECT state, yaml_sha256 FROM `$taxi.loads` WHERE month = DATE '{january}-01' ORDER BY load_number"
    )
    assert found == [("abandoned", green.yaml_sha256), ("running", "changed")]


# Which file is the later one


def test_of_two_runs_the_file_of_the_one_that_began_later_stays(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """Also where the earlier one is tried again: that makes its attempt the later one, not its file."""
    early, late = (cloud.tables(green, january, run) for run in ("manual__1", "manual__2"))
    older = cloud.ready(early, samples(january))
    cloud.publish(late, cloud.ready(late, samples(january, revision=1)))

    for number in range(2):
        with pytest.raises(SupersededError, match="a run that began later has published the month"):
            cloud.publish(early, older)
        ledger.record(cloud.warehouse(), early, older, "merge_month", "failed", error="a quota")
        again = ledger.resume(cloud.warehouse(), early, older, "merge_month")
        assert again.load_id != older.load_id
        older = again
        assert cloud.loads(green, january)[-1].load_number == 3 + number

    assert sorted(cloud.ids(green, january)) == sorted(specified_ids(green, samples(january, revision=1)))
    # A new download of the same run is the later file again.
    anew = cloud.ready(early, samples(january))
    assert cloud.publish(early, anew).inserted > 0
    assert sorted(cloud.ids(green, january)) == sorted(specified_ids(green, samples(january)))


def test_a_file_that_was_fetched_later_replaces_one_whose_publication_took_several_tries(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    early, late = (cloud.tables(green, january, run) for run in ("manual__1", "manual__2"))
    older = cloud.ready(early, samples(january))
    newer = cloud.ready(late, samples(january, revision=1))
    ledger.record(cloud.warehouse(), early, older, "merge_month", "failed", error="a quota")
    cloud.publish(early, ledger.resume(cloud.warehouse(), early, older, "merge_month"))

    cloud.publish(late, newer)

    assert sorted(cloud.ids(green, january)) == sorted(specified_ids(green, samples(january, revision=1)))


@pytest.mark.parametrize("published", [True, False])
def test_an_older_file_does_not_come_back_into_the_lake(
    published: bool, cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    early, late = (cloud.tables(green, january, run) for run in ("manual__1", "manual__2"))
    older = cloud.fetch(early, samples(january), force=True).load
    if published:
        cloud.load(green, january, samples(january, revision=1), "manual__2")
    else:
        cloud.upload(late, cloud.fetch(late, samples(january, revision=1), force=True).load)

    with pytest.raises(SupersededError, match="published the month" if published else "another file into gs://"):
        cloud.upload(early, older)

    blob = cloud.storage.bucket(SETTINGS.bucket).get_blob(early.object_name)
    assert blob.download_as_bytes(raw_download=True) == samples(january, revision=1).read_bytes()


def lake_holds(cloud: Cloud, source: Source, month: str, path: Path) -> bool:
    blob = cloud.storage.bucket(SETTINGS.bucket).get_blob(cloud.tables(source, month).object_name)
    return bool(blob.download_as_bytes(raw_download=True) == path.read_bytes())


def test_a_file_that_was_found_published_later_stays(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the older one's run has looked at the ledger before, and found nothing against it there."""
    published, other = samples(january), samples(january, revision=1)
    cloud.load(green, january, published, "manual__0")
    early, late = (cloud.tables(green, january, run) for run in ("manual__1", "manual__2"))
    older = cloud.ready(early, other)
    cloud.lake().upload(published, early.object_name, "nobody knows")
    entries = cloud.loads(green, january)
    assert cloud.fetch(late, published).unchanged is not None

    with pytest.raises(SupersededError, match="published the month meanwhile, or found it published"):
        cloud.publish(early, older)
    monkeypatch.setattr(ledger, "find_loads", lambda warehouse, tables: entries)
    with pytest.raises(SupersededError, match="from another file"):
        cloud.publish(early, older)

    assert sorted(cloud.ids(green, january)) == sorted(specified_ids(green, published))


def test_the_lake_keeps_the_later_file_where_its_bytes_were_there_before(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    published, other = samples(january), samples(january, revision=1)
    cloud.load(green, january, published, "manual__0")
    early, late = (cloud.tables(green, january, run) for run in ("manual__1", "manual__2"))
    older = cloud.fetch(early, other).load
    cloud.upload(late, cloud.fetch(late, published, force=True).load)

    with pytest.raises(SupersededError, match="another file into gs://"):
        cloud.upload(early, older)

    assert lake_holds(cloud, green, january, published)


def test_nobody_replaces_an_object_whose_metadata_have_changed_meanwhile(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """A run with a later file finds its bytes there, just when another one is about to replace them."""
    published, other = samples(january), samples(january, revision=1)
    cloud.load(green, january, published)
    name = cloud.tables(green, january).object_name

    def confirmed_meanwhile(_: str) -> bool:
        assert cloud.lake().confirm(published, name, "another attempt", lambda theirs: False)
        return False

    with pytest.raises(TransientWarehouseError, match="was changed by another run meanwhile"):
        cloud.lake().upload(other, name, "an attempt", confirmed_meanwhile)

    assert lake_holds(cloud, green, january, published)


def test_a_lake_with_another_file_than_the_table_is_mended_by_the_next_run(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    published, other = samples(january), samples(january, revision=1)
    cloud.load(green, january, published, "manual__0")
    early, late = (cloud.tables(green, january, run) for run in ("manual__1", "manual__2"))
    cloud.upload(early, cloud.fetch(early, other).load)

    fetched = cloud.fetch(late, published)

    assert fetched.unchanged is None
    cloud.upload(late, fetched.load)
    assert lake_holds(cloud, green, january, published)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_month_is_unchanged_only_where_the_table_holds_its_file(
    when: str, cloud: Cloud, samples: Callable[..., Path], green: Source, january: str, tmp_path: Path
) -> None:
    """Another file, of as many rows, was published: by a worker that couldn't enter it, or during the download."""
    published = samples(january)
    other = write_gzip(tmp_path / published.name, [*lines_of(published)[:-1], lines_of(published)[1]])
    cloud.load(green, january, published, "manual__0")
    name = cloud.tables(green, january).object_name

    def publish_another() -> None:
        tables = cloud.tables(green, january, "manual__1")
        load = cloud.ready(tables, other)
        if when == "before":
            warehouse = cloud.warehouse()
            warehouse.wait(start_publishing(warehouse, tables, load).job)
            ledger.record(warehouse, tables, load, "merge_month", "failed", error="time was up")
        else:
            cloud.publish(tables, load)
        cloud.lake().upload(published, name, "nobody knows")  # so that the lake doesn't tell

    def download() -> Any:
        if when == "meanwhile":
            publish_another()
        return source_file(published)

    if when == "before":
        publish_another()
    tables = cloud.tables(green, january, "manual__2")
    fetched = fetch_month(cloud.warehouse(), cloud.lake, tables, download, lambda load: None)

    assert fetched.unchanged is None
    if when == "before":
        cloud.publish(tables, cloud.hash(tables, cloud.stage(tables, cloud.upload(tables, fetched.load))))
        assert sorted(cloud.ids(green, january)) == sorted(specified_ids(green, published))
        assert cloud.fetch(cloud.tables(green, january, "manual__3"), published).unchanged is not None


# Two publications at once


def two_runs(cloud: Cloud, source: Source, month: str, path: Path) -> tuple[list[CloudTables], list[Load]]:
    """Bring two runs of a month so far that only its publication is left."""
    runs = [cloud.tables(source, month, f"manual__{number}") for number in (1, 2)]
    return runs, [cloud.ready(tables, path) for tables in runs]


def test_two_runs_that_publish_a_month_at_once_do_not_double_it(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """The month is empty, so that both only add rows, which BigQuery lets them do at the same time."""
    runs, loads = two_runs(cloud, green, january, samples(january))
    held = bigquery.faults.hold_next_job(containing="MERGE")

    first = Thread(lambda: Cloud.connect().publish(runs[0], loads[0]))
    held.wait_until_running()
    second = Thread(lambda: Cloud.connect().publish(runs[1], loads[1]))
    refused = bigquery.wait_until_answered(409, path_ending="/jobs")
    held.release()

    assert (first.result(), second.result()) == (Counts(ROWS, 0, 0), Counts(0, 0, ROWS))
    assert len(cloud.ids(green, january)) == ROWS
    assert refused.body is not None
    name = refused.body["jobReference"]["jobId"]
    assert name.endswith("_1")
    merges = [job.job_id for job in cloud.bigquery.list_jobs() if job.job_id.startswith(name[:-1])]
    assert sorted(merges) == [name, f"{name[:-1]}2"]


def test_what_the_numbers_prevent(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """Under an id of its own, a publication beside another one adds its rows, too: so the test above can fail."""
    runs, loads = two_runs(cloud, green, january, samples(january))
    held = bigquery.faults.hold_next_job(containing="MERGE")
    without_number = Thread(lambda: Cloud.connect().warehouse().run(merging(runs[0])))
    held.wait_until_running()
    cloud.publish(runs[1], loads[1])
    held.release()
    without_number.result()

    assert len(cloud.ids(green, january)) == 2 * ROWS


def test_a_conflict_with_another_statement_is_tried_again(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    tables = cloud.tables(green, january)
    load = cloud.ready(tables, samples(january))
    bigquery.faults.fail_next_job("invalidQuery", CONFLICT, containing="MERGE")

    with pytest.raises(TransientWarehouseError, match="another statement was changing the table"):
        cloud.publish(tables, load)

    assert cloud.publish(tables, load) == Counts(ROWS, 0, 0)


def test_rows_that_change_under_a_merge_are_a_conflict(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    cloud.load(green, january, samples(january))
    tables = cloud.tables(green, january, "manual__2")
    load = cloud.ready(tables, samples(january, revision=1))
    held = bigquery.faults.hold_next_job(containing="MERGE")
    publishing = Thread(lambda: Cloud.connect().publish(tables, load))
    held.wait_until_running()
    cloud.query(f"DELETE FROM `$taxi.green_tripdata` WHERE source_month = DATE '{january}-01'")
    held.release()

    with pytest.raises(TransientWarehouseError, match="due to concurrent update"):
        publishing.result()
    assert cloud.ids(green, january) == []
    cloud.publish(tables, load)
    assert sorted(cloud.ids(green, january)) == sorted(specified_ids(green, samples(january, revision=1)))


# Jobs of another account


def test_a_publication_that_failed_under_another_account_blocks_nobody(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """Who may run jobs may not look at those of others: that one failed, the ledger says."""
    first, second = (cloud.tables(green, january, f"manual__{number}") for number in (1, 2))
    load = cloud.ready(first, samples(january))
    bigquery.faults.fail_next_job("quotaExceeded", containing="MERGE")
    warehouse = cloud.warehouse()
    failed = warehouse.wait(start_publishing(warehouse, first, load).job)
    bigquery.jobs.give_to_another_account(failed.job_id)
    other = cloud.ready(second, samples(january))
    # Until the ledger knows, nobody can tell whether that job is at it still.
    with pytest.raises(TransientWarehouseError, match=r"is another account's.*bigquery\.jobs\.get"):
        cloud.publish(second, other)
    ledger.record(warehouse, first, with_failed_publication(load, failed), "merge_month", "failed", error="a quota")

    assert cloud.publish(second, other) == Counts(ROWS, 0, 0)
    assert [entry.publication for entry in cloud.loads(green, january)] == [1, 2]


def test_a_publication_that_failed_does_not_excuse_wrong_rows(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    tables = cloud.tables(green, january)
    load = cloud.ready(tables, samples(january))
    warehouse = cloud.warehouse()
    job = warehouse.wait(start_publishing(warehouse, tables, load).job)
    bigquery.faults.fail_next_job("quotaExceeded", containing="MERGE")
    name = job.job_id.rpartition("_")[0]
    warehouse.wait(warehouse.start_query(merging(tables), f"{name}_2").job)
    cloud.query(
        "INSERT INTO `$taxi.green_tripdata` (unique_row_id, filename, source_month) "
        "SELECT unique_row_id, filename, source_month FROM `$taxi.green_tripdata` "
        f"WHERE source_month = DATE '{january}-01'"
    )

    with pytest.raises(BalanceError, match="something beside Taxiway has written there"):
        cloud.publish(tables, load)


# A worker that is lost


def test_attempts_of_other_runs_that_cannot_be_at_work_any_more_are_marked_abandoned(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    for run in ("manual__lost", "manual__at_work"):
        cloud.fetch(cloud.tables(green, january, run), samples(january))
    cloud.query(
        "UPDATE `$taxi.load_events` SET started_at = TIMESTAMP_ADD(started_at, INTERVAL -25 HOUR) "
        f"WHERE month = DATE '{january}-01' AND run_id = 'manual__lost'"
    )

    cloud.fetch(cloud.tables(green, january, "manual__next"), samples(january))

    found = cloud.query(
        f"SELECT run_id, state, error FROM `$taxi.loads` WHERE month = DATE '{january}-01' ORDER BY load_number"
    )
    assert found == [
        ("manual__lost", "abandoned", "download_month or a later step: its worker ended without a word"),
        ("manual__at_work", "running", None),
        ("manual__next", "running", None),
    ]


def test_a_worker_that_is_lost_while_it_stages_finds_its_job_again(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    tables = cloud.tables(green, january)
    load = cloud.upload(tables, cloud.fetch(tables, samples(january)).load)
    warehouse = cloud.warehouse()
    held = bigquery.faults.hold_next_job(containing='"load"')
    first = start_staging(warehouse, tables, load)
    held.wait_until_running()  # and the worker is gone
    created = warehouse.find_table(tables.staging_table)

    cleared = ledger.resume(warehouse, tables, load, "stage_month", retried=False)
    assert cleared == load, "no try of it was lost"
    load = ledger.resume(warehouse, replace(tables, try_number=2), load, "stage_month")
    again = start_staging(warehouse, tables, load)
    held.release()
    finish_staging(warehouse, cloud.lake(), tables, load, warehouse.wait(again))

    assert again.job_id == first.job_id
    assert cloud.query(
        "SELECT attempt, try_number, step, state, error, sha256 IS NOT NULL, rows_read FROM `$taxi.loads` "
        f"WHERE month = DATE '{january}-01' ORDER BY attempt"
    ) == [
        (1, 1, "stage_month", "abandoned", "stage_month: its worker ended without a word", True, ROWS),
        (2, 2, "stage_month", "running", None, True, ROWS),
    ]
    table = warehouse.find_table(tables.staging_table)
    assert table is not None
    assert created is not None
    assert table.created == created.created, "the table is not replaced under the job"
    assert table.expires is not None
    assert table.num_rows == ROWS
    # Where the job is done and its table gone, the month is staged anew.
    cloud.query(f"DROP TABLE `{tables.staging_table}`")
    assert start_staging(warehouse, tables, load).job_id != first.job_id
