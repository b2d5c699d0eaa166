"""What taxi_watch reads from the ledgers, and the table of what it decides."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.download.look import FileVersion
from taxiway.errors import DestructiveCorrectionError
from taxiway.loads.watch import Decision, Verdict
from taxiway.orchestration.operators.watch_files import WatchFilesOperator
from taxiway.orchestration.taxi_conf import taxi_conf
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import load_source
from taxiway.warehouses.postgres.published_months import PostgresMonths
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.postgres.watched_files import record_decisions
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.conftest import Connect, PostgresServer
from tests.integration.gcp_airflow import gcp_airflow, stand_ins
from tests.integration.watched import TABLE, Watched
from tests.loading import begin_load, by_hand, lines_of, load, query, source_file, write_gzip
from tests.mirror_faults import FaultyMirror

GREEN = load_source(SOURCES_FOLDER / "green.yaml")
JANUARY, FEBRUARY = Month(2019, 1), Month(2019, 2)


def test_bigquery_is_watched_by_its_own_ledger(
    tmp_path: Path,
    postgres_server: PostgresServer,
    bigquery: StandIn,
    cloud_storage: CloudStorage,
) -> None:
    """By ``dags test``: the run that a look makes is queued, and no scheduler starts it."""
    with FaultyMirror() as mirror:
        cloud = stand_ins(bigquery, cloud_storage)
        with gcp_airflow(postgres_server, tmp_path / "home", mirror.url, cloud) as taxi:
            Cloud.connect().set_up()
            watched = Watched(taxi, mirror, tmp_path / "files")
            watched.publish(GREEN, JANUARY)
            watched.publish(GREEN, FEBRUARY)
            runs = [["taxi", json.loads(taxi_conf(GREEN, JANUARY, "bigquery"))], ["taxi_watch", {}], ["taxi_watch", {}]]
            done = subprocess.run(
                [
                    sys.executable,
                    str(Path(__file__).with_name("runs_of_dags.py")),
                    str(ROOT / "dags"),
                    json.dumps(runs),
                ],
                env=taxi.airflow.variables,
                cwd=taxi.airflow.home,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
            rows = dict(taxi.query(f"{TABLE} WHERE warehouse = 'bigquery'"))
            assert (rows["green 2019-01"], rows["green 2019-02"]) == ("unchanged", "loading")
            reasons = taxi.query("SELECT reason FROM taxiway.watched_files WHERE decision = 'loading'")
            assert [reason.rpartition(" ")[2] for (reason,) in reasons] == ["queued"]
            assert taxi.query("SELECT count(*) FROM taxiway.watched_files WHERE warehouse <> 'bigquery'") == [(0,)]
            confs = taxi.airflow.query(
                "SELECT conf FROM dag_run WHERE run_id LIKE 'watch__bigquery__green__2019-02__%%'"
            )
            assert confs == [(json.loads(taxi_conf(GREEN, FEBRUARY, "bigquery")),)]


# --- What the ledger says, and the table of the decisions


def test_the_ledger_knows_each_download_of_the_published_bytes(connect: Connect, tmp_path: Path) -> None:
    connection = connect()
    months = PostgresMonths(connection)
    assert months.states(GREEN) == {}
    path = tmp_path / GREEN.download_name(JANUARY)
    write_sample_month(GREEN, JANUARY, path, rows=40)
    load(connection, GREEN, str(JANUARY), path, run_id="one")
    load(connection, GREEN, str(JANUARY), path, run_id="two")

    query(connection, "UPDATE taxiway.loads SET etag = run_id RETURNING 1")
    state = months.states(GREEN)[JANUARY]
    assert {version.etag for _, version in state.files} == {"one", "two"}
    assert state.published_at is not None

    # A correction makes them another file's.
    write_sample_month(GREEN, JANUARY, path, rows=40, revision=1)
    load(connection, GREEN, str(JANUARY), path, run_id="three")
    query(connection, "UPDATE taxiway.loads SET etag = run_id RETURNING 1")
    again = months.states(GREEN)[JANUARY]
    assert [version.etag for _, version in again.files] == ["three"]
    assert again.published_at is not None
    assert again.published_at > state.published_at


def test_the_ledger_knows_a_file_that_is_held_back(connect: Connect, tmp_path: Path) -> None:
    connection = connect()
    path = tmp_path / GREEN.download_name(JANUARY)
    write_sample_month(GREEN, JANUARY, path, rows=40)
    load(connection, GREEN, str(JANUARY), path, run_id="one")
    write_gzip(path, lines_of(path)[:21])

    with pytest.raises(DestructiveCorrectionError):
        load(connection, GREEN, str(JANUARY), path, run_id="two")
    (last,) = PostgresMonths(connection).last_loads([GREEN])["green"].values()
    assert last.is_held_back

    # What it waits for, a person may still answer.
    by_hand(connection, "UPDATE taxiway.loads SET state = 'running', finished_at = NULL WHERE state = 'failed'")
    (last,) = PostgresMonths(connection).last_loads([GREEN])["green"].values()
    assert not last.is_held_back
    assert last.loading_since(last.started_at or datetime.now(timezone.utc)) == last.started_at


@dataclass
class EndingRun:
    """What a task asks Airflow: there is one run of ``taxi``, whose load goes on, and is refused when somebody asks.

    :param connection: the warehouse
    :param path: the file that it loads
    """

    connection: psycopg.Connection[Any]
    path: Path
    name = "watch__postgres__green__2019-01__of_the_file__1"
    try_number = 1
    is_over: bool = False

    def __post_init__(self) -> None:
        tables = LoadTables(GREEN, JANUARY, f"taxi {self.name}")
        begin_load(self.connection, tables, lambda: source_file(self.path))

    def get_dr_count(self, dag_id: str, run_ids: Sequence[str], states: Sequence[str] | None = None) -> int:
        if not self.is_over:
            self.is_over = True
            with pytest.raises(DestructiveCorrectionError):
                load(self.connection, GREEN, str(JANUARY), self.path, run_id=f"taxi {self.name}")
        # The watch's own names end so, too.
        is_there = dag_id == "taxi" and run_ids[0].endswith("__1")
        return int(is_there and (states is None or "failed" in states))

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        return "failed"


def test_a_load_that_is_refused_while_the_watch_looks_is_not_tried_again(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run ends between the question to the ledger and the one to Airflow."""
    connection = connect()
    path = tmp_path / GREEN.download_name(JANUARY)
    write_sample_month(GREEN, JANUARY, path, rows=40)
    load(connection, GREEN, str(JANUARY), path, run_id="one")
    write_gzip(path, lines_of(path)[:21])
    server = connection.info.get_parameters()
    warehouse = {"host": server["host"], "login": server["user"], "schema": server["dbname"]}
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps({"conn_type": "postgres", **warehouse}))

    with FaultyMirror() as mirror:
        monkeypatch.setenv("AIRFLOW_CONN_TLC_MIRROR", mirror.url)
        mirror.put(f"/{GREEN.file_path(JANUARY)}", path.read_bytes())
        look = WatchFilesOperator(task_id="look", warehouse="postgres", only_look=True)
        look.execute({"ti": EndingRun(connection, path)})  # type: ignore[typeddict-item]

    ((decided, reason),) = query(
        connection, "SELECT decision, reason FROM taxiway.watched_files WHERE month = '2019-01-01'"
    )
    assert (decided, "The last load would delete too many published rows" in reason) == ("failed", True), reason


def test_the_table_has_the_last_look_alone(connect: Connect) -> None:
    connection = connect()
    moment = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
    there = FileVersion('"a"', None, 7)
    january = Decision(GREEN, JANUARY, Verdict.UNCHANGED, "the same", "http://mirror.test/x", there)
    february = Decision(GREEN, FEBRUARY, Verdict.GAP, "not published")
    times = (
        "SELECT month::text, decision, first_seen_at, decided_at, checked_at FROM taxiway.watched_files ORDER BY month"
    )

    record_decisions(connection, "postgres", [january, february], moment)
    record_decisions(connection, "postgres", [january, february], moment)
    record_decisions(connection, "bigquery", [january], moment)
    assert query(connection, times)[1:] == [
        ("2019-01-01", "unchanged", moment, moment, moment),
        ("2019-02-01", "gap", None, moment, moment),
    ]

    # A day later the second month isn't watched any more, and the first one has vanished.
    later = moment + timedelta(days=1)
    record_decisions(connection, "postgres", [replace(january, verdict=Verdict.VANISHED, version=None)], later)
    kept = (
        "SELECT warehouse, decision, etag, bytes, first_seen_at, decided_at FROM taxiway.watched_files ORDER BY 1 DESC"
    )
    assert query(connection, kept) == [
        ("postgres", "vanished", None, None, moment, later),
        ("bigquery", "unchanged", '"a"', 7, moment, moment),
    ]
    # The same decision once more stands since it was made first.
    record_decisions(connection, "postgres", [replace(january, verdict=Verdict.VANISHED)], later + timedelta(days=1))
    assert query(connection, kept)[0] == ("postgres", "vanished", '"a"', 7, moment, later)


@pytest.mark.parametrize("verdict", Verdict)
def test_every_decision_has_its_place_in_the_table(verdict: Verdict, connect: Connect) -> None:
    connection = connect()

    record_decisions(connection, "postgres", [Decision(GREEN, JANUARY, verdict, "why")], datetime.now(timezone.utc))

    assert query(connection, "SELECT decision FROM taxiway.watched_files") == [(verdict.value,)]
