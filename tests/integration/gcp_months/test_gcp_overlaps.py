"""Loads into BigQuery that overlap: side by side, one behind another, and with themselves after a worker was lost."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stand_ins.bigquery import StandIn
from taxiway.errors import BalanceError, SupersededError, TransientWarehouseError
from taxiway.loads.attempts import attempt_of
from taxiway.loads.load import Counts
from taxiway.loads.month import create_main_table, download_month
from taxiway.loads.publication import Difference, Published
from taxiway.sources.months import Month
from taxiway.sources.source import Layout, Source
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.provisioning import Provisioner
from taxiway.warehouses.bigquery.publish import failed_publication, merging
from taxiway.warehouses.bigquery.published_months import BigQueryMonths
from taxiway.warehouses.bigquery.stage import finish_staging, start_staging
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upload import Uploaded
from taxiway.warehouses.bigquery.warehouse import BigQueryWarehouse
from taxiway.warehouses.sql import render
from tests.cloud_loading import SETTINGS, Cloud, start_publishing
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
    Provisioner(empty.settings, "test").ensure_dataset(cloud.bigquery)
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
    Provisioner(half.settings, "test").ensure_dataset(cloud.bigquery)
    bigquery.faults.hold_next_job("load_events", after=1)
    job = half.jobs().start_query(ledger.statement("create_ledger", dataset=half.settings.dataset_name), "half")
    half.bigquery.cancel_job("half", location=SETTINGS.location)
    assert half.jobs().wait(job.job).error_result["reason"] == "stopped"
    assert half.jobs().find_table(f"{half.settings.dataset_name}.load_events") is not None
    with pytest.raises(TransientWarehouseError, match="run the DAG gcp_setup"):
        half.loads(green, january)

    assert half.load(green, january, samples(january)) == Counts(ROWS, 0, 0)


EARLIER_COLUMNS = """
    load_id, load_number, source, month, destination, run_id, attempt, try_number, fetched_load_id, step, state,
    filename, url, etag, last_modified, bytes, sha256, rows_read, rows_rejected, rows_staged, rows_inserted,
    rows_deleted, rows_unchanged, publication, warnings, started_at, finished_at, error, recorded_at
"""
"""Columns of ``load_events`` in version 0.1.0."""


def earlier_views() -> list[str]:
    """Return the statements that made the ledger's views in version 0.1.0."""
    made = render("bigquery/create_ledger.sql", dataset="$taxi")
    later = r"^ *(published\.)?(unpacked_bytes|layout|row_id_version|yaml_sha256),?\n"
    views = re.sub(later, "", made[made.index("CREATE OR REPLACE VIEW") :], flags=re.MULTILINE)
    return [view for view in re.sub(r",\nFROM", r"\nFROM", views).split(";") if view.strip()]


def test_a_ledger_of_an_earlier_version_gets_what_it_lacks(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    earlier = Cloud(cloud.bigquery, cloud.storage, replace(SETTINGS, dataset="earlier_ledger"))
    Provisioner(earlier.settings, "test").ensure_dataset(cloud.bigquery)
    earlier.load(green, january, samples(january))
    earlier.query("DROP VIEW `$taxi.months`")
    earlier.query("DROP VIEW `$taxi.loads`")
    earlier.query(f"CREATE OR REPLACE TABLE `$taxi.load_events` AS SELECT {EARLIER_COLUMNS} FROM `$taxi.load_events`")
    for view in earlier_views():
        earlier.query(view)

    # Until then, it is read as it is.
    warehouse, month = BigQueryMonths(earlier.jobs(), purpose="status"), Month.parse(january)
    last, recorded = warehouse.last_loads([green])["green"][month], warehouse.months(green)[month]
    assert (last.state, last.rows, last.layout) == ("published", ROWS, None)
    assert (recorded.rows, recorded.layout, recorded.unpacked_bytes) == (ROWS, None, None)
    assert [each.state for each in warehouse.attempts(green, month, 5)] == ["published"]
    assert list(warehouse.states(green)) == [month]
    assert len(warehouse.past_loads(green)) == 1
    assert warehouse.rejected(green, month) is not None

    counts = earlier.load(green, january, samples(january, revision=1), "manual__2")
    assert counts.unchanged > 0

    found = earlier.query("SELECT run_id, state, layout, row_id_version FROM `$taxi.loads` ORDER BY load_number")
    assert found == [
        ("manual__1", "published", None, None),
        ("manual__2", "published", Layout(green.columns).name, 1),
    ]
    rows = counts.inserted + counts.unchanged
    assert earlier.query("SELECT layout, row_count FROM `$taxi.months`") == [(Layout(green.columns).name, rows)]


def test_what_nobody_ended_keeps_the_rules_that_it_began_under(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """The run's next attempt marks it abandoned, under another YAML file."""
    cloud.begin(cloud.tables(green, january), samples(january))
    cloud.begin(cloud.tables(replace(green, yaml_sha256="changed"), january), samples(january))

    found = cloud.query(
        f"SELECT state, yaml_sha256 FROM `$taxi.loads` WHERE month = DATE '{january}-01' ORDER BY load_number"
    )
    assert found == [("abandoned", green.yaml_sha256), ("running", "changed")]


# Which file is the later one


@pytest.mark.parametrize("published", [True, False])
def test_an_older_file_does_not_come_back_into_the_bucket(
    published: bool, cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    early, late = (cloud.tables(green, january, run) for run in ("manual__1", "manual__2"))
    older = cloud.begin(early, samples(january), force=True)
    if published:
        cloud.load(green, january, samples(january, revision=1), "manual__2")
    else:
        cloud.upload(late, cloud.begin(late, samples(january, revision=1), force=True))

    with pytest.raises(SupersededError, match="published the month" if published else "another file into gs://"):
        cloud.upload(early, older)

    blob = cloud.storage.bucket(SETTINGS.bucket).get_blob(early.object_name)
    assert blob.download_as_bytes(raw_download=True) == samples(january, revision=1).read_bytes()


def bucket_holds(cloud: Cloud, source: Source, month: str, path: Path) -> bool:
    blob = cloud.storage.bucket(SETTINGS.bucket).get_blob(cloud.tables(source, month).object_name)
    return bool(blob.download_as_bytes(raw_download=True) == path.read_bytes())


def test_a_file_that_was_found_published_later_stays(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the older one's run has looked at the ledger before, and found nothing against it there."""
    published, other = samples(january), samples(january, revision=1)
    cloud.load(green, january, published, "manual__0")
    early, late = (cloud.tables(green, january, run) for run in ("manual__1", "manual__2"))
    cloud.ready(early, other)
    cloud.bucket().upload(published, early.object_name, "nobody knows", content_type="application/gzip")
    entries = cloud.loads(green, january)
    assert cloud.begin(late, published).nothing_to_do is not None

    with pytest.raises(SupersededError, match="published the month meanwhile, or found it published"):
        cloud.publish(early)
    attempt = cloud.attempt(early)
    monkeypatch.setattr(ledger, "find_loads", lambda jobs, tables: entries)
    with pytest.raises(SupersededError, match="from another file"):
        start_publishing(cloud.jobs(), early, attempt)

    assert sorted(cloud.ids(green, january)) == sorted(specified_ids(green, published))


def test_the_bucket_keeps_the_later_file_if_its_bytes_were_there_before(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    published, other = samples(january), samples(january, revision=1)
    cloud.load(green, january, published, "manual__0")
    early, late = (cloud.tables(green, january, run) for run in ("manual__1", "manual__2"))
    older = cloud.begin(early, other)
    cloud.upload(late, cloud.begin(late, published, force=True))

    with pytest.raises(SupersededError, match="another file into gs://"):
        cloud.upload(early, older)

    assert bucket_holds(cloud, green, january, published)


def test_nobody_replaces_an_object_whose_metadata_have_changed_meanwhile(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """A run with a later file finds its bytes there, just when another one is about to replace them."""
    published, other = samples(january), samples(january, revision=1)
    cloud.load(green, january, published)
    name = cloud.tables(green, january).object_name

    def confirmed_meanwhile(_: str) -> bool:
        assert cloud.bucket().confirm(published, name, "another attempt", lambda theirs: False)
        return False

    with pytest.raises(TransientWarehouseError, match="was changed by another run meanwhile"):
        cloud.bucket().upload(other, name, "an attempt", confirmed_meanwhile, content_type="application/gzip")

    assert bucket_holds(cloud, green, january, published)


def test_a_bucket_with_another_file_than_the_table_is_corrected_by_the_next_run(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    published, other = samples(january), samples(january, revision=1)
    cloud.load(green, january, published, "manual__0")
    early, late = (cloud.tables(green, january, run) for run in ("manual__1", "manual__2"))
    cloud.upload(early, cloud.begin(early, other))

    fetched = cloud.begin(late, published)

    assert fetched.nothing_to_do is None
    cloud.upload(late, fetched)
    assert bucket_holds(cloud, green, january, published)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_month_is_unchanged_only_where_the_table_holds_its_file(
    when: str, cloud: Cloud, samples: Callable[..., Path], green: Source, january: str, tmp_path: Path
) -> None:
    """Another file, of as many rows, was published: by a worker that couldn't record it, or during the download."""
    published = samples(january)
    other = write_gzip(tmp_path / published.name, [*lines_of(published)[:-1], lines_of(published)[1]])
    cloud.load(green, january, published, "manual__0")
    name = cloud.tables(green, january).object_name

    def publish_another() -> None:
        tables = cloud.tables(green, january, "manual__1")
        cloud.ready(tables, other)
        if when == "before":
            jobs, attempt = cloud.jobs(), cloud.attempt(tables)
            jobs.wait(start_publishing(jobs, tables, attempt).job)
            ledger.record(jobs, tables, attempt, "merge_month", "failed", error="time was up")
        else:
            cloud.publish(tables)
        # so that the bucket doesn't tell
        cloud.bucket().upload(published, name, "nobody knows", content_type="application/gzip")

    def download() -> Any:
        if when == "meanwhile":
            publish_another()
        return source_file(published)

    if when == "before":
        publish_another()
    tables = cloud.tables(green, january, "manual__2")
    fetched = download_month(cloud.opened(tables), download)

    assert fetched.nothing_to_do is None
    if when == "before":
        cloud.check(tables, cloud.upload(tables, fetched))
        cloud.publish(tables)
        assert sorted(cloud.ids(green, january)) == sorted(specified_ids(green, published))
        assert cloud.begin(cloud.tables(green, january, "manual__3"), published).nothing_to_do is not None


# Two publications at once


def two_runs(cloud: Cloud, source: Source, month: str, path: Path) -> list[CloudTables]:
    """Bring two runs of a month so far that only its publication is left."""
    runs = [cloud.tables(source, month, f"manual__{number}") for number in (1, 2)]
    for tables in runs:
        cloud.ready(tables, path)
    return runs


def test_two_runs_that_publish_a_month_at_once_do_not_double_it(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """The month is empty, so that both only add rows, which BigQuery lets them do at the same time."""
    runs = two_runs(cloud, green, january, samples(january))
    held = bigquery.faults.hold_next_job(containing="MERGE")

    first = Thread(lambda: Cloud.connect().publish(runs[0]))
    held.wait_until_running()
    second = Thread(lambda: Cloud.connect().publish(runs[1]))
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
    runs = two_runs(cloud, green, january, samples(january))
    held = bigquery.faults.hold_next_job(containing="MERGE")
    without_number = Thread(lambda: Cloud.connect().jobs().run(merging(runs[0])))
    held.wait_until_running()
    cloud.publish(runs[1])
    held.release()
    without_number.result()

    assert len(cloud.ids(green, january)) == 2 * ROWS


def test_a_conflict_with_another_statement_is_tried_again(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    tables = cloud.tables(green, january)
    cloud.ready(tables, samples(january))
    bigquery.faults.fail_next_job("invalidQuery", CONFLICT, containing="MERGE")

    with pytest.raises(TransientWarehouseError, match="another statement was changing the table"):
        cloud.publish(tables)

    assert cloud.publish(tables) == Counts(ROWS, 0, 0)


def test_rows_that_change_under_a_merge_are_a_conflict(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    cloud.load(green, january, samples(january))
    tables = cloud.tables(green, january, "manual__2")
    cloud.ready(tables, samples(january, revision=1))
    held = bigquery.faults.hold_next_job(containing="MERGE")
    publishing = Thread(lambda: Cloud.connect().publish(tables))
    held.wait_until_running()
    cloud.query(f"DELETE FROM `$taxi.green_tripdata` WHERE source_month = DATE '{january}-01'")
    held.release()

    with pytest.raises(TransientWarehouseError, match="due to concurrent update"):
        publishing.result()
    assert cloud.ids(green, january) == []
    cloud.publish(tables)
    assert sorted(cloud.ids(green, january)) == sorted(specified_ids(green, samples(january, revision=1)))


# Jobs of another account


def test_a_publication_that_failed_under_another_account_blocks_nobody(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """Who may run jobs may not look at those of others: that one failed, the ledger says."""
    first, second = (cloud.tables(green, january, f"manual__{number}") for number in (1, 2))
    cloud.ready(first, samples(january))
    bigquery.faults.fail_next_job("quotaExceeded", containing="MERGE")
    jobs, attempt = cloud.jobs(), cloud.attempt(first)
    failed = jobs.wait(start_publishing(jobs, first, attempt).job)
    bigquery.jobs.give_to_another_account(failed.job_id)
    cloud.ready(second, samples(january))
    # Until the ledger has its result, nobody can tell whether that job still runs.
    with pytest.raises(TransientWarehouseError, match=r"belongs to another account.*bigquery\.jobs\.get"):
        cloud.publish(second)
    number = failed_publication(failed)
    ledger.record(jobs, first, attempt, "merge_month", "failed", error="a quota", publication=number)

    assert cloud.publish(second) == Counts(ROWS, 0, 0)
    assert [entry.publication for entry in cloud.loads(green, january)] == [1, None, 2]


def test_a_publication_that_failed_does_not_excuse_wrong_rows(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    tables = cloud.tables(green, january)
    cloud.ready(tables, samples(january))
    jobs = cloud.jobs()
    job = jobs.wait(start_publishing(jobs, tables, cloud.attempt(tables)).job)
    bigquery.faults.fail_next_job("quotaExceeded", containing="MERGE")
    name = job.job_id.rpartition("_")[0]
    jobs.wait(jobs.start_query(merging(tables), f"{name}_2").job)
    cloud.query(
        "INSERT INTO `$taxi.green_tripdata` (unique_row_id, filename, source_month) "
        "SELECT unique_row_id, filename, source_month FROM `$taxi.green_tripdata` "
        f"WHERE source_month = DATE '{january}-01'"
    )

    with pytest.raises(BalanceError, match="something other than Taxiway has written there"):
        cloud.publish(tables)


# A worker that is lost


def test_a_worker_that_is_lost_while_it_stages_finds_its_job_again(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    tables = cloud.tables(green, january)
    outputs = cloud.upload(tables, cloud.begin(tables, samples(january)))
    jobs, uploaded = cloud.jobs(), Uploaded.from_dict(outputs["upload_month"], tables.where)
    held = bigquery.faults.hold_next_job(containing='"load"')
    attempt = cloud.attempt(tables)
    first = start_staging(jobs, tables, attempt, uploaded)
    held.wait_until_running()  # and the worker is gone
    created = jobs.find_table(tables.staging_table)

    cleared = attempt_of(ledger.Ledger(jobs, tables), "stage_month")
    assert cleared == attempt, "no try of it was lost"
    retried = replace(tables, try_number=2, is_retry=True)
    attempt = attempt_of(ledger.Ledger(jobs, retried), "stage_month")
    again = start_staging(jobs, tables, attempt, uploaded)
    held.release()
    finish_staging(jobs, cloud.bucket(), tables, uploaded, jobs.wait(again))

    assert again.job_id == first.job_id
    assert cloud.query(
        "SELECT attempt, try_number, step, state, error, sha256 IS NOT NULL, rows_read FROM `$taxi.loads` "
        f"WHERE month = DATE '{january}-01' ORDER BY attempt"
    ) == [
        (1, 1, "upload_month", "abandoned", "stage_month: its worker ended without a word", True, ROWS),
        (2, 2, "stage_month", "running", None, True, ROWS),
    ]
    table = jobs.find_table(tables.staging_table)
    assert table is not None
    assert created is not None
    assert table.created == created.created, "the table is not replaced under the job"
    assert table.expires is not None
    assert table.num_rows == ROWS
    # If the job is done and its table gone, the month is staged anew.
    cloud.query(f"DROP TABLE `{tables.staging_table}`")
    assert start_staging(jobs, tables, attempt, uploaded).job_id != first.job_id


def test_a_month_that_is_published_during_the_comparison_is_not_unchanged(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str
) -> None:
    """And the bucket has the first file again, so that it doesn't tell."""
    published, other = samples(january), samples(january, revision=1)
    cloud.load(green, january, published, "manual__0")
    name = cloud.tables(green, january).object_name

    class SupersededDuringComparison(BigQueryWarehouse):
        def difference_to(self, found: Published) -> Difference | None:
            difference = super().difference_to(found)
            cloud.load(green, january, other, "manual__1")
            cloud.bucket().upload(published, name, "nobody knows", content_type="application/gzip")
            return difference

    tables = cloud.tables(green, january, "manual__2")
    file = source_file(published)
    fetched = download_month(SupersededDuringComparison(cloud.jobs(), cloud.bucket, tables), lambda: file)

    assert fetched.nothing_to_do is None


def test_an_attempt_goes_on_with_the_rejects_of_its_own_file(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str, tmp_path: Path
) -> None:
    """The run was cleared after its first file, and a step of the second one is tried again."""
    tolerant = replace(green, max_rejected_share=0.5)
    lines = lines_of(samples(january))
    first, second = (
        write_gzip(tmp_path / f"{bad}.csv.gz", [*lines[: len(lines) - bad], *["1,2,3"] * bad]) for bad in (2, 1)
    )
    tables = cloud.tables(tolerant, january)
    cloud.upload(tables, cloud.begin(tables, first))
    outputs = cloud.upload(tables, cloud.begin(tables, second))

    for _ in range(2):
        create_main_table(cloud.opened(replace(tables, is_retry=True)), outputs)

    found = cloud.query(
        "SELECT attempt, rows_rejected, COUNT(DISTINCT line_number) FROM `$taxi.loads` AS loads "
        "JOIN `$taxi.rejected_rows` AS rejected_rows USING (load_id) "
        f"WHERE loads.month = DATE '{january}-01' GROUP BY attempt, rows_rejected ORDER BY attempt"
    )
    assert found == [(1, 2, 2), (2, 1, 1), (3, 1, 1), (4, 1, 1)]


def test_warnings_are_said_once_whatever_is_tried_again(
    cloud: Cloud, samples: Callable[..., Path], green: Source, january: str, tmp_path: Path
) -> None:
    february = january.replace("-01", "-02")
    short = write_gzip(tmp_path / samples(february).name, lines_of(samples(february))[:11])
    cloud.load(green, january, samples(january))
    cloud.load(green, february, short)
    cloud.query(f"DELETE FROM `$taxi.green_tripdata` WHERE source_month = DATE '{february}-01'")

    tables = cloud.tables(green, february, "manual__2")
    fetched = cloud.begin(tables, short)
    ledger.record(cloud.jobs(), tables, cloud.attempt(tables), "upload_month", "failed", error="a quota")
    outputs = cloud.upload(tables, fetched)
    cloud.check(tables, outputs)
    cloud.check(tables, outputs)
    cloud.publish(tables)

    first, second = cloud.attempt(tables).warnings
    assert first.startswith("before this load, ")
    assert "holds 0 rows of the month" in first
    assert second.startswith("rows_like_neighbours: ")
