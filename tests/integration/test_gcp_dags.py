"""The DAGs of Google Cloud in a real Airflow, against the stand-ins: set up, load, wait, compare."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from taxiway.core.months import Month
from taxiway.core.paths import ROOT
from taxiway.core.row_identity import digest, unique_row_ids
from taxiway.core.sources import Source
from taxiway.local.mirror import serve
from taxiway.local.samples import write_sample_month, write_sample_months
from tests.bigquery_stand_in import StandIn, service_account_key
from tests.cloud_loading import SETTINGS, Cloud
from tests.cloud_storage import CloudStorage
from tests.conftest import PostgresServer
from tests.integration.gcp_airflow import gcp_airflow, logs_of
from tests.integration.taxi_airflow import TaxiAirflow
from tests.loading import ids, lines_of, load

MONTHS = [Month(2019, 1), Month(2019, 2)]
ROWS = 80
TLC = ROOT.parent / "shared" / "tlc"
RUNS = Path(__file__).with_name("runs_of_dags.py")


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
        taxi = gcp_airflow(postgres_server, home, mirror.address, bigquery, cloud_storage)
        try:
            yield taxi
        finally:
            taxi.close()


def specified(source: Source, path: Path) -> str:
    return digest(unique_row_ids(source.columns, [line.split(",") for line in lines_of(path)[1:]]))


def key_line(bigquery: StandIn) -> str:
    """A line of the key that the connection holds."""
    secret = str(service_account_key(bigquery.url, SETTINGS.project)["private_key"].splitlines()[5])
    assert len(secret) > 40
    return secret


@dataclass(frozen=True)
class Expected:
    """A month that a mirror serves, and what it must come to.

    :param path: the file
    :param rows: how many it has
    :param digest: of their ids
    """

    source: Source
    month: Month
    path: Path
    rows: int
    digest: str


def real_months(folder: Path, sources: list[Source]) -> list[Expected]:
    """Lay a mirror out: a whole month of green taxis and the heads of every month of 2019, with their golden ids.

    Where the real files aren't at hand, months of samples stand in for them, with the specification's ids.
    """
    if not TLC.is_dir():
        write_sample_months(sources, MONTHS, folder, rows=ROWS)
        return [
            Expected(source, month, path, ROWS, specified(source, path))
            for source in sources
            for month in MONTHS
            for path in [folder / source.file_path(month)]
        ]
    golden = {entry["file"]: entry for entry in json.loads((TLC / "golden_row_ids.json").read_text())["files"]}
    files = [("months", sources[0], Month(2020, 4))]
    files += [("heads", source, Month(2019, number)) for source in sources for number in range(1, 13)]
    found = []
    for kind, source, month in files:
        name = f"{kind}/{source.file_path(month)}"
        path = folder / source.file_path(month)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(TLC / name, path)
        known = golden.get(name) or {"rows": 100, "digest": specified(source, path)}
        found.append(Expected(source, month, path, known["rows"], known["digest"]))
    return found


def test_real_months_through_the_whole_dag_waiting_and_deferred(
    home: Path,
    tmp_path: Path,
    postgres_server: PostgresServer,
    bigquery: StandIn,
    cloud_storage: CloudStorage,
    green: Source,
    yellow: Source,
) -> None:
    """Both at once, each in a dataset of its own, and compared with Postgres's loads of the same files.

    The whole month and the first heads of each colour go both ways, of the other heads each colour one way.
    """
    every = real_months(tmp_path, [green, yellow])
    firsts = [each for each in every if each.month in MONTHS or (each.source is green and each.month.year == 2020)]
    months = {
        mode: [each for each in every if each in firsts or each.source is source]
        for mode, source in (("waiting", green), ("deferred", yellow))
    }
    bigquery.faults.polls_until_done = 1
    settings = {"waiting": SETTINGS, "deferred": replace(SETTINGS, dataset="deferred", bucket="deferred-lake")}
    taxis: dict[str, TaxiAirflow] = {}
    processes: dict[str, subprocess.Popen[str]] = {}
    with serve(tmp_path) as mirror:
        try:
            for mode, where in settings.items():
                taxi = gcp_airflow(
                    postgres_server,
                    home.with_name(mode),
                    mirror.address,
                    bigquery,
                    cloud_storage,
                    deferrable=mode == "deferred",
                    settings=where,
                )
                taxis[mode] = taxi
            warehouse = taxis["waiting"]
            with warehouse.connect() as connection:
                for each in every:
                    load(connection, each.source, str(each.month), each.path)
                    assert digest(ids(connection, each.source, each.path.name)) == each.digest
            for mode, taxi in taxis.items():
                taxi.airflow.variables["AIRFLOW_CONN_TAXI_POSTGRES"] = warehouse.airflow.variables[
                    "AIRFLOW_CONN_TAXI_POSTGRES"
                ]
                processes[mode] = start_runs(taxi, months[mode])
            for mode, process in processes.items():
                process.wait(timeout=300)
                said = (taxis[mode].airflow.home / "runs.log").read_text()
                assert process.returncode == 0, (mode, said[-5000:])
                assert_loaded(Cloud.connect(settings[mode]), months[mode])
                assert key_line(bigquery) not in logs_of(taxis[mode])
                compared = [line for line in said.splitlines() if "the same in Postgres and in BigQuery" in line]
                assert len(compared) == len(months[mode]), compared
                assert ("BigQueryInsertJobTrigger" in said) == (mode == "deferred")
        finally:
            for taxi in taxis.values():
                taxi.close()


def start_runs(taxi: TaxiAirflow, months: list[Expected]) -> subprocess.Popen[str]:
    """Set up, load every month, the first and the last again, and compare."""
    loads = [[f"taxi_{each.source.name}_gcp", {"month": str(each.month)}] for each in months]
    again = [loads[0], [loads[-1][0], {**loads[-1][1], "force": True}]]
    runs = json.dumps([["gcp_setup", {}], *loads, *again, ["taxi_compare", {}]])
    with (taxi.airflow.home / "runs.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(RUNS), str(ROOT / "dags"), runs],
            env=taxi.airflow.variables,
            cwd=taxi.airflow.home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    taxi.airflow.processes.append(process)
    return process


def assert_loaded(cloud: Cloud, months: list[Expected]) -> None:
    """Every month is there, once, with the ids that it must have; loading two of them again has changed nothing."""
    found = cloud.query(
        "SELECT source, month, state, rows_staged, rows_inserted, rows_deleted, rows_unchanged "
        "FROM `$taxi.loads` ORDER BY started_at"
    )
    published = [(each.source.name, each.month.first_day, "published", each.rows, each.rows, 0, 0) for each in months]
    first, last = months[0], months[-1]
    assert found == [
        *published,
        (first.source.name, first.month.first_day, "unchanged", first.rows, 0, 0, first.rows),
        (last.source.name, last.month.first_day, "published", last.rows, 0, 0, last.rows),
    ]
    for each in months:
        assert digest(cloud.ids(each.source, str(each.month))) == each.digest, each.path.name
    for source in {each.source.name: each.source for each in months}.values():
        rows = sum(each.rows for each in months if each.source.name == source.name)
        assert cloud.query(f"SELECT COUNT(*) FROM `$taxi.{source.main_table}`") == [(rows,)]
    assert cloud.staging_tables() == []


def test_backfills_load_correct_and_set_off_the_comparison(
    taxi: TaxiAirflow, bigquery: StandIn, mirror_folder: Path, green: Source
) -> None:
    cloud = Cloud.connect().set_up()
    range_ = ("2019-01-01", "2019-02-28", "taxi_green_gcp")
    code, said = taxi.backfill(*range_)
    assert code == 0, said
    for month in MONTHS:
        assert digest(cloud.ids(green, str(month))) == specified(green, mirror_folder / green.file_path(month))
    assert cloud.staging_tables() == []
    assert taxi.airflow.query("SELECT is_paused FROM dag WHERE dag_id = 'taxi_compare'") == [(True,)]
    taxi.airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'taxi_compare'")

    # The same bytes again, and a corrected file, whose jobs wait in a triggerer.
    taxi.airflow.variables["AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"] = "True"
    bigquery.faults.polls_until_done = 1
    write_sample_month(green, MONTHS[0], mirror_folder / green.file_path(MONTHS[0]), rows=ROWS, revision=1)
    code, said = taxi.backfill(*range_, "--reprocess-behavior", "completed")
    assert code == 0, said
    states = {str(month): [entry.state for entry in cloud.loads(green, str(month))] for month in MONTHS}
    assert states == {"2019-01": ["published", "published"], "2019-02": ["published", "unchanged"]}
    assert digest(cloud.ids(green, "2019-01")) == specified(green, mirror_folder / green.file_path(MONTHS[0]))
    assert key_line(bigquery) not in logs_of(taxi) + said
    assert any(request.authorized for request in bigquery.requests if request.path.endswith("/jobs"))

    assert logs_of(taxi).count("BigQuery Job succeeded") >= 3

    # One load alone is nothing to compare; when Postgres has loaded too, the scheduler lets the comparison run.
    assert compare_runs(taxi) == []
    assert taxi.backfill("2019-01-01", "2019-01-31", "taxi_green")[0] == 0
    taxi.airflow.query("UPDATE slot_pool SET slots = 0")  # that it runs is shown elsewhere: here it only begins
    done = taxi.airflow.run("scheduler", "--num-runs", "2", "--skip-serve-logs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert compare_runs(taxi) == [("asset_triggered",)]


def compare_runs(taxi: TaxiAirflow) -> list[Any]:
    return taxi.airflow.query("SELECT run_type FROM dag_run WHERE dag_id = 'taxi_compare'")
