"""Which months the comparison reads, what sets it off, and what it says of a month that a load changes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk import Asset
from airflow.sdk.api.datamodels._generated import AssetReferenceAssetEventDagRun
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.comms import AssetEventDagRunReferenceResult
from airflow.sdk.execution_time.context import OutletEventAccessors, TriggeringAssetEventsAccessor

from stand_ins.bigquery import StandIn, service_account_key
from stand_ins.cloud_storage import CloudStorage
from taxiway.compare.comparison import compare_months, require_agreement
from taxiway.errors import TransientWarehouseError
from taxiway.loads.load import Load
from taxiway.loads.published_months import Recorded
from taxiway.loads.row_identity import digest
from taxiway.orchestration.assets import announce, announced, asset_of
from taxiway.orchestration.operators.compare_months import CompareMonthsOperator
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.bigquery.published_months import BigQueryMonth, BigQueryMonths
from taxiway.warehouses.postgres.published_months import PostgresMonths
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import SETTINGS, Cloud, start_publishing
from tests.conftest import Connect
from tests.integration.airflow_environment import free_port
from tests.loading import ids, lines_of, load, specified_ids

ROWS = 30
MONTHS = ("2019-01", "2019-02")
RUNS = map("manual__{}".format, itertools.count(1))
PUBLISHED = {"rows": ROWS, "rejected": 1, "digest": "ab" * 32}

Event = tuple[Asset, dict[str, Any]]


@pytest.fixture(scope="module")
def green() -> Source:
    """Green taxis as the operators read them: with the columns of later months, too."""
    return load_source(SOURCES_FOLDER / "green.yaml")


@pytest.fixture(scope="module")
def yellow() -> Source:
    """Yellow taxis as the operators read them: with the columns of later months, too."""
    return load_source(SOURCES_FOLDER / "yellow.yaml")


def events(*published: Event) -> dict[str, Any]:
    """Airflow's context of a run that Assets have set off; Airflow has no other run."""
    found = [
        AssetEventDagRunReferenceResult(
            asset=AssetReferenceAssetEventDagRun(name=asset.name, uri=asset.uri, extra={}),
            extra=extra,
            source_task_id="merge_month",
            source_dag_id="x",
            source_run_id="manual__1",
            source_map_index=-1,
            source_aliases=[],
            timestamp=datetime(2026, 1, 1, tzinfo=timezone.utc),
        )
        for asset, extra in published
    ]
    ti = SimpleNamespace(try_number=1, get_dr_count=lambda dag_id, run_ids, states: 0)
    return {"triggering_asset_events": TriggeringAssetEventsAccessor.build(found), "ti": ti}


def about(source: str, month: str) -> dict[str, str]:
    return {"source": source, "month": month}


def test_an_event_says_which_month_it_is_about(green: Source) -> None:
    outlets = OutletEventAccessors()
    asset = announce({"outlet_events": outlets}, "bigquery", Load(green, Month(2019, 3), "x"), PUBLISHED)

    assert asset == asset_of("bigquery", green)
    file = {"file": "green_tripdata_2019-03.csv.gz"}
    assert outlets[asset].extra == {**about("green", "2019-03"), **PUBLISHED, **file}
    assert outlets[asset].partition_keys == {"2019-03", None}
    assert announced(events((asset, outlets[asset].extra))) == {"green": {"2019-03"}}
    assert announced({}) == {}
    assert announced(events((asset, about("green", "2019-03")), (asset, {"source": "green"}))) == {"green": None}
    assert announced(events((asset, {}))) == {}, "an event of somebody else's: every month is compared"


def test_an_event_of_a_file_of_no_month_has_no_partition_key() -> None:
    zones = load_source(SOURCES_FOLDER / "zones.yaml")
    outlets = OutletEventAccessors()
    asset = announce({"outlet_events": outlets}, "postgres", Load(zones, WHOLE, "x"), PUBLISHED)

    assert outlets[asset].extra["month"] == "whole"
    assert outlets[asset].partition_keys == set()


@dataclass
class Both:
    """Both warehouses, and what compares them."""

    source: Source
    postgres: psycopg.Connection[Any]
    cloud: Cloud
    bigquery: StandIn
    folder: Path

    def file(self, name: str, revision: int = 0) -> Path:
        path = self.folder / str(revision) / self.source.download_name(Month.parse(name))
        if not path.exists():
            write_sample_month(self.source, Month.parse(name), path, rows=ROWS, revision=revision)
        return path

    def rows(self, name: str, revision: int = 0) -> int:
        return len(lines_of(self.file(name, revision))) - 1

    def into_postgres(self, name: str, revision: int = 0) -> Event:
        """Load a month, and return the event of its Asset."""
        load(self.postgres, self.source, name, self.file(name, revision), run_id=next(RUNS))
        return asset_of("postgres", self.source), about(self.source.name, name)

    def into_bigquery(self, name: str, revision: int = 0) -> Event:
        """Load a month, and return the event of its Asset."""
        self.cloud.load(self.source, name, self.file(name, revision), run_id=next(RUNS))
        return asset_of("bigquery", self.source), about(self.source.name, name)

    def compare(self, *published: Event, **asked: str) -> tuple[dict[str, int], set[str]]:
        """Compare as a task does whose run these events have set off; return what agrees, and which months it read."""
        self.bigquery.forget_requests()
        operator = CompareMonthsOperator(task_id="compare", source_names=["green", "yellow"], **asked)
        agreed: dict[str, int] = operator.execute(events(*published))
        return agreed, self.read()

    def read(self) -> set[str]:
        """The months whose rows BigQuery was asked for."""
        bodies = [request.body for request in self.bigquery.requests if request.body]
        queries = [body["configuration"]["query"] for body in bodies if "query" in body.get("configuration", {})]
        return {
            parameter["parameterValue"]["value"][:7]
            for query in queries
            for parameter in query.get("queryParameters", [])
            if parameter["name"] == "month" and "FROM `taxi-project.taxi.green_tripdata`" in query["query"]
        }


@pytest.fixture
def both(
    bigquery: StandIn,
    cloud_storage: CloudStorage,
    connect: Connect,
    green: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Both:
    postgres = connect()
    parameters = postgres.info.get_parameters()
    key = json.dumps(service_account_key(bigquery.url, SETTINGS.project))
    google = {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": key}}
    warehouse = {"host": parameters["host"], "login": parameters["user"], "schema": parameters["dbname"]}
    for name, value in (
        ("AIRFLOW_VAR_GCP_PROJECT_ID", SETTINGS.project),
        ("AIRFLOW_VAR_GCP_LOCATION", SETTINGS.location),
        ("AIRFLOW_VAR_GCP_BUCKET_NAME", SETTINGS.bucket),
        ("AIRFLOW_VAR_GCP_DATASET", SETTINGS.dataset),
        ("AIRFLOW_CONN_TAXI_GCP", json.dumps(google)),
        ("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps({"conn_type": "postgres", **warehouse})),
    ):
        monkeypatch.setenv(name, value)
    return Both(green, postgres, Cloud.connect().set_up(), bigquery, tmp_path)


def test_months_that_reach_one_warehouse_after_the_other_are_each_compared_once(
    both: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, corrected = both.rows("2019-02"), both.rows("2019-02", 1)
    assert corrected != rows == ROWS
    into_postgres = [both.into_postgres(name) for name in MONTHS]
    with pytest.raises(AirflowSkipException, match="nothing to compare yet"):
        both.compare(*into_postgres)
    said = capsys.readouterr().out
    assert [name for name in MONTHS if f"green {name}: not published in BigQuery" in said] == list(MONTHS)

    # A corrected file reaches Postgres while BigQuery is at another month: it waits for its own.
    late = both.into_postgres("2019-02", 1)
    assert both.compare(both.into_bigquery("2019-01"), late) == ({"green 2019-01": ROWS}, {"2019-01"})
    assert "green 2019-02: not published in BigQuery" in capsys.readouterr().out

    with pytest.raises(AirflowSkipException):
        both.compare(both.into_bigquery("2019-02"))
    said = capsys.readouterr().out
    assert "green 2019-02: waits until both have published the same file: found in Postgres the file" in said
    assert both.compare(both.into_bigquery("2019-02", 1)) == ({"green 2019-02": corrected}, {"2019-02"})

    # By hand, or by an event that says nothing, it is every month, or the one that is asked for.
    every = {"green 2019-01": ROWS, "green 2019-02": corrected}, set(MONTHS)
    assert both.compare() == every
    assert both.compare((asset_of("postgres", both.source), {})) == every
    assert both.compare(late, source_name="green", month="2019-01") == ({"green 2019-01": ROWS}, {"2019-01"})

    # Asked by hand, different files are a difference; to the loads they aren't one yet.
    into_postgres = [both.into_postgres("2019-01", 1)]
    with pytest.raises(AirflowFailException, match=r"green 2019-01: rows: .* in Postgres, 30 in BigQuery.*older one"):
        both.compare()
    with pytest.raises(AirflowSkipException):
        both.compare(*into_postgres)
    every_other = {"green 2019-02": corrected}, {"2019-02"}
    assert both.compare((asset_of("postgres", both.source), {"source": "green"})) == every_other


def test_the_real_heads_of_2019_are_the_same_in_both(both: Both, tlc: Path, green: Source, yellow: Source) -> None:
    """Their golden ids, where there are any, else those of the specification. Of each month, one source's."""
    golden = {entry["file"]: entry for entry in json.loads((tlc / "golden_row_ids.json").read_text())["files"]}
    expected = {}
    for month, source in zip((Month(2019, number) for number in range(1, 13)), itertools.cycle((green, yellow))):
        name = f"heads/{source.file_path(month)}"
        path = tlc / name
        known = golden[name]["digest"] if name in golden else digest(specified_ids(source, path))
        load(both.postgres, source, str(month), path)
        assert digest(ids(both.postgres, source, path.name)) == known
        both.cloud.load(source, str(month), path)
        assert digest(both.cloud.ids(source, str(month))) == known
        expected[f"{source.name} {month}"] = 100

    assert both.compare()[0] == expected


def test_months_that_are_empty_in_both_are_a_difference_to_what_was_published(both: Both) -> None:
    both.into_postgres("2019-01")
    both.into_bigquery("2019-01")
    both.postgres.execute("TRUNCATE green_tripdata")
    both.postgres.commit()
    both.cloud.query("DELETE FROM `$taxi.green_tripdata` WHERE source_month = DATE '2019-01-01'")

    with pytest.raises(
        AirflowFailException,
        match=rf"^green 2019-01: Postgres holds 0 rows, its ledger has {ROWS}; BigQuery holds 0 rows, its ledger has",
    ):
        both.compare()


def test_what_the_error_advises_mends_a_value_that_was_changed_by_hand(both: Both) -> None:
    both.into_postgres("2019-01")
    both.into_bigquery("2019-01")
    both.cloud.query("UPDATE `$taxi.green_tripdata` SET fare_amount = -1 WHERE source_month = DATE '2019-01-01'")

    with pytest.raises(
        AirflowFailException,
        match=r"^green 2019-01: sum of fare_amount: .* load it again with force if its rows are wrong$",
    ):
        both.compare()

    both.into_bigquery("2019-01")
    assert both.compare() == ({"green 2019-01": ROWS}, {"2019-01"})


@dataclass(frozen=True)
class Meanwhile(BigQueryMonths):
    """BigQuery, while other things happen: one before each reading of a month."""

    happens: list[Callable[[], object]] = field(default_factory=list)

    @contextmanager
    def reading(self, source: Source, month: Month) -> Iterator[BigQueryMonth]:
        if self.happens:
            self.happens.pop(0)()
        with super().reading(source, month) as found:
            yield found


def test_a_load_that_publishes_while_months_are_compared_makes_no_difference(both: Both, connect: Connect) -> None:
    january = Month(2019, 1)
    reading = connect()
    corrected = both.rows("2019-01", 1)
    assert corrected != ROWS
    both.into_postgres("2019-01")
    both.into_bigquery("2019-01")

    # Read again, until both ledgers say what they said before.
    happens: list[Callable[[], object]] = [
        lambda: both.into_bigquery("2019-01", 1),
        lambda: both.into_postgres("2019-01", 1),
    ]
    found = compare_months(
        PostgresMonths(reading), Meanwhile(both.cloud.jobs(), happens=happens), both.source, [january]
    )
    assert (found.same, found.differences, found.unsettled) == ({"green 2019-01": corrected}, [], [])
    assert happens == []

    # Postgres is read in one state.
    with PostgresMonths(reading).reading(both.source, january) as month:
        rows = month.sums()["row_count"]
        both.into_postgres("2019-01")
        digests = month.digests()
        listed = [row_id for part in digests for row_id in month.ids(part)]
    assert rows == str(sum(count for count, _ in digests.values())) == str(len(listed)) == str(corrected)

    # BigQuery's rows are published a moment before its ledger says so.
    tables = both.cloud.tables(both.source, "2019-01", next(RUNS))
    both.cloud.ready(tables, both.file("2019-01"))
    jobs = both.cloud.jobs()
    theirs = BigQueryMonths(jobs)
    both.into_postgres("2019-01", 1)
    jobs.wait(start_publishing(jobs, tables, both.cloud.attempt(tables)).job)
    found = compare_months(PostgresMonths(reading), theirs, both.source, [january])
    assert found.differences == []
    with pytest.raises(TransientWarehouseError, match=r"^green 2019-01: rows: .*into BigQuery is under way\. Expected"):
        require_agreement([found], asked_for=False)
    # Unless its run has ended: then nobody will say so.
    with pytest.raises(AirflowFailException, match=r"^green 2019-01: rows: .* in BigQuery; .* Expected the same rows"):
        both.compare(source_name="green", month="2019-01")
    both.cloud.publish(tables)
    (difference,) = compare_months(PostgresMonths(reading), theirs, both.source, [january]).differences
    assert difference.startswith(f"green 2019-01: rows: {corrected} in Postgres, {ROWS} in BigQuery")


def test_what_goes_wrong_names_source_month_and_what_a_reader_needs(
    both: Both, bigquery: StandIn, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.into_postgres("2019-01")
    both.into_bigquery("2019-01")

    bigquery.faults.fail_next_job("accessDenied", containing="ids_digest", at_insert=True)
    with pytest.raises(AirflowFailException, match=r"^green 2019-01: compare, project") as refused:
        both.compare()
    assert "needs BigQuery Job User on the project and BigQuery Data Viewer on the dataset" in str(refused.value)
    assert "Storage" not in str(refused.value)
    assert "published" not in str(refused.value)

    both.postgres.execute("ALTER TABLE green_tripdata RENAME TO gone")
    both.postgres.commit()
    with pytest.raises(
        AirflowFailException,
        match=r"^green 2019-01: compare, connection taxi_postgres: Postgres says: relation \"public.green_tripdata\" "
        r"does not exist \(SQLSTATE 42P01\)\. Expected the month that the ledger names",
    ):
        both.compare()

    gone = {"conn_type": "postgres", "host": "127.0.0.1", "port": free_port(), "login": "x", "schema": "x"}
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps(gone))
    with pytest.raises(TransientWarehouseError, match=r"^green 2019-01: compare, connection taxi_postgres: .* refused"):
        both.compare(source_name="green", month="2019-01")


class Counted(str):
    """An id that counts how often any is looked at."""

    looks = 0

    def __hash__(self) -> int:
        Counted.looks += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        Counted.looks += 1
        return super().__eq__(other)


class ManyIds:
    """A warehouse of one month whose ids all differ from the other one's."""

    def __init__(self, name: str, mark: str) -> None:
        self.name = name
        self.list = [Counted(f"00{mark}{number:029d}") for number in range(2000)]
        self.files = itertools.repeat("sha")

    def months(self, source: Source) -> dict[Month, Recorded]:
        return {Month(2019, 1): Recorded(next(self.files), len(self.list))}

    @contextmanager
    def reading(self, source: Source, month: Month) -> Iterator[ManyIds]:
        yield self

    def is_loading(self, source: Source, month: Month) -> bool:
        return False

    def sums(self) -> dict[str, str | None]:
        return {"row_count": str(len(self.list))}

    def digests(self) -> dict[str, tuple[int, str]]:
        return {"00": (len(self.list), self.name)}

    def ids(self, part: str) -> list[Counted]:
        return self.list


def test_a_large_part_that_differs_is_looked_through_once(green: Source) -> None:
    """Counting each id by itself took minutes."""
    left, right = ManyIds("left", "a"), ManyIds("right", "b")
    right.list[-1] = right.list[0]

    Counted.looks = 0
    (said,) = compare_months(left, right, green).differences

    assert 0 < Counted.looks < 20 * len(left.list)
    assert f"right has more than one row with the id {right.list[0]}" in said


def test_a_month_that_changes_again_and_again_is_left_to_the_next_try(green: Source) -> None:
    left, right = ManyIds("left", "a"), ManyIds("right", "b")
    right.files = map(str, itertools.count())

    found = compare_months(left, right, green)

    assert (found.differences, found.unsettled) == (
        [],
        ["green 2019-01: it was published anew 3 times while it was compared"],
    )
