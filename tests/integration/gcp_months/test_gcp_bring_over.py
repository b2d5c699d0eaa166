"""A dataset of version 0.1.0: its rows get the unpacked file's name, and stay the same rows."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.api_core.client_info import ClientInfo
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from stand_ins.bigquery import StandIn
from taxiway.compare.known_figures import find_months
from taxiway.errors import TransientWarehouseError
from taxiway.loads.load import Counts
from taxiway.loads.published_months import Verified
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source
from taxiway.warehouses.bigquery.ledger import create_ledger
from taxiway.warehouses.bigquery.main_table import cluster_column
from taxiway.warehouses.bigquery.provisioning import Provisioner
from taxiway.warehouses.bigquery.published_months import BigQueryMonths
from taxiway.warehouses.bigquery.statements import statement
from tests.cloud_loading import SETTINGS, Cloud
from tests.integration.gcp_months import ROWS
from tests.integration.gcp_months.test_gcp_overlaps import EARLIER_COLUMNS, earlier_views

MONTHS = ("2020-01", "2020-02")
Samples = Callable[..., Path]


DATASETS = map("version_0_1_0_{}".format, itertools.count())


def new_dataset(cloud: Cloud) -> Cloud:
    made = Cloud(cloud.bigquery, cloud.storage, replace(SETTINGS, dataset=next(DATASETS)))
    Provisioner(made.settings, "test").ensure_dataset(cloud.bigquery)
    return made


@pytest.fixture(scope="module")
def original(shared_cloud: tuple[Cloud, StandIn], samples: Samples, green: Source) -> Cloud:
    """The rows of two months, and the events of their loads, as version 0.1.0 left them: each test gets a copy."""
    made = new_dataset(shared_cloud[0])
    for month in MONTHS:
        made.load(green, month, samples(month), f"manual__{month}")
    made.query("UPDATE `$taxi.green_tripdata` SET filename = CONCAT(filename, '.gz') WHERE TRUE")
    columns = EARLIER_COLUMNS.replace("filename,", "CONCAT(filename, '.gz') AS filename,")
    made.query(f"CREATE OR REPLACE TABLE `$taxi.load_events` AS SELECT {columns} FROM `$taxi.load_events`")
    return made


@pytest.fixture
def earlier(original: Cloud, green: Source) -> Cloud:
    """Two months as version 0.1.0 left them, with a view and a label of somebody's."""
    made = new_dataset(original)
    main_table, columns = made.tables(green, MONTHS[0]).main_table, green.columns
    described = {"columns": columns, "title": green.title, "cluster_by": cluster_column(green)}
    made.jobs().run(statement("create_main_table", main_table=main_table, **described))
    copied = original.settings.dataset_name
    made.query(f"INSERT INTO `$taxi.green_tripdata` SELECT * FROM `{copied}.green_tripdata`")
    for table in ("load_events", "rejected_rows"):
        made.query(f"CREATE TABLE `$taxi.{table}` AS SELECT * FROM `{copied}.{table}`")
    for view in earlier_views():
        made.query(view)
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
        assert earlier.begin(tables, samples(month)).nothing_to_do is not None

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
    earlier.begin(earlier.tables(green, MONTHS[0], "again__3"), samples(MONTHS[0]))
    assert not any("ENDS_WITH" in str(request) for request in bigquery.requests)


@pytest.mark.parametrize(
    "containing", ["DATE '2020-02-01' AND ENDS_WITH", "LOGICAL_OR(ENDS_WITH"], ids=["a month", "the look"]
)
def test_what_is_cut_off_goes_on_at_the_next_try(
    containing: str, earlier: Cloud, samples: Samples, green: Source, bigquery: StandIn
) -> None:
    before = rows(earlier, green)
    bigquery.faults.fail_next_job("quotaExceeded", containing=containing)

    with pytest.raises(TransientWarehouseError):
        earlier.begin(earlier.tables(green, MONTHS[0], "again"), samples(MONTHS[0]))
    assert labels(earlier) == {"team": "x"}

    assert earlier.begin(earlier.tables(green, MONTHS[0], "again"), samples(MONTHS[0])).nothing_to_do is not None
    assert (rows(earlier, green), names(earlier)) == (before, unpacked(green, ROWS))


def test_its_rows_and_files_are_verified_before_a_load_brings_it_over(earlier: Cloud, green: Source) -> None:
    warehouse, (january, february) = BigQueryMonths(earlier.jobs(), purpose="verify"), map(Month.parse, MONTHS)

    assert [warehouse.verify(green, month) for month in (january, february)] == [Verified(ROWS, ROWS)] * 2
    assert warehouse.count_files(green, [january, february]) == {
        month: {green.filename(month): ROWS} for month in (january, february)
    }
    held = find_months(warehouse, green, [january], lambda *_: False)[january]
    assert held.filenames == {green.filename(january)}

    # A load that was cut off has renamed the rows alone; somebody has changed others.
    for month, name in ((january, green.filename(january)), (february, "x")):
        earlier.query(
            f"UPDATE `$taxi.green_tripdata` SET filename = '{name}' WHERE source_month = DATE '{month.first_day}'"
        )
    assert warehouse.verify(green, january) == Verified(ROWS, ROWS)
    said = warehouse.verify(green, february).difference
    assert said.startswith(f"{ROWS} rows with an id that doesn't fit: changed or added by hand")


def rename_job(cloud: Cloud, month: str) -> str:
    """Return the id of the job that renames a month's file."""
    created = cloud.bigquery.get_table(f"{cloud.settings.dataset_name}.green_tripdata").created
    milliseconds = int(created.timestamp() * 1000)
    return f"taxiway_rename_{cloud.settings.dataset}_green_{month.replace('-', '_')}_{milliseconds}_1"


def renames(bigquery: StandIn, month: str) -> list[str]:
    """Return the ids of the jobs that were started to rename a month's file."""
    bodies = [each.body or {} for each in bigquery.requests if each.method == "POST" and each.path.endswith("/jobs")]
    wanted = f"source_month = DATE '{month}-01' AND ENDS_WITH"
    return [each["jobReference"]["jobId"] for each in bodies if wanted in str(each["configuration"])]


def test_a_month_whose_ledger_was_not_reached_is_renamed_again(
    earlier: Cloud, samples: Samples, green: Source, bigquery: StandIn
) -> None:
    """The job ends between its two statements."""
    before, failures = rows(earlier, green), list[BaseException]()
    held = bigquery.faults.hold_next_job("DATE '2020-01-01' AND ENDS_WITH", after=1)
    thread = fetching(earlier, green, MONTHS[0], samples, failures)
    held.wait_until_running()
    earlier.bigquery.cancel_job(rename_job(earlier, MONTHS[0]), location=earlier.settings.location)
    thread.join(timeout=120)

    assert [type(failure) for failure in failures] == [TransientWarehouseError]
    assert [name for name, _ in names(earlier)] == ["green_tripdata_2020-01.csv", "green_tripdata_2020-02.csv.gz"]
    assert [name for name, _ in names(earlier, "load_events") if name.endswith(".gz")] == [
        f"{name}.gz" for name, _ in unpacked(green, ROWS)
    ]

    assert earlier.begin(earlier.tables(green, MONTHS[0], "again"), samples(MONTHS[0])).nothing_to_do is not None
    assert (rows(earlier, green), names(earlier)) == (before, unpacked(green, ROWS))
    assert [name for name, _ in names(earlier, "load_events") if name.endswith(".gz")] == []


def fetching(
    cloud: Cloud, source: Source, month: str, samples: Samples, failures: list[BaseException]
) -> threading.Thread:
    """Begin a load of a month; note what it fails with."""

    def fetch() -> None:
        try:
            tables = cloud.tables(source, month, f"again__{month}")
            assert cloud.begin(tables, samples(month)).nothing_to_do is not None
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    return thread


def test_a_second_load_waits_for_the_first_ones_job(
    earlier: Cloud, samples: Samples, green: Source, bigquery: StandIn
) -> None:
    create_ledger(earlier.jobs())
    before, failures = rows(earlier, green), list[BaseException]()
    client = earlier.bigquery
    second = Client(
        project=client.project,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        location=client.location,
        client_info=ClientInfo(user_agent="second-load"),
    )
    held = bigquery.faults.hold_next_job(f"DATE '{MONTHS[0]}-01' AND ENDS_WITH")
    threads = [fetching(earlier, green, MONTHS[0], samples, failures)]
    held.wait_until_running()
    threads.append(fetching(replace(earlier, bigquery=second), green, MONTHS[1], samples, failures))
    job = rename_job(earlier, MONTHS[0])
    bigquery.wait_until_answered(200, path_ending=f"/jobs/{job}", user_agent="second-load", timeout=120)
    held.release()
    for thread in threads:
        thread.join(timeout=120)

    assert failures == []
    assert renames(bigquery, MONTHS[0]) == [job]
    assert (rows(earlier, green), names(earlier)) == (before, unpacked(green, ROWS))
    assert names(earlier, "loads") == unpacked(green, 2)
    assert labels(earlier) == {"team": "x", "taxiway_filename": "unpacked"}


def test_no_statement_reads_more_than_one_month(
    earlier: Cloud, samples: Samples, green: Source, bigquery: StandIn
) -> None:
    """So the limit of what a query may bill doesn't have to suffice for the whole table."""
    bigquery.forget_requests()
    assert earlier.begin(earlier.tables(green, MONTHS[0], "again"), samples(MONTHS[0])).nothing_to_do is not None

    queries = [str((each.body or {}).get("configuration")) for each in bigquery.requests if each.method == "POST"]
    reading = [each for each in queries if f"{earlier.settings.dataset_name}.green_tripdata`" in each]
    # Two months are renamed, and one is compared with the ledger.
    (unrecorded,) = [each for each in reading if "source_month = " not in each]
    assert len(reading) == 4
    # Months that the ledger doesn't know have no rows here.
    asked = [month for month in ("2019-12", *MONTHS, "2020-03") if f"DATE '{month}-01'" in unrecorded]
    assert asked == ["2019-12", "2020-03"]


@pytest.mark.parametrize("deleted", ["TRUE", "month = DATE '2020-02-01'"], ids=["the whole ledger", "a month"])
def test_months_that_were_deleted_from_the_ledger_are_renamed_too(
    deleted: str, earlier: Cloud, samples: Samples, green: Source
) -> None:
    before = rows(earlier, green)
    earlier.query(f"DELETE FROM `$taxi.load_events` WHERE {deleted}")

    tables = earlier.tables(green, MONTHS[0], "again")
    earlier.begin(tables, samples(MONTHS[0]))
    earlier.opened(tables).prepare()

    assert (rows(earlier, green), names(earlier)) == (before, unpacked(green, ROWS))


def test_the_ledger_of_a_table_that_is_gone_is_renamed_when_it_is_made_again(
    earlier: Cloud, samples: Samples, green: Source
) -> None:
    earlier.query("DROP TABLE `$taxi.green_tripdata`")

    assert earlier.load(green, MONTHS[0], samples(MONTHS[0]), "again") == Counts(ROWS, 0, 0)

    assert names(earlier) == unpacked(green, ROWS)[:1]
    assert names(earlier, "loads") == [
        (name, count) for (name, _), count in zip(unpacked(green, 0), (2, 1), strict=True)
    ]


def test_labels_are_written_again_if_somebody_has_changed_the_table_meanwhile(
    earlier: Cloud, samples: Samples, green: Source, bigquery: StandIn
) -> None:
    bigquery.faults.answer("412", method="PATCH", path_containing="/tables/green_tripdata")

    assert earlier.begin(earlier.tables(green, MONTHS[0], "again"), samples(MONTHS[0])).nothing_to_do is not None

    assert labels(earlier) == {"team": "x", "taxiway_filename": "unpacked"}


def test_it_is_brought_over_for_a_source_that_has_gained_a_column_too(
    earlier: Cloud, samples: Samples, green: Source
) -> None:
    before = rows(earlier, green)
    gained = Column("a_toll", "a_toll", "numeric", "US dollars", since=Month(2021, 7))
    source = replace(green, columns=(*green.columns, gained))

    assert earlier.begin(earlier.tables(source, MONTHS[0], "again"), samples(MONTHS[0])).nothing_to_do is not None

    assert (rows(earlier, green), names(earlier)) == (before, unpacked(green, ROWS))
    assert earlier.query("SELECT COUNT(a_toll) FROM `$taxi.green_tripdata`") == [(0,)]


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
