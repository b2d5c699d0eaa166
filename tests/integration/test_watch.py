"""taxi_watch in a scheduler: a new month and a corrected one are loaded by their runs, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from taxiway.loads.row_identity import digest
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
    with FaultyMirror() as mirror:
        taxi = TaxiAirflow.create(postgres_server, folder / "home", mirror.url)
        # Only the runs of these tests: no look of the schedule.
        taxi.airflow.variables["AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE"] = "False"
        try:
            done = taxi.airflow.run("dags", "reserialize")
            assert done.returncode == 0, done.stdout + done.stderr
            with taxi.airflow.services("scheduler"):
                found = Watched(taxi, mirror, folder / "files")
                found.pause("taxi_watch", False)
                yield found
        finally:
            taxi.close()


def test_a_warehouse_without_a_published_month_is_not_watched(watched: Watched) -> None:
    watched.trigger("taxi_watch", "too_early", {})

    assert watched.ended("too_early") == "success"
    assert set(watched.tasks("too_early").values()) == {"skipped"}
    assert watched.mirror.seen == []
    said = watched.log("too_early").replace("\\'", "'")
    assert "Postgres has no published month, so nothing is watched for it. Load a month first" in said
    assert "BigQuery isn't set up, so nothing is watched for it" in said


def test_a_month_that_is_not_published_yet_is_waited_for(watched: Watched) -> None:
    watched.load(YELLOW, BEFORE_LAST)
    last = BEFORE_LAST.next()

    decided = watched.look("not_yet")

    assert decided[f"yellow {BEFORE_LAST}"] == "unchanged"
    assert decided[f"yellow {last}"] == "waiting"
    assert watched.tasks("not_yet")["postgres.trigger"] == "skipped"
    assert f"yellow {last}: waiting: not published yet, expected by {YELLOW.due(last)}" in watched.log("not_yet")


def test_a_new_month_and_a_corrected_one_are_loaded_by_runs_of_their_own(watched: Watched) -> None:
    for number in range(2, 9):
        watched.mirror.put(f"/{GREEN.file_path(Month(2019, number))}", status(403))  # as the TLC answers
    watched.load(GREEN, JANUARY)
    decided = watched.look("nothing_new")
    assert decided["green 2019-01"] == "unchanged"
    assert {decided[f"green 2019-{number:02d}"] for number in range(2, 9)} == {"overdue"}
    assert watched.started("nothing_new") == []

    # One appears, and one is corrected. Only looking starts nothing.
    february, january = watched.publish(GREEN, FEBRUARY), watched.publish(GREEN, JANUARY, revision=1)
    decided = watched.look("only_look", only_look=True)
    assert (decided["green 2019-01"], decided["green 2019-02"]) == ("changed", "new")
    assert watched.started("only_look") == []

    # New before changed, and as many as the form says.
    decided = watched.look("one_run", most_runs=1)
    assert (decided["green 2019-01"], decided["green 2019-02"]) == ("later", "new")
    assert watched.started("one_run") == [json.loads(taxi_conf(GREEN, FEBRUARY, "postgres"))]
    assert watched.ids(GREEN, february) == digest(specified_ids(GREEN, february))

    decided = watched.look("the_other_run")
    assert (decided["green 2019-01"], decided["green 2019-02"]) == ("changed", "unchanged")
    assert watched.started("the_other_run") == [json.loads(taxi_conf(GREEN, JANUARY, "postgres"))]
    assert watched.ids(GREEN, january) == digest(specified_ids(GREEN, january))

    decided = watched.look("nothing_left")
    assert (decided["green 2019-01"], decided["green 2019-02"]) == ("unchanged", "unchanged")
    assert watched.started("nothing_left") == []


def test_the_same_bytes_with_another_tag_are_looked_at_once(watched: Watched) -> None:
    """Of a file of no month, which is watched as any other."""
    body = watched.load(ZONES, WHOLE).read_bytes()
    watched.mirror.put(f"/{ZONES.file_path(WHOLE)}", good(body, etag='"stored again"'))

    assert watched.look("another_tag")["zones 1970-01"] == "changed"
    assert watched.started("another_tag") == [json.loads(taxi_conf(ZONES, WHOLE, "postgres"))]
    last = "SELECT state, etag FROM taxiway.loads WHERE source = 'zones' ORDER BY load_id DESC LIMIT 1"
    assert watched.taxi.query(last) == [("unchanged", '"stored again"')]
    assert watched.look("known_tag")["zones 1970-01"] == "unchanged"
    assert watched.started("known_tag") == []


def test_a_paused_dag_is_named_with_the_way_out(watched: Watched) -> None:
    month = Month(2019, 11)
    watched.load(FHV, month)
    watched.publish(FHV, month, revision=1)
    watched.pause("taxi", True)

    assert watched.look("of_a_paused_dag", "failed")[f"fhv {month}"] == "changed"
    said = watched.log("of_a_paused_dag")
    assert "and the DAG taxi is paused" in said
    commands = [["dags", "unpause", "taxi"], ["dags", "trigger", "taxi_watch"]]
    for command in commands:
        assert " ".join(command) in said
    done = watched.taxi.airflow.run(*commands[0], "-y")
    assert done.returncode == 0, done.stdout + done.stderr
    assert watched.look("of_an_unpaused_dag")[f"fhv {month}"] == "changed"
    assert len(watched.started("of_an_unpaused_dag")) == 1


def test_a_file_that_is_gone_stays_loaded_and_a_mirror_without_an_answer_is_asked_again(watched: Watched) -> None:
    gone, silent = Month(2020, 1), Month(2020, 2)
    path = watched.load(GREEN, gone)
    watched.load(GREEN, silent)
    watched.mirror.put(f"/{GREEN.file_path(gone)}", status(404))
    watched.mirror.put(f"/{GREEN.file_path(silent)}", status(500))

    decided = watched.look("gone")

    assert (decided["green 2020-01"], decided["green 2020-02"]) == ("vanished", "unknown")
    assert watched.ids(GREEN, path) == digest(specified_ids(GREEN, path))
    assert watched.started("gone") == []
