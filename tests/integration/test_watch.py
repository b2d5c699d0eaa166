"""taxi_watch in a scheduler: a new month and a corrected one are loaded by their runs, and nothing else is.

taxi_maintenance in the same one: what nobody needs is deleted, and what loads decide by stays.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import pytest

from taxiway.loads.load import run_name
from taxiway.loads.row_identity import digest
from taxiway.messages import counted
from taxiway.orchestration.taxi_conf import taxi_conf
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import load_source
from tests.conftest import PostgresServer
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.watched import Watched
from tests.loading import specified_ids
from tests.mirror_faults import FaultyMirror, good, status

GREEN, YELLOW, FHV, ZONES = (
    load_source(SOURCES_FOLDER / f"{name}.yaml") for name in ("green", "yellow", "fhv", "zones")
)
JANUARY, FEBRUARY = Month(2019, 1), Month(2019, 2)
BEFORE_LAST = YELLOW.month_of(datetime.now(timezone.utc)).previous().previous()
"""The month behind it is over, and its file not due."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watch")
    with FaultyMirror() as mirror, TaxiAirflow.create(postgres_server, folder / "home", mirror.url) as taxi:
        # Only the runs of these tests: no look of the schedule.
        taxi.airflow.variables["AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE"] = "False"
        taxi.airflow.variables["AIRFLOW_CONN_AIRFLOW_DB"] = json.dumps(
            {
                "conn_type": "postgres",
                "login": "postgres",
                "schema": taxi.airflow.database,
                "extra": {
                    "sqlalchemy_query": {"host": str(taxi.airflow.metadata.server.get_postmaster_info().socket_dir)}
                },
            }
        )
        taxi.airflow.succeed("dags", "reserialize")
        with taxi.airflow.services("scheduler"):
            found = Watched(taxi, mirror, folder / "files")
            found.pause("taxi_watch", False)
            yield found


def test_a_warehouse_without_a_published_month_is_not_watched(watched: Watched) -> None:
    watched.trigger("taxi_watch", "too_early", {})

    assert watched.ended("too_early") == "success"
    assert set(watched.tasks("too_early").values()) == {"skipped"}
    assert watched.mirror.seen == []
    said = watched.log("too_early").replace("\\'", "'")
    assert "Postgres has no published month, so nothing is watched for it. Load a month first" in said
    assert "BigQuery isn't set up, so nothing is watched for it" in said


def of_three(decided: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(decided[name] for name in ("green 2019-01", "green 2019-02", "zones 1970-01"))


def test_new_and_changed_files_are_loaded_by_runs_of_their_own(watched: Watched) -> None:
    """A new month, a corrected one, and the same bytes with another tag, of a file of no month."""
    for number in range(2, 9):
        watched.mirror.put(f"/{GREEN.file_path(Month(2019, number))}", status(403))  # as the TLC answers
    watched.load(GREEN, JANUARY)
    watched.load(YELLOW, BEFORE_LAST)
    zones = watched.load(ZONES, WHOLE).read_bytes()
    decided = watched.look("nothing_new")
    assert (decided["green 2019-01"], decided["zones 1970-01"]) == ("unchanged", "unchanged")
    assert {decided[f"green 2019-{number:02d}"] for number in range(2, 9)} == {"overdue"}
    assert watched.started("nothing_new") == []
    # A month that isn't published yet is waited for.
    last = BEFORE_LAST.next()
    assert (decided[f"yellow {BEFORE_LAST}"], decided[f"yellow {last}"]) == ("unchanged", "waiting")
    assert watched.tasks("nothing_new")["postgres.trigger"] == "skipped"
    assert f"yellow {last}: waiting: not published yet, expected by {YELLOW.due(last)}" in watched.log("nothing_new")

    # One appears, and two change. Only looking starts nothing. Loads were cut off: a run has ended, and one is gone.
    february, january = watched.publish(GREEN, FEBRUARY), watched.publish(GREEN, JANUARY, revision=1)
    watched.mirror.put(f"/{ZONES.file_path(WHOLE)}", good(zones, etag='"stored again"'))
    watched.taxi.begin(GREEN, FEBRUARY, february, "failed")
    watched.taxi.begin(GREEN, JANUARY, january, None)
    decided = watched.look("only_look", only_look=True)
    assert of_three(decided) == ("changed", "new", "changed")
    assert watched.started("only_look") == []

    # New before changed, and as many as the form says.
    decided = watched.look("one_run", most_runs=1)
    assert of_three(decided) == ("later", "new", "later")
    assert watched.started("one_run") == [json.loads(taxi_conf(GREEN, FEBRUARY, "postgres"))]
    assert watched.ids(GREEN, february) == digest(specified_ids(GREEN, february))

    decided = watched.look("other_runs")
    assert of_three(decided) == ("changed", "unchanged", "changed")
    expected = [json.loads(taxi_conf(*each, "postgres")) for each in ((GREEN, JANUARY), (ZONES, WHOLE))]
    assert sorted(watched.started("other_runs"), key=str) == sorted(expected, key=str)
    assert watched.ids(GREEN, january) == digest(specified_ids(GREEN, january))
    of_zones = "SELECT state, etag FROM taxiway.loads WHERE source = 'zones' ORDER BY load_id DESC LIMIT 1"
    assert watched.taxi.query(of_zones) == [("unchanged", '"stored again"')]

    decided = watched.look("nothing_left")
    assert of_three(decided) == ("unchanged", "unchanged", "unchanged")
    assert watched.started("nothing_left") == []


def test_a_paused_dag_is_named_with_the_way_out(watched: Watched) -> None:
    """Meanwhile, a file that is gone stays loaded, and a mirror that doesn't answer is asked again."""
    month, gone, silent = Month(2019, 11), Month(2020, 1), Month(2020, 2)
    watched.load(FHV, month)
    watched.publish(FHV, month, revision=1)
    path = watched.load(GREEN, gone)
    watched.load(GREEN, silent)
    watched.mirror.put(f"/{GREEN.file_path(gone)}", status(404))
    watched.mirror.put(f"/{GREEN.file_path(silent)}", status(500))
    watched.pause("taxi", True)

    assert watched.look("of_a_paused_dag", "failed")[f"fhv {month}"] == "changed"
    said = watched.log("of_a_paused_dag")
    assert "and the DAG taxi is paused" in said
    commands = [["dags", "unpause", "taxi"], ["dags", "trigger", "taxi_watch"]]
    for command in commands:
        assert " ".join(command) in said
    watched.taxi.airflow.succeed(*commands[0], "-y")
    decided = watched.look("of_an_unpaused_dag")
    assert decided[f"fhv {month}"] == "changed"
    assert (decided["green 2020-01"], decided["green 2020-02"]) == ("vanished", "unknown")
    assert watched.started("of_an_unpaused_dag") == [json.loads(taxi_conf(FHV, month, "postgres"))]
    assert watched.ids(GREEN, path) == digest(specified_ids(GREEN, path))


# --- taxi_maintenance


def cleared_up(watched: Watched, run_id: str, **conf: bool) -> dict[str, Any]:
    """Let taxi_maintenance run; return what its tasks have counted, and how the others ended."""
    watched.trigger("taxi_maintenance", run_id, conf)
    assert watched.ended(run_id) == "success"
    of_run = "dag_id = 'taxi_maintenance' AND run_id = %s"
    counts = watched.taxi.airflow.query(
        f"SELECT task_id, value FROM xcom WHERE {of_run} AND key = 'return_value'", run_id
    )
    states = watched.taxi.airflow.query(f"SELECT task_id, state FROM task_instance WHERE {of_run}", run_id)
    return {**dict(states), **dict(counts)}


def test_what_nobody_needs_is_deleted_and_what_loads_need_stays(watched: Watched) -> None:
    taxi = watched.taxi
    watched.pause("taxi_maintenance", False)
    months = "SELECT source, month, last_state, sha256, row_count FROM taxiway.months ORDER BY 1, 2"
    before = taxi.query(months)
    assert before
    left = run_name("green", JANUARY, "taxi first__green__2019-01")
    with taxi.connect() as connection:
        connection.execute(
            "UPDATE taxiway.loads SET started_at = started_at - interval '800 days', "
            "finished_at = finished_at - interval '800 days'"
        )
        connection.execute(f"CREATE TABLE taxiway_staging.{left} AS SELECT 1 AS x")
        connection.execute(
            "INSERT INTO taxiway.rejected_rows (load_id, source, month, line_number, raw_line, reason) "
            "SELECT load_id, source, month, 2, 'x', 'odd' FROM taxiway.loads JOIN taxiway.months "
            "USING (source, month, destination) WHERE loads.sha256 <> months.sha256 LIMIT 1"
        )
    age = "UPDATE dag_run SET start_date = start_date - interval '400 days' WHERE run_id = 'too_early'"
    taxi.airflow.query(age)
    cached = next((taxi.airflow.home / "cache").rglob("fhv_tripdata_2019-11.csv.gz"))
    os.utime(cached, (time.time() - 181 * 86400,) * 2)

    attempts = len(taxi.query("SELECT 1 FROM taxiway.loads"))
    superseded = attempts - len(
        taxi.query(
            "SELECT 1 FROM taxiway.loads JOIN taxiway.months USING (source, month, destination) "
            "WHERE loads.sha256 = months.sha256"
        )
    )
    assert superseded

    # Whatever is kept longer, as the Variable says, stays.
    longer = json.dumps({"cache": 3650, "rejected_rows": 3650, "loads": 3650, "airflow": 3650})
    taxi.airflow.rest("/variables", "POST", {"key": "taxiway_retention", "value": longer})
    found = cleared_up(watched, "kept_longer", dry_run=True)
    assert found["postgres.trim"] == {"staging": 1, "rejected_rows": 0, "attempts": 0}
    assert (found["trim_cache"], found["clean_metadata"]) == (0, 0)
    taxi.airflow.query("DELETE FROM variable WHERE key = 'taxiway_retention'")

    for run_id, dry_run in (("would_be_deleted", True), ("deleted", False)):
        found = cleared_up(watched, run_id, dry_run=dry_run)

        assert found["postgres.trim"] == {"staging": 1, "rejected_rows": 1, "attempts": superseded}
        said = watched.log(run_id, "taxi_maintenance").replace("\\'", "'")
        done = "would be deleted" if dry_run else "deleted"
        rows = counted(found["clean_metadata"], "row")
        assert f"Airflow's metadata: {done}, with what depends on it: {rows} older than 365 days" in said
        for text in (
            f"{done}: what 1 run left in the staging area; 1 rejected row older than 180 days; "
            f"{counted(superseded, 'attempt')} older than 730 days",
            f"{taxi.airflow.home / 'cache'}: {done}: 1 file, unused for 180 days",
        ):
            assert text in said
        assert found["bigquery.trim"] == "skipped"
        assert found["trim_cache"] == 1
        assert int(found["clean_metadata"]) > 0
        assert cached.exists() == dry_run
        assert bool(taxi.airflow.query("SELECT 1 FROM dag_run WHERE run_id = 'too_early'")) == dry_run
        assert bool(taxi.query(f"SELECT 1 FROM pg_tables WHERE tablename = '{left}'")) == dry_run
        assert len(taxi.query("SELECT 1 FROM taxiway.rejected_rows")) == int(dry_run)
        assert len(taxi.query("SELECT 1 FROM taxiway.loads")) == attempts - (0 if dry_run else superseded)
        assert taxi.query(months) == before
