"""What sets the reports off, in a real scheduler: months that are loaded, corrected, and loaded unchanged."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from taxiway.orchestration.taxi_conf import taxi_conf
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.reports.figures import Period
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.postgres.summary import summarize_month
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import wait_until
from tests.integration.scheduled import Scheduled
from tests.integration.taxi_airflow import TaxiAirflow
from tests.loading import load
from tests.releases import on_mirror

ROWS = 30
*FIRST, ELEVENTH, TWELFTH = Period.of_year(2019).months
REPORTS = ("taxi_monthly_report", "taxi_year_report")

Run = tuple[str, str, str]
"""The DAG, the partition key and the state of a run."""


@dataclass
class Reporting(Scheduled):
    """Airflow with a scheduler, in whose warehouse ten months of a year are summed up.

    :param mirror: the folder that the mirror serves
    :param reports: the folder of the reports
    """

    source: Source
    mirror: Path
    reports: Path

    def state(self, dag_id: str, run_id: str, **conf: str) -> str:
        """Start a run by hand, and wait for its end; return its state."""
        self.trigger(dag_id, run_id, conf)
        return self.settle(run_id)

    def write(self, month: Month, revision: int = 0) -> Path:
        """Give the mirror a file of a month."""
        path = self.mirror / self.source.file_path(month)
        path.unlink(missing_ok=True)
        write_sample_month(self.source, month, path, rows=ROWS, revision=revision)
        return path

    def load(self, month: Month, run_id: str) -> None:
        """Load a month by a run of ``taxi``, and wait until nothing is left to do."""
        self.trigger("taxi", run_id, json.loads(taxi_conf(self.source, month, "postgres")))
        self.settle(run_id)

    def settle(self, run_id: str) -> str:
        """Wait until a run has ended, and every run that it has set off; return its state."""
        state = self.ended(run_id)
        self.wait()
        return state

    def wait(self) -> None:
        """Wait until every run has ended."""
        unfinished = (
            "SELECT 1 FROM asset_partition_dag_run WHERE created_dag_run_id IS NULL UNION ALL "
            "SELECT 1 FROM dag_run WHERE state IN ('queued', 'running')"
        )
        wait_until(lambda: not self.taxi.airflow.query(unfinished), timeout=240, what="the reports to end")

    def runs(self) -> list[Run]:
        """Return the runs of both reports, in their order."""
        statement = "SELECT dag_id, partition_key, state FROM dag_run WHERE dag_id = ANY(%s) ORDER BY id"
        return self.taxi.airflow.query(statement, list(REPORTS))

    def year_task(self) -> str:
        """Return the state of the last year report's task."""
        statement = "SELECT state FROM task_instance WHERE dag_id = 'taxi_year_report' ORDER BY start_date DESC LIMIT 1"
        return str(self.taxi.airflow.query(statement)[0][0])

    def link(self, dag_id: str, run_id: str) -> str | None:
        """Return where the button *Report* of a run's task leads."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/write_report/links"
        links: dict[str, str | None] = self.taxi.airflow.rest(path)["extra_links"]
        return links["Report"]

    def page(self, name: str) -> str:
        return (self.reports / self.source.name / f"{name}.html").read_text()


@pytest.fixture(scope="module")
def reporting(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, green: Source
) -> Iterator[Reporting]:
    folder = tmp_path_factory.mktemp("reporting")
    mirror = folder / "mirror"
    mirror.mkdir()
    with serve(mirror) as server, TaxiAirflow.create(postgres_server, folder / "home", server.address) as taxi:
        reporting = Reporting(taxi, green, mirror, folder / "reports")
        taxi.airflow.variables["AIRFLOW_VAR_TAXIWAY_REPORTS_FOLDER"] = str(reporting.reports)
        taxi.use_dag_files(*(ROOT / "dags" / f"{name}.py" for name in ("taxi", "taxi_reports")))
        taxi.airflow.succeed("dags", "reserialize")
        with taxi.connect() as connection:
            for month in FIRST:
                load(connection, green, str(month), reporting.write(month), run_id=str(month))
                summarize_month(connection, green, month)
        with taxi.airflow.services("scheduler"):
            for dag_id in REPORTS:
                reporting.pause(dag_id, False)
            yield reporting


def trips(rows: int) -> str:
    return f'<dd class="total">{rows:,}</dd>'


def test_a_published_month_is_reported_and_its_year_when_the_last_month_is_in(reporting: Reporting) -> None:
    monthly, yearly = REPORTS
    reporting.write(ELEVENTH)
    reporting.load(ELEVENTH, "the_eleventh")
    expected: list[Run] = [(monthly, "green|2019-11", "success"), (yearly, "green|2019", "success")]
    assert reporting.runs() == expected
    assert trips(ROWS) in reporting.page("2019-11")
    assert reporting.year_task() == "skipped"
    assert not (reporting.reports / "green" / "2019.html").exists()

    reporting.write(TWELFTH)
    reporting.load(TWELFTH, "the_twelfth")
    expected += [(monthly, "green|2019-12", "success"), (yearly, "green|2019", "success")]
    assert reporting.runs() == expected
    assert reporting.year_task() == "success"
    assert trips(12 * ROWS) in reporting.page("2019")

    # Unchanged: nothing is published, so nothing is reported.
    reporting.load(TWELFTH, "again")
    assert reporting.runs() == expected

    # A month that changes is reported again, and so is its year.
    before = reporting.page("2019-12"), reporting.page("2019")
    reporting.write(TWELFTH, revision=1)
    reporting.load(TWELFTH, "corrected")
    expected += [(monthly, "green|2019-12", "success"), (yearly, "green|2019", "success")]
    assert reporting.runs() == expected
    assert reporting.year_task() == "success"
    after = reporting.page("2019-12"), reporting.page("2019")
    ((rows,),) = reporting.taxi.query("SELECT count(*) FROM green_tripdata WHERE source_month = '2019-12-01'")
    assert trips(rows) in after[0]
    assert trips(11 * ROWS + rows) in after[1]
    assert after[0] != before[0]
    assert after[1] != before[1]


def test_reports_by_hand_without_a_partition_key(reporting: Reporting) -> None:
    assert reporting.state("taxi_monthly_report", "a_month", source="green", month="2019-03") == "success"
    assert '<p class="period">March 2019</p>' in reporting.page("2019-03")
    assert reporting.link("taxi_monthly_report", "a_month") == "/taxiway-reports/green/2019-03"
    assert reporting.state("taxi_monthly_report", "not_loaded", source="yellow", month="2019-03") == "failed"
    assert reporting.link("taxi_monthly_report", "not_loaded") is None


@pytest.fixture(scope="module")
def whole_year(reporting: Reporting) -> Source:
    """A source whose months of 2019 are published. Its reports have the fewest charts: to draw them takes longest."""
    source = on_mirror(load_source(SOURCES_FOLDER / "fhv.yaml"))
    with reporting.taxi.connect() as connection:
        for month in Period.of_year(2019).months:
            path = reporting.mirror / source.file_path(month)
            write_sample_month(source, month, path, rows=ROWS)
            load(connection, source, str(month), path, run_id=str(month))
    return source


@pytest.mark.parametrize("paused", [True, False], ids=["paused", "unpaused"])
def test_the_command_that_the_error_of_a_year_advises_leads_to_its_report(
    paused: bool, reporting: Reporting, whole_year: Source
) -> None:
    """Twelve months were published while the DAG of months was paused: nothing has summed them up."""
    name = whole_year.name
    with reporting.taxi.connect() as connection:
        connection.execute("DELETE FROM public.monthly_zone_summary WHERE source = %s", [name])
    reporting.pause("taxi_monthly_report", paused)
    try:
        asked = {"source": name, "year": "2019"}
        assert reporting.state("taxi_year_report", f"refused_{paused}", **asked) == "failed"
        said = reporting.error("taxi_year_report", f"refused_{paused}", "write_report")
        assert said.startswith(f"{name} 2019: found no current summary of 2019-01, 2019-02, ")
        program, *command = shlex.split(said.partition("are summed up by ")[2])
        assert program == "airflow"
        reporting.taxi.airflow.succeed(*command, timeout=300)
        reporting.wait()
        ((run_id,),) = reporting.taxi.airflow.query(
            "SELECT run_id FROM dag_run WHERE dag_id = 'taxi_monthly_report' ORDER BY id DESC LIMIT 1"
        )
        assert reporting.link("taxi_monthly_report", quote(run_id)) == "/taxiway-reports/"  # the list of all twelve
        page = reporting.reports / name / "2019.html"
        page.unlink(missing_ok=True)  # the months may have set off its report, too
        assert reporting.state("taxi_year_report", f"accepted_{paused}", **asked) == "success"
        assert reporting.link("taxi_year_report", f"accepted_{paused}") == f"/taxiway-reports/{name}/2019"
    finally:
        reporting.pause("taxi_monthly_report", False)

    text = page.read_text()
    assert '<p class="period">2019</p>' in text
    assert trips(12 * ROWS) in text
