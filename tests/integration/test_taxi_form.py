"""The DAG taxi in a real Airflow: each source into each warehouse, refusals, runs at once; and the web UI's forms."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.loads.row_identity import digest, unique_row_ids
from taxiway.orchestration.taxi_conf import taxi_conf
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_sources
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_months
from tests.cloud_loading import Cloud
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import PATIENCE, one_home, wait_until
from tests.integration.gcp_airflow import gcp_airflow, stand_ins
from tests.integration.scheduled import Scheduled
from tests.loading import ids, specified_ids

ROWS = 40
RUNS_OF_DAGS = Path(__file__).with_name("runs_of_dags.py")
SOURCES = load_sources(SOURCES_FOLDER)
BOTH = ("postgres", "bigquery")
MORE = {"green": [Month(2019, number) for number in range(2, 8)], "yellow": [Month(2019, 2)]}
"""The months of the tests that need a month of their own; every source has its first one."""


@dataclass
class Form(Scheduled):
    """Airflow whose DAGs load into Postgres and into the stand-in for BigQuery.

    :param mirror: the folder that the mirror serves
    """

    cloud: Cloud
    mirror: Path

    def path(self, source: Source, month: Month) -> Path:
        return self.mirror / source.file_path(month)

    def start(self, *runs: list[Any]) -> subprocess.Popen[str]:
        """Run DAGs one after another in a process of their own, by ``dags test``."""
        return self.taxi.airflow.popen(str(self.taxi.airflow.home / "dags"), json.dumps(runs), program=RUNS_OF_DAGS)

    def run(self, *runs: list[Any]) -> str:
        """Run DAGs, all of which must succeed, and return what they said."""
        process = self.start(*runs)
        said, _ = process.communicate(timeout=PATIENCE * 900)
        assert process.returncode == 0, said[-5000:]
        return said

    def tasks(self, run_id: str) -> dict[str, str]:
        """Return the states of a run's tasks."""
        statement = "SELECT task_id, state FROM task_instance WHERE run_id = %s"
        return dict(self.taxi.airflow.query(statement, run_id))

    def log(self, run_id: str) -> str:
        """Return what a run's tasks have logged, as plain text."""
        lines = []
        for path in (self.taxi.airflow.home / "logs").rglob(f"*run_id={run_id}/**/*.log"):
            lines += [str(json.loads(line)) for line in path.read_text().splitlines()]
        return "\n".join(lines)

    def ledger(self, source: str) -> list[tuple[str, str, str]]:
        """Return month, run and state of each attempt to load a source into Postgres."""
        statement = f"SELECT month::text, run_id, state FROM taxiway.loads WHERE source = '{source}' ORDER BY load_id"
        return self.taxi.query(statement)

    def events(self, asset: str) -> list[tuple[str | None, dict[str, Any]]]:
        """Return partition key and extra of an Asset's events."""
        statement = (
            "SELECT partition_key, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id WHERE name = %s"
        )
        return self.taxi.airflow.query(statement, asset)

    def ids(self, source: Source, path: Path) -> list[str]:
        with self.taxi.connect() as connection:
            return ids(connection, source, path.name)


@pytest.fixture(scope="module")
def form(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    _bigquery_server: StandIn,
    _cloud_storage_server: CloudStorage,
) -> Iterator[Form]:
    folder = tmp_path_factory.mktemp("form")
    mirror = folder / "mirror"
    for source in SOURCES:
        write_sample_months([source], [source.first_month, *MORE.get(source.name, [])], mirror, rows=ROWS)
    with serve(mirror) as server, pytest.MonkeyPatch.context() as patch:
        cloud = stand_ins(_bigquery_server, _cloud_storage_server)
        taxi = gcp_airflow(postgres_server, one_home(), server.address, cloud)
        _bigquery_server.faults.polls_until_done = 1
        try:
            patch.setenv("BIGQUERY_EMULATOR_HOST", _bigquery_server.url)
            patch.setenv("STORAGE_EMULATOR_HOST", _cloud_storage_server.url)
            taxi.use_dag_files(*(ROOT / "dags" / f"{name}.py" for name in ("taxi", "taxi_gcp")))
            taxi.airflow.succeed("dags", "reserialize")
            yield Form(taxi, Cloud.connect().set_up(), mirror)
        finally:
            taxi.close()
            _bigquery_server.reset()
            _cloud_storage_server.reset()


def golden_ids(source: Source, path: Path) -> list[str] | None:
    """The ids of a file as the specification has them; None for Parquet, which has tests of its own."""
    if path.suffix == ".csv":
        _, *rows = csv.reader(path.read_text().splitlines())
        return list(unique_row_ids(source.columns, rows))
    return specified_ids(source, path) if path.suffix == ".gz" else None


def conf_of(source: Source, month: Month, warehouse: str) -> dict[str, Any]:
    conf: dict[str, Any] = json.loads(taxi_conf(source, month, warehouse))
    return conf


def asked(source: Source, warehouse: str) -> list[Any]:
    return ["taxi", conf_of(source, source.first_month, warehouse)]


def own_run(source: Source) -> list[Any]:
    return [f"taxi_{source.name}", {} if source.stands_alone else {"month": str(source.first_month)}]


def test_each_source_into_each_warehouse_as_its_own_dag_loads_it(form: Form) -> None:
    """Its own DAG finds the month published from the same bytes, by the rows that it would have."""
    loads = [asked(source, warehouse) for source in SOURCES for warehouse in BOTH]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(form.taxi.airflow.variables, "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
        said = form.run(*loads, *map(own_run, SOURCES))

    assert "BigQueryInsertJobTrigger" in said  # a step in a task group goes on after waiting, too
    for source in SOURCES:
        month, path = source.first_month, form.path(source, source.first_month)
        found = form.ids(source, path)
        assert len(found) == len(set(found)) > 0, source.name
        assert digest(form.cloud.ids(source, str(month))) == digest(found), source.name
        if (golden := golden_ids(source, path)) is not None:
            assert digest(found) == digest(golden), source.name
        (by_form, by_own) = form.ledger(source.name)
        assert by_form[1].startswith("taxi manual__"), source.name
        assert by_own[1].startswith("manual__"), source.name
        assert (by_form[2], by_own[2]) == ("published", "unchanged"), source.name
        # By the form, too, each load updates the Asset of the source's table, once for those who follow its month.
        keys = {None} if source.stands_alone else {str(month), None}
        for warehouse in BOTH:
            events = form.events(f"{warehouse}_{source.main_table}")
            assert {key for key, _ in events} == keys, source.name
            for key, extra in events:
                assert extra["rows"] == len(found), (source.name, key)
                assert (extra["digest"], extra["file"]) == (sha256(path.read_bytes()).hexdigest(), path.name)
            assert len(events) == len(keys), source.name
    assert form.cloud.staging_tables() == []
    assert form.taxi.query("SELECT * FROM pg_tables WHERE schemaname = 'taxiway_staging'") == []


def test_two_runs_of_one_id_and_month_at_once_load_it_once(form: Form) -> None:
    """By the form and by the source's own DAG: they share neither an attempt nor a staging table."""
    (green,) = [source for source in SOURCES if source.name == "green"]
    month, date = MORE["green"][0], datetime.now(timezone.utc).isoformat()
    both = (["taxi", conf_of(green, month, "postgres"), date], ["taxi_green", {"month": str(month)}, date])
    for process in [form.start(run) for run in both]:
        said, _ = process.communicate(timeout=PATIENCE * 600)
        assert process.returncode == 0, said[-3000:]

    entries = [entry[1:] for entry in form.ledger("green") if entry[0] == "2019-02-01"]
    names = sorted(name for name, _ in entries)
    assert names[1] == f"taxi {names[0]}"
    assert {state for _, state in entries} <= {"published", "unchanged"}
    path = form.path(green, month)
    assert digest(form.ids(green, path)) == digest(specified_ids(green, path))


def test_runs_of_the_form_in_a_scheduler(form: Form) -> None:
    (green,) = [source for source in SOURCES if source.name == "green"]
    airflow, month = form.taxi.airflow, MORE["green"][1]
    conf = {warehouse: conf_of(green, month, warehouse) for warehouse in BOTH}
    assert airflow.query("SELECT is_paused FROM dag WHERE dag_id = 'taxi'") == [(False,)]
    with airflow.services("scheduler"):
        # Both months set the comparison off, as the sources' own DAGs do.
        form.pause("taxi_compare", False)
        for warehouse in BOTH:
            form.trigger("taxi", f"into_{warehouse}", conf[warehouse])
        assert [form.ended(f"into_{warehouse}") for warehouse in BOTH] == ["success", "success"]
        done = "SELECT value FROM xcom WHERE dag_id = 'taxi_compare' AND key = 'return_value'"
        wait_until(
            lambda: [value for (value,) in airflow.query(done) if value.get("green 2019-03") == ROWS],
            timeout=180,
            what="the comparison",
        )
        form.pause("taxi_compare", True)
        states = form.tasks("into_postgres")
        assert {states[task_id] for task_id in states if task_id.startswith("bigquery.")} == {"skipped"}
        assert {states[task_id] for task_id in states if not task_id.startswith("bigquery.")} == {"success"}

        # Again: nothing to do.
        form.trigger("taxi", "again", conf["postgres"])
        assert form.ended("again") == "success"
        states = form.tasks("again")
        assert (states["postgres.download_month"], states["postgres.merge_month"]) == ("success", "skipped")
        assert form.ledger("green")[-1] == ("2019-03-01", "taxi again", "unchanged")

        # What cannot be loaded is refused: by the form, by the first task, or by the download. None of it is green.
        with pytest.raises(urllib.error.HTTPError) as refused:
            form.trigger("taxi", "of_no_year", {"year": "20x9"})
        assert refused.value.code == 400
        assert "Invalid input for param year: '20x9'" in json.load(refused.value)["detail"]
        said = airflow.run("dags", "trigger", "taxi", "-c", '{"taxi": "lime"}')
        assert said.returncode != 0
        assert "Invalid input for param taxi: 'lime' is not one of ['fhv', " in said.stdout + said.stderr
        form.trigger("taxi", "too_early", {"taxi": "green", "year": 2018, "month": "12"})
        form.trigger("taxi", "not_there", {"taxi": "green", "year": "2019", "month": "12"})
        assert form.ended("too_early") == form.ended("not_there") == "failed"
        states = form.tasks("too_early")
        assert (states.pop("choose_warehouse"), set(states.values())) == ("failed", {"upstream_failed"})
        refusal = f"green 2018-12: not available: {green.months}. Nothing was loaded: start a new run with one of these"
        assert refusal in form.log("too_early")
        # A sibling that is skipped hides no failure.
        states = form.tasks("not_there")
        assert (states["postgres.download_month"], states["bigquery.download_month"]) == ("failed", "skipped")
        assert "the answer is 404" in form.log("not_there")
        assert airflow.query("SELECT try_number FROM task_instance WHERE state = 'failed'") == [(1,), (1,)]

        # What the error of a step without input advises leads on.
        clear = {"dry_run": False, "dag_run_id": "again", "task_ids": ["postgres.stage_month"], "only_failed": False}
        airflow.rest("/dags/taxi/clearTaskInstances", "POST", {**clear, "include_downstream": True})
        assert form.ended("again") == "failed"
        (said,) = {
            line.partition("once more, run ")[2]
            for line in form.log("again").replace("\\'", "'").splitlines()
            if "postgres.stage_month: found nothing that postgres.download_month left in the run taxi again" in line
        }
        command = shlex.split(said.partition("}'")[0] + "}'")
        assert command[:5] == ["airflow", "dags", "trigger", "taxi", "-c"]
        airflow.succeed(*command[1:], "--run-id", "once_more")
        assert form.ended("once_more") == "success"
        assert form.ledger("green")[-1] == ("2019-03-01", "taxi once_more", "published")


def test_a_task_of_the_form_is_tested_alone(form: Form) -> None:
    (green,) = [source for source in SOURCES if source.name == "green"]
    conf = taxi_conf(green, MORE["green"][2], "postgres")
    done = form.taxi.airflow.run("tasks", "test", "taxi", "postgres.stage_month", "-t", conf)
    said = done.stdout + done.stderr

    assert f"run all steps with airflow dags test taxi -c '{conf}'; or make a run with airflow dags trigger" in said

    form.taxi.airflow.succeed("dags", "test", "taxi", "-c", conf)
    assert form.ledger("green")[-1][::2] == ("2019-04-01", "published")


def test_the_forms_of_a_dag_with_a_schedule(form: Form) -> None:
    """The trigger form without a month, and the backfill form, while the DAG is paused and while it isn't."""
    airflow = form.taxi.airflow
    with pytest.MonkeyPatch.context() as patch:
        # Only the runs of this test: an unpaused DAG catches up with years of months.
        patch.setitem(airflow.variables, "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE", "False")
        with airflow.services("scheduler"):
            form.pause("taxi_green", False)
            now = datetime.now(timezone.utc)
            form.trigger("taxi_green", "as_it_opens", {"month": None, "force": False}, now.isoformat())
            assert form.ended("as_it_opens") == "failed"
            said = form.log("as_it_opens")
            assert f"green {now:%Y-%m}: the run as_it_opens has no parameter month, and a logical date in" in said
            assert set(form.tasks("as_it_opens").values()) == {"failed", "upstream_failed"}
            # Each of the ways that it names leads on, the first by the form.
            ways = said.replace("\\'", "'").partition("On the command line, for example for 2019-01: ")[2].split("; ")
            command = shlex.split(ways[0])
            assert command[:5] == ["airflow", "dags", "trigger", "taxi", "-c"]
            assert airflow.run(*command[1:], "--run-id", "as_advised").returncode == 0
            assert form.ended("as_advised") == "success"

            # A run with the logical date of a month that there is loads that month.
            form.trigger("taxi_green", "of_a_date", {}, "2019-05-17T00:00:00Z")
            assert form.ended("of_a_date") == "success"
            assert form.ledger("green")[-1] == ("2019-05-01", "of_a_date", "published")

            def backfill(dag_id: str, first: str, last: str) -> int:
                body = {"dag_id": dag_id, "from_date": f"{first}T00:00:00Z", "to_date": f"{last}T23:59:59Z"}
                options = {"max_active_runs": 2, "reprocess_behavior": "none", "dag_run_conf": None}
                return int(airflow.rest("/backfills", "POST", {**body, **options})["id"])

            def completed(backfill_id: int) -> bool:
                statement = "SELECT completed_at IS NOT NULL FROM backfill WHERE id = %s"
                return bool(airflow.query(statement, backfill_id)[0][0])

            def states(backfill_id: int) -> list[str]:
                statement = "SELECT state FROM dag_run WHERE backfill_id = %s ORDER BY logical_date"
                return [state for (state,) in airflow.query(statement, backfill_id)]

            waits = backfill("taxi_yellow", "2019-01-01", "2019-02-28")
            works = backfill("taxi_green", "2019-06-01", "2019-07-31")
            wait_until(lambda: completed(works), timeout=240, what="the backfill of the web UI", interval=0.5)
            assert states(works) == ["success", "success"]
            # Of a paused DAG it waits, as the form says, and airflow dags backfill says what to do about it.
            assert states(waits) == ["queued", "queued"]
            code, refused = form.taxi.backfill("2019-01-01", "2019-02-28", "taxi_yellow")
            assert code != 0
            assert "cancel" in refused
            form.pause("taxi_yellow", False)
            wait_until(lambda: completed(waits), timeout=240, what="the backfill that has waited", interval=0.5)
            assert states(waits) == ["success", "success"]
    assert sorted(entry[::2] for entry in form.ledger("green")[-2:]) == [
        ("2019-06-01", "published"),
        ("2019-07-01", "published"),
    ]
