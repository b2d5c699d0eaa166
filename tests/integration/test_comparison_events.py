"""What sets the comparison off, in a real scheduler: orders of events, corrections, pauses, many months, reruns.

The loads' steps publish months without Airflow, and their events come through its REST API: as many as a test needs.
The last test is that of decisions 14 and 24: what Airflow does with the same events if assets are partitioned.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.loads.load import Load
from taxiway.orchestration.assets import announce, asset_of
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import PATIENCE, wait_until
from tests.integration.gcp_airflow import gcp_airflow, stand_ins
from tests.integration.taxi_airflow import TaxiAirflow
from tests.loading import lines_of, load

DAGS = Path(__file__).with_name("partitioned_dags")
EVENTS_PROGRAM = Path(__file__).with_name("many_asset_events.py")
BOTH = ("postgres", "bigquery")
OLD = "2019-12"
"""A month whose event comes before the comparison."""

SETTLED = "2019-11"
"""A month that both warehouses hold from the start."""

MANY = [f"{year}-{number:02d}" for year in range(1971, 2014) for number in range(1, 13)]
"""More months than Airflow's scheduler looks at in a round, which is 500."""

ROWS = 20
RUNS = map("manual__{}".format, itertools.count(1))


@pytest.fixture(scope="module")
def green() -> Source:
    """Green taxis as the operators read them: with the columns of later months, too."""
    return load_source(SOURCES_FOLDER / "green.yaml")


@dataclass
class Comparing:
    """Airflow with ``taxi_compare``, and both warehouses.

    :param taxi: Airflow and Postgres
    :param cloud: BigQuery
    :param folder: where files of months are written
    :param asset_ids: by the assets' names
    """

    taxi: TaxiAirflow
    cloud: Cloud
    source: Source
    folder: Path
    asset_ids: dict[str, int]

    def file(self, month: str, revision: int) -> Path:
        path = self.folder / str(revision) / self.source.download_name(Month.parse(month))
        if not path.exists():
            write_sample_month(self.source, Month.parse(month), path, rows=ROWS, revision=revision)
        return path

    def rows(self, month: str, revision: int) -> int:
        return len(lines_of(self.file(month, revision))) - 1

    def load(self, warehouse: str, month: str, revision: int = 0) -> None:
        """Publish a month, by the steps of a load."""
        if warehouse == "postgres":
            with self.taxi.connect() as connection:
                load(connection, self.source, month, self.file(month, revision), run_id=next(RUNS))
        else:
            self.cloud.load(self.source, month, self.file(month, revision), run_id=next(RUNS))

    def announce(self, warehouse: str, month: str) -> None:
        """Say that a month was published, as the task does that publishes."""
        asset = asset_of(warehouse, self.source)
        self.event(asset.name, extra=said_of(asset, warehouse, self.source, month))

    def publish(self, warehouse: str, month: str, revision: int = 0) -> None:
        """Load a month, and say so."""
        self.load(warehouse, month, revision)
        self.announce(warehouse, month)

    def event(self, asset_name: str, **body: Any) -> None:
        """Let an asset have an event."""
        self.taxi.airflow.rest("/assets/events", "POST", {"asset_id": self.asset_ids[asset_name], **body})

    def pause(self, paused: bool, *dag_ids: str) -> None:
        for dag_id in dag_ids:
            self.taxi.airflow.rest(f"/dags/{dag_id}", "PATCH", {"is_paused": paused})

    def last_run(self) -> int:
        return int(self.taxi.airflow.query("SELECT coalesce(max(id), 0) FROM dag_run")[0][0])

    def compared_after(self, last_run: int) -> dict[str, int]:
        """Wait until Airflow has nothing left to compare; return rows of the months that runs after this one compared.

        A month may be compared twice: an event that comes between a run's first event and the run is compared by the
        run, and again by the next one.
        """
        unfinished = (
            "SELECT 1 FROM asset_dag_run_queue WHERE target_dag_id = 'taxi_compare' UNION ALL "
            "SELECT 1 FROM dag_run WHERE dag_id = 'taxi_compare' AND state IN ('queued', 'running')"
        )
        wait_until(lambda: not self.taxi.airflow.query(unfinished), timeout=180, what="the comparisons to end")
        runs = self.runs(last_run)
        assert {state for _, state, _ in runs} <= {"success"}
        return {title: rows for _, _, agreed in runs for title, rows in (agreed or {}).items()}

    def runs(self, last_run: int) -> list[tuple[str, str, dict[str, int] | None]]:
        """Id and state of the comparisons after a run, and what each returned; None if its task was skipped."""
        return self.taxi.airflow.query(
            "SELECT dag_run.run_id, state, value FROM dag_run LEFT JOIN xcom ON xcom.dag_run_id = dag_run.id"
            " AND key = 'return_value' WHERE dag_run.dag_id = 'taxi_compare' AND dag_run.id > %s ORDER BY dag_run.id",
            last_run,
        )

    def logs(self) -> str:
        folder = self.taxi.airflow.home / "logs" / "dag_id=taxi_compare"
        return "\n".join(path.read_text() for path in folder.rglob("*.log"))

    def unsaid(self, *texts: str) -> list[str]:
        """Return the texts that the logs lack: what a task says may arrive there after its run has ended."""
        deadline = time.monotonic() + PATIENCE * 10
        while True:
            logs = self.logs()
            unsaid = [text for text in texts if text not in logs]
            if not unsaid or time.monotonic() > deadline:
                return unsaid
            time.sleep(0.1)


def said_of(asset: Asset, warehouse: str, source: Source, month: str) -> Any:
    """What the event of a load says."""
    outlets = OutletEventAccessors()
    published = {"rows": ROWS, "rejected": 0, "digest": "0" * 64}
    announce({"outlet_events": outlets}, warehouse, Load(source, Month.parse(month), "x"), published)
    return outlets[asset].extra


@pytest.fixture(scope="module")
def comparing(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    _bigquery_server: StandIn,
    _cloud_storage_server: CloudStorage,
    green: Source,
) -> Iterator[Comparing]:
    folder = tmp_path_factory.mktemp("comparing")
    taxi = gcp_airflow(
        postgres_server, folder / "home", "http://mirror.test", stand_ins(_bigquery_server, _cloud_storage_server)
    )
    taxi.use_dag_files(ROOT / "dags" / "taxi_gcp.py", *DAGS.glob("*.py"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BIGQUERY_EMULATOR_HOST", _bigquery_server.url)
            patch.setenv("STORAGE_EMULATOR_HOST", _cloud_storage_server.url)
            cloud = Cloud.connect().set_up()
            done = taxi.airflow.run("dags", "reserialize")
            assert done.returncode == 0, done.stdout + done.stderr
            asset_ids = dict(taxi.airflow.query("SELECT name, id FROM asset"))
            with taxi.airflow.services("scheduler"):
                comparing = Comparing(taxi, cloud, green, folder, asset_ids)
                comparing.announce("postgres", OLD)
                # What was published before is none of its business, as for a DAG that comes later.
                taxi.airflow.query("UPDATE dag_schedule_asset_reference SET created_at = now()")
                for warehouse in BOTH:
                    comparing.load(warehouse, SETTLED)
                comparing.pause(False, "taxi_compare")
                yield comparing
    finally:
        taxi.close()
        _bigquery_server.reset()
        _cloud_storage_server.reset()


def test_months_are_compared_in_any_order(comparing: Comparing) -> None:
    start = comparing.last_run()
    comparing.publish("postgres", "2019-01")
    assert "green 2019-01" not in comparing.compared_after(start)
    assert comparing.unsaid("green 2019-01: not published in BigQuery") == []
    # The month's second event, another month the other way round, and a month that only one warehouse gets.
    comparing.publish("bigquery", "2019-02")
    comparing.publish("bigquery", "2019-01")
    comparing.publish("bigquery", "2019-04")
    comparing.publish("postgres", "2019-02")
    # Both at once.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(comparing.publish, BOTH, ("2019-03", "2019-03")))

    found = comparing.compared_after(start)
    assert [found.get(f"green 2019-0{number}") for number in (1, 2, 3, 4)] == [ROWS, ROWS, ROWS, None]
    assert comparing.unsaid("green 2019-04: not published in Postgres") == []
    # Events from before the comparison was there set nothing off.
    assert comparing.taxi.airflow.query("SELECT 1 FROM asset_event WHERE extra ->> 'month' = %s", OLD)
    assert f"green {OLD}" not in comparing.logs()


def test_a_correction_on_one_side_is_said_to_wait_for_the_other(comparing: Comparing) -> None:
    month = "2019-05"
    for warehouse in BOTH:
        comparing.load(warehouse, month)

    start = comparing.last_run()
    comparing.publish("postgres", month, revision=1)
    assert f"green {month}" not in comparing.compared_after(start)
    assert comparing.unsaid(f"green {month}: waits until both have published the same file") == []
    comparing.publish("bigquery", month, revision=1)
    assert comparing.compared_after(start)[f"green {month}"] == comparing.rows(month, 1)

    # What the comparison's error advises: one of them loads the same file again, and it is compared at once.
    start = comparing.last_run()
    comparing.announce("bigquery", month)
    assert comparing.compared_after(start)[f"green {month}"] == comparing.rows(month, 1)


def test_months_published_during_a_pause_are_compared_by_the_next_run(comparing: Comparing) -> None:
    start = comparing.last_run()
    comparing.load("postgres", "2019-06")
    comparing.pause(True, "taxi_compare")
    for warehouse, month in (("bigquery", "2019-06"), ("bigquery", "2019-07"), ("postgres", "2019-07")):
        comparing.publish(warehouse, month)
    comparing.pause(False, "taxi_compare")
    assert (comparing.compared_after(start), comparing.runs(start)) == ({}, [])

    comparing.announce("postgres", SETTLED)
    found = comparing.compared_after(start)
    assert [found.get(f"green {month}") for month in ("2019-06", "2019-07", SETTLED)] == [ROWS] * 3


def test_of_many_months_none_is_lost(comparing: Comparing) -> None:
    start = comparing.last_run()
    asset = asset_of("postgres", comparing.source)
    extras = json.dumps([said_of(asset, "postgres", comparing.source, month) for month in [*MANY, SETTLED]])
    program = comparing.taxi.airflow.popen(asset.name, extras, program=EVENTS_PROGRAM)
    output, _ = program.communicate(timeout=PATIENCE * 120)
    assert program.returncode == 0, output

    assert comparing.compared_after(start)[f"green {SETTLED}"] == ROWS
    assert comparing.unsaid(*(f"green {month}: not published in Postgres and BigQuery" for month in MANY)) == []


def test_a_comparison_that_is_cleared_compares_its_months_again(comparing: Comparing) -> None:
    month = "2019-10"
    for warehouse in BOTH:
        comparing.load(warehouse, month)
    start = comparing.last_run()
    comparing.announce("postgres", month)
    assert comparing.compared_after(start)[f"green {month}"] == ROWS
    for warehouse in BOTH:
        comparing.load(warehouse, month, revision=1)

    (run,) = comparing.runs(start)
    body = {"dry_run": False, "only_failed": False, "dag_run_id": run[0]}
    comparing.taxi.airflow.rest("/dags/taxi_compare/clearTaskInstances", "POST", body)
    assert comparing.compared_after(start)[f"green {month}"] == comparing.rows(month, 1)
    assert len(comparing.runs(start)) == 1


def test_why_the_comparison_is_not_set_off_by_partitioned_assets(comparing: Comparing) -> None:
    """If this fails with a later Airflow, decisions 14 and 24 can be taken again."""
    airflow = comparing.taxi.airflow
    names = {warehouse: asset_of(warehouse, comparing.source).name for warehouse in BOTH}

    def event(warehouse: str, month: str) -> None:
        comparing.event(names[warehouse], partition_key=month)

    def keys(dag_id: str) -> list[str]:
        """The keys of a DAG's runs, once the scheduler has seen all events so far."""
        statement = "SELECT partition_key FROM dag_run WHERE dag_id = %s ORDER BY id"

        def rounds() -> int:
            return len(airflow.query(statement, "scheduler_is_awake"))

        # In a round it looks at partitioned assets first: what comes after that look is seen in the next round.
        for _ in range(2):
            before = rounds()
            comparing.event("wake_up")
            wait_until(lambda before=before: rounds() > before, timeout=60, what="the scheduler")  # type: ignore[misc]
        return [row[0] for row in airflow.query(statement, dag_id)]

    def pending(dag_id: str) -> list[str]:
        """The keys that a DAG has heard of, and that have no run."""
        statement = (
            "SELECT partition_key FROM asset_partition_dag_run"
            " WHERE target_dag_id = %s AND created_dag_run_id IS NULL ORDER BY id"
        )
        return [row[0] for row in airflow.query(statement, dag_id)]

    def run(**body: Any) -> None:
        """Let a load publish months, by a run that has a logical date."""
        run_id = airflow.rest("/dags/publish_months/dagRuns", "POST", body)["dag_run_id"]
        statement = "SELECT 1 FROM dag_run WHERE run_id = %s AND state = 'success' AND partition_key IS NULL"
        wait_until(lambda: airflow.query(statement, run_id), timeout=120, what="months to be published")

    # A year that Airflow rolls up: a run with the twelfth month. One that changes later waits for the other eleven.
    for number in range(1, 12):
        comparing.event("published_month", partition_key=f"2019-{number:02d}")
    assert (keys("when_year"), pending("when_year")) == ([], ["2019"])
    comparing.event("published_month", partition_key="2019-12")
    assert (keys("when_year"), pending("when_year")) == (["2019"], [])
    comparing.event("published_month", partition_key="2019-03")
    assert (keys("when_year"), pending("when_year")) == (["2019"], ["2019"])

    # It works for what goes well: the load's run keeps its logical date, and the month is run when both have it.
    start = comparing.last_run()
    run(logical_date="2019-01-01T00:00:00Z")
    assert (keys("when_both"), pending("when_both")) == ([], ["2019-01"])
    event("bigquery", "2019-01")
    assert (keys("when_both"), pending("when_both")) == (["2019-01"], [])
    # But DAGs of users that follow the same Assets without partitions hear nothing any more.
    assert comparing.runs(start) == airflow.query("SELECT 1 FROM asset_dag_run_queue") == []

    # A month that one warehouse repairs is not compared again.
    event("postgres", "2019-01")
    assert (keys("when_both"), pending("when_both")) == (["2019-01"], ["2019-01"])
    # Two events at once have a pending run each, and neither is complete.
    with psycopg.connect(airflow.metadata.uri(airflow.database)) as lock, ThreadPoolExecutor(2) as pool:
        lock.execute("LOCK TABLE asset_partition_dag_run IN SHARE MODE")
        # Not any that waits: the scheduler may, too.
        waiting = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO asset_partition_dag_run %'"
        )
        events = [pool.submit(event, warehouse, "2019-02") for warehouse in BOTH]
        wait_until(lambda: airflow.query(waiting) == [(2,)], timeout=60, what="both events")
        lock.rollback()
        for each in events:
            each.result()
    assert (keys("when_both"), pending("when_both")) == (["2019-01"], ["2019-01", "2019-02", "2019-02"])
    # An event during a pause is lost: the month waits for it when the other warehouse has it; with either, too.
    comparing.pause(True, "when_both", "when_either")
    event("postgres", "2019-03")
    event("postgres", "2019-04")
    event("bigquery", "2019-04")
    comparing.pause(False, "when_both", "when_either")
    event("bigquery", "2019-03")
    assert "2019-03" not in keys("when_both")
    assert "2019-03" in pending("when_both")
    assert "2019-04" not in [*keys("when_both"), *keys("when_either"), *pending("when_both"), *pending("when_either")]
    # Months that never reach BigQuery hold everything up that comes after them, of other DAGs as well.
    run(logical_date="2019-05-01T00:00:00Z", conf={"months": MANY})
    event("postgres", "2019-12")
    event("bigquery", "2019-12")
    assert "2019-12" not in [*keys("when_both"), *keys("when_either")]
    assert "2019-12" in pending("when_both")
    assert "2019-12" in pending("when_either")
