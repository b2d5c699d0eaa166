"""The DAGs of Google Cloud in a real Airflow, against the stand-ins: load, wait, hold back, compare, clear up."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from stand_ins.bigquery import StandIn, service_account_key
from stand_ins.cloud_storage import CloudStorage
from taxiway.loads.row_identity import digest
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month, write_sample_months
from tests.cloud_loading import SETTINGS, Cloud
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import PATIENCE, wait_until
from tests.integration.gcp_airflow import gcp_airflow, logs_of, stand_ins
from tests.integration.gcp_scenario import Expected, Scenario, sample_months, specified
from tests.integration.taxi_airflow import GREEN_DAGS, TaxiAirflow
from tests.loading import ids, lines_of, load, write_gzip

MONTHS = [Month(2019, 1), Month(2019, 2)]
ROWS = 80
OTHER_DAGS = [ROOT / "dags" / name for name in ("taxi_gcp.py", "taxi_maintenance.py")]
GREEN_AND_YELLOW_DAGS = Path(__file__).with_name("green_and_yellow_dags") / "taxi.py"
ASKING_DAGS = Path(__file__).with_name("asking_dags") / "taxi.py"


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gcp") / "home"


@pytest.fixture
def mirror_folder(tmp_path: Path, green: Source) -> Path:
    write_sample_months([green], MONTHS, tmp_path / "mirror", rows=ROWS)
    return tmp_path / "mirror"


@pytest.fixture
def taxi(
    home: Path,
    mirror_folder: Path,
    postgres_server: PostgresServer,
    bigquery: StandIn,
    cloud_storage: CloudStorage,
) -> Iterator[TaxiAirflow]:
    with serve(mirror_folder) as mirror:
        taxi = gcp_airflow(postgres_server, home, mirror.address, stand_ins(bigquery, cloud_storage))
        taxi.use_dag_files(GREEN_DAGS, *OTHER_DAGS)
        try:
            yield taxi
        finally:
            taxi.close()


def key_line(bigquery: StandIn) -> str:
    """A line of the key that the connection holds."""
    secret = str(service_account_key(bigquery.url, SETTINGS.project)["private_key"].splitlines()[5])
    assert len(secret) > 40
    return secret


def real_months(tlc: Path, folder: Path, sources: list[Source]) -> list[Expected]:
    """Lay a mirror out: a whole month of green taxis and the head of one month of each source, with golden ids.

    ``test_gcp_compare.py`` loads the heads of other months.
    """
    golden = {entry["file"]: entry for entry in json.loads((tlc / "golden_row_ids.json").read_text())["files"]}
    files = [("months", sources[0], Month(2020, 4))]
    files += [("heads", source, Month(2019, 2)) for source in sources]
    found = []
    for kind, source, month in files:
        name = f"{kind}/{source.file_path(month)}"
        path = folder / source.file_path(month)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tlc / name, path)
        found.append(Expected(source, month, path, golden[name]["rows"], golden[name]["digest"]))
    return found


@pytest.fixture
def load_both_ways(
    home: Path, tmp_path: Path, postgres_server: PostgresServer, bigquery: StandIn, cloud_storage: CloudStorage
) -> Callable[[list[Expected]], None]:
    """What loads months through the whole DAG, waiting and deferred, and compares them with Postgres's.

    Both at once, each in a dataset of its own and with a Postgres of its own. Deferred, it is the last month. Into the
    first's Postgres, the last two get by their DAG, too.
    """

    def run(every: list[Expected]) -> None:
        bigquery.faults.polls_until_done = 1
        settings = {"waiting": SETTINGS, "deferred": replace(SETTINGS, dataset="deferred", bucket="deferred-bucket")}
        scenarios: dict[str, Scenario] = {}
        with serve(tmp_path) as mirror:
            try:
                for mode, where in settings.items():
                    taxi = gcp_airflow(
                        postgres_server,
                        home.with_name(mode),
                        mirror.address,
                        stand_ins(bigquery, cloud_storage, where),
                        deferrable=mode == "deferred",
                        settings=where,
                    )
                    taxi.use_dag_files(GREEN_AND_YELLOW_DAGS, *OTHER_DAGS)
                    scenario = (
                        Scenario(taxi, every, every[-2:]) if mode == "waiting" else Scenario(taxi, every[-1:], [])
                    )
                    scenarios[mode] = scenario
                    with taxi.connect() as connection:
                        for each in scenario.months:
                            if each not in scenario.into_postgres:
                                load(connection, each.source, str(each.month), each.path)
                                assert digest(ids(connection, each.source, each.path.name)) == each.digest
                processes = {mode: scenario.start() for mode, scenario in scenarios.items()}
                for mode, scenario in scenarios.items():
                    said = scenario.finish(processes[mode], Cloud.connect(settings[mode]), timeout=600)
                    assert key_line(bigquery) not in logs_of(scenario.taxi)
                    assert ("BigQueryInsertJobTrigger" in said) == (mode == "deferred")
            finally:
                for scenario in scenarios.values():
                    scenario.taxi.close()

    return run


@pytest.fixture
def months(request: pytest.FixtureRequest, tmp_path: Path, green: Source, yellow: Source) -> list[Expected]:
    """Real months, or samples if the real files aren't at hand."""
    try:
        tlc: Path = request.getfixturevalue("tlc")
    except pytest.skip.Exception:
        return sample_months(tmp_path, [green, yellow], [Month(2019, 1)], ROWS)
    return real_months(tlc, tmp_path, [green, yellow])


def test_months_through_the_whole_dag_waiting_and_deferred(
    load_both_ways: Callable[[list[Expected]], None], months: list[Expected]
) -> None:
    load_both_ways(months)


def test_backfills_load_hold_back_ask_correct_and_set_off_the_comparison(
    taxi: TaxiAirflow, bigquery: StandIn, mirror_folder: Path, green: Source
) -> None:
    cloud = Cloud.connect().set_up()
    january, february = (mirror_folder / green.file_path(month) for month in MONTHS)
    # No samples that are known: the rows of those may go.
    published = write_sample_month(green, MONTHS[0], january, rows=ROWS, revision=1).rows
    write_sample_month(green, MONTHS[1], february, rows=ROWS, revision=1)
    cloud.load(green, "2019-02", february)
    code, said = taxi.backfill("2019-01-01", "2019-01-31", "taxi_green_gcp")
    assert code == 0, said
    assert digest(cloud.ids(green, "2019-01")) == specified(green, january)
    assert cloud.staging_tables() == []
    assert taxi.airflow.query("SELECT is_paused FROM dag WHERE dag_id = 'taxi_compare'") == [(True,)]
    taxi.airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'taxi_compare'")
    # What was published before is none of its business, as for a DAG that comes later.
    taxi.airflow.query("UPDATE dag_schedule_asset_reference SET created_at = now()")

    # The same bytes again, and a file that lacks half of its rows and has one twice. Jobs wait in a triggerer.
    taxi.airflow.variables["AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"] = "True"
    bigquery.faults.polls_until_done = 1
    before, lines, kept = specified(green, january), lines_of(january), ROWS // 2
    write_gzip(january, [*lines[: 1 + kept], lines[1]])
    again = ("-s", "2019-01-01", "-e", "2019-02-28", "--reprocess-behavior", "completed", "taxi_green_gcp")
    done = taxi.airflow.run("dags", "backfill", *again, timeout=300)
    said = done.stdout + done.stderr
    assert (done.returncode, "1 of 2 months succeeded" in said) == (1, True), said
    assert f"would delete {published - kept} of the {published} published rows, expected at most 20.00%" in said
    assert digest(cloud.ids(green, "2019-01")) == before
    (advised,) = set(re.findall(r"conf \S+ true}: (airflow dags backfill .* taxi_green_gcp)$", said, re.MULTILINE))

    # If people are asked, the backfill waits for their answers: no in January, and yes in February.
    write_gzip(february, lines_of(february)[: 1 + kept])
    taxi.use_dag_files(ASKING_DAGS, *OTHER_DAGS)
    asked = taxi.airflow.home / "asked.log"
    with asked.open("w") as output:
        process = taxi.airflow.popen("dags", "backfill", *again, stdout=output)
    waits = "merge_month waits for a person: answer it in the web UI, under Required Actions"
    wait_until(lambda: asked.read_text().count(waits) == 2, timeout=240, what="two questions")
    assert len(cloud.ids(green, "2019-02")) == published
    for month, option in zip(MONTHS, ("Reject", "Approve"), strict=True):
        ((run_id,),) = taxi.airflow.query("SELECT run_id FROM dag_run WHERE run_id LIKE %s", f"backfill__{month}-01%")
        task = f"/dags/taxi_green_gcp/dagRuns/{quote(run_id)}/taskInstances/merge_month/-1/hitlDetails"
        assert f"would delete {published - kept} of the {published} published rows" in taxi.airflow.rest(task)["body"]
        taxi.airflow.rest(task, "PATCH", {"chosen_options": [option], "params_input": {}})
    process.wait(timeout=PATIENCE * 300)
    said += asked.read_text()
    assert (process.returncode, asked.read_text().count(waits)) == (1, 2), said
    assert re.search(r"2019-01\.csv would delete .* published rows, [Aa]dmin has rejected that\. ", said)
    assert digest(cloud.ids(green, "2019-01")) == before
    assert digest(cloud.ids(green, "2019-02")) == specified(green, february)
    taxi.use_dag_files(GREEN_DAGS, *OTHER_DAGS)

    # The conf that the first error names publishes January, too.
    said += taxi.airflow.succeed(*shlex.split(advised)[1:], timeout=300)
    states = {str(month): [entry.state for entry in cloud.loads(green, str(month))] for month in MONTHS}
    assert states == {
        "2019-01": ["published", "failed", "failed", "published"],
        "2019-02": ["published", "unchanged", "published"],
    }
    assert digest(cloud.ids(green, "2019-01")) == specified(green, january)
    assert cloud.staging_tables() == []
    assert key_line(bigquery) not in logs_of(taxi) + said
    assert any(request.authorized for request in bigquery.requests if request.path.endswith("/jobs"))

    assert logs_of(taxi).count("BigQuery Job succeeded") >= 3

    # How many runs are set off, and which of an Asset's events belong to them, is a matter of what Airflow's scheduler
    # sees first; that both months are compared is not.
    assert compare_runs(taxi) == []
    assert taxi.backfill("2019-01-01", "2019-02-28", "taxi_green")[0] == 0
    rows = {month: len(lines_of(mirror_folder / green.file_path(month))) - 1 for month in MONTHS}
    same = [f"green {month}: {rows[month]} rows, the same in Postgres and in BigQuery" for month in MONTHS]
    with taxi.airflow.services("scheduler"):
        wait_until(
            lambda: is_failed(taxi) or (is_quiet(taxi) and all(line in logs_of(taxi) for line in same)),
            timeout=120,
            what="both months to be compared",
            interval=0.3,
        )
    assert not is_failed(taxi)
    assert {run_type for run_type, _ in compare_runs(taxi)} == {"asset_triggered"}
    consumed = taxi.airflow.query(
        "SELECT DISTINCT asset.name FROM dagrun_asset_event JOIN asset_event ON asset_event.id = event_id "
        "JOIN asset ON asset.id = asset_id ORDER BY asset.name"
    )
    assert consumed == [("bigquery_green_tripdata",), ("postgres_green_tripdata",)]
    # Each load has said which month it published; a month that was unchanged is none.
    said_of = [("bigquery", "2019-01"), ("bigquery", "2019-01"), ("bigquery", "2019-02")]
    said_of += [("postgres", "2019-01"), ("postgres", "2019-02")]
    # It says so twice: for DAGs that follow the month as a partition, and for all others, such as the comparison.
    events = published_events(taxi)
    assert sorted(said for said, key in events if key is None) == said_of
    assert sorted(said for said, key in events if key == said[1]) == said_of
    assert len(events) == 2 * len(said_of)
    # None sets off more than one.
    assert len(compare_runs(taxi)) <= len(said_of)

    # Two years later, what no month needs is deleted, and what the run that is over has left in the bucket.
    cloud.query(
        "UPDATE $taxi.load_events SET started_at = TIMESTAMP_SUB(started_at, INTERVAL 800 DAY),"
        " finished_at = TIMESTAMP_SUB(finished_at, INTERVAL 800 DAY) WHERE TRUE"
    )
    left = cloud.tables(green, "2019-01", cloud.loads(green, "2019-01")[-1].run_id).clean_object_name
    cloud.storage.bucket(SETTINGS.bucket).blob(left).upload_from_string(b"left")
    before = digest(cloud.ids(green, "2019-01"))
    others = ("--mark-success-pattern", "postgres.trim|trim_cache|clean_metadata")
    done = taxi.airflow.run("dags", "test", "taxi_maintenance", *others, timeout=200)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    deleted = "what 1 run left in the staging area; 0 rejected rows older than 180 days; 3 attempts older than 730 days"
    assert f"taxi_maintenance, BigQuery: deleted: {deleted}" in said
    assert left not in cloud.bucket().names("")
    states = {str(month): [entry.state for entry in cloud.loads(green, str(month))] for month in MONTHS}
    assert states == {"2019-01": ["failed", "failed", "published"], "2019-02": ["published"]}
    assert digest(cloud.ids(green, "2019-01")) == before


def published_events(taxi: TaxiAirflow) -> list[tuple[tuple[str, str], str | None]]:
    """Warehouse and month of every event of the loads' Assets, and its partition key."""
    found = taxi.airflow.query(
        "SELECT asset.uri, asset_event.extra, partition_key FROM asset_event JOIN asset ON asset.id = asset_id"
    )
    extras = [(uri, extra if isinstance(extra, dict) else json.loads(extra), key) for uri, extra, key in found]
    assert {extra["source"] for _, extra, _ in extras} == {"green"}
    return [((uri.split("/")[2], extra["month"]), key) for uri, extra, key in extras]


def compare_runs(taxi: TaxiAirflow) -> list[Any]:
    return taxi.airflow.query("SELECT run_type, state FROM dag_run WHERE dag_id = 'taxi_compare' ORDER BY id")


def is_failed(taxi: TaxiAirflow) -> bool:
    return any(state == "failed" for _, state in compare_runs(taxi))


def is_quiet(taxi: TaxiAirflow) -> bool:
    return all(state == "success" for _, state in compare_runs(taxi))
