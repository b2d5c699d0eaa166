"""The web UI in a real browser: log in, load a month by a form, read its log, open its report, find runs."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from rich.console import Console

from bench.board import ask, browse, compared
from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.errors import HeaderError
from taxiway.loads.row_identity import digest
from taxiway.orchestration.report_link import MONTHLY_DAG_ID, YEAR_DAG_ID
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.reports.folder import FOLDER_VARIABLE
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month, write_sample_months
from tests.browser import STILL, WAIT, start_browser
from tests.cloud_loading import Cloud
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import PASSWORD, wait_until
from tests.integration.dag_rights import ONLY
from tests.integration.gcp_airflow import gcp_airflow, stand_ins
from tests.integration.gcp_scenario import specified
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.web_client import Client
from tests.loading import lines_of, write_gzip

ROWS = 120

USERS = {
    "admin": "admin",
    "reader": "viewer",
    "nobody": "",
    f"{ONLY}taxi_green": "admin",
    f"{ONLY}{YEAR_DAG_ID}": "admin",
    f"{ONLY}{MONTHLY_DAG_ID}": "viewer",
}
"""The users of the web UI, with their roles."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with start_browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def cloud(_bigquery_server: StandIn, _cloud_storage_server: CloudStorage) -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", _bigquery_server.url)
        patch.setenv("STORAGE_EMULATOR_HOST", _cloud_storage_server.url)
        yield Cloud.connect().set_up()
    _bigquery_server.reset()
    _cloud_storage_server.reset()


@pytest.fixture(scope="module")
def taxi(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    _bigquery_server: StandIn,
    _cloud_storage_server: CloudStorage,
    cloud: Cloud,
    green: Source,
) -> Iterator[TaxiAirflow]:
    folder = tmp_path_factory.mktemp("ui")
    write_sample_months([green], [Month(2019, 1), Month(2021, 6), Month(2021, 7)], folder / "mirror", rows=ROWS)
    with serve(folder / "mirror") as mirror:
        in_cloud = stand_ins(_bigquery_server, _cloud_storage_server)
        taxi = gcp_airflow(postgres_server, folder / "home", mirror.address, in_cloud)
        taxi.airflow.variables |= {
            "AIRFLOW__CORE__AUTH_MANAGER": "tests.integration.dag_rights.DagRights",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(":".join(user) for user in USERS.items()),
            "PYTHONPATH": str(ROOT),
        }
        (taxi.airflow.home / "passwords.json").write_text(json.dumps(dict.fromkeys(USERS, PASSWORD)), encoding="utf-8")
        try:
            taxi.airflow.succeed("dags", "reserialize")
            # The form unpauses the DAG, which would then catch up from 2019 on.
            taxi.airflow.query("UPDATE dag SET next_dagrun_create_after = NULL WHERE dag_id = 'taxi_green'")
            with taxi.airflow.services("api-server", "scheduler"):
                taxi.airflow.rest("/dags/taxi_monthly_report", "PATCH", {"is_paused": False})
                taxi.airflow.rest("/variables", "POST", {"key": FOLDER_VARIABLE, "value": str(reports_of(taxi))})
                yield taxi
        finally:
            taxi.close()


def reports_of(taxi: TaxiAirflow) -> Path:
    return taxi.airflow.home / "the reports"


@pytest.fixture(scope="module")
def client(taxi: TaxiAirflow) -> Client:
    return Client(taxi.airflow.base_url)


@pytest.fixture(scope="module")
def context(chromium: Browser, taxi: TaxiAirflow) -> Iterator[BrowserContext]:
    """One for all tests: it fetches the seven megabytes of Airflow's pages once."""
    with chromium.new_context(viewport={"width": 1600, "height": 1800}, base_url=taxi.airflow.base_url) as context:
        context.add_init_script(STILL)
        context.set_default_timeout(WAIT)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page to which nobody has signed in."""
    context.clear_cookies()
    with context.new_page() as page:
        yield page


def sign_in(page: Page, client: Client, user: str = "admin") -> None:
    """Sign in as a user, also if another one is signed in. The form has a test of its own."""
    page.context.clear_cookies()
    page.context.add_cookies([{"name": "_token", "value": client.token(user), "url": client.address}])


def test_a_person_fills_the_form_of_taxi(page: Page, taxi: TaxiAirflow, client: Client) -> None:
    sign_in(page, client)
    page.goto("/dags/taxi")
    expect(page.get_by_test_id("trigger-dag-button")).to_have_count(1)
    page.get_by_test_id("trigger-dag-button").click()
    form = page.get_by_role("dialog")

    # Nothing is to be unpaused; the year is written, the rest is chosen.
    expect(form.get_by_text("Year, as YYYY")).to_be_visible()
    expect(form.get_by_text("Unpause")).to_have_count(0)
    choose(page, form, "taxi", "New York green taxi trips")
    form.locator("input[name=element_year]").fill("20x1")
    choose(page, form, "month", "06")
    choose(page, form, "warehouse", "Postgres")
    form.get_by_test_id("trigger-dag-submit").click()
    expect(form.get_by_text("Invalid input for param year: '20x1'")).to_be_visible()
    form.locator("input[name=element_year]").fill("2021")
    # The file as a label: the run's id.
    form.get_by_text("Advanced Options").click()
    form.locator("input[name=dagRunId]").fill("green_tripdata_2021-06.csv")
    form.get_by_test_id("trigger-dag-submit").click()
    page.wait_for_url("**/dags/taxi/runs/green_tripdata_2021-06.csv*")

    # Its grid has the chosen warehouse beside the other one, whose tasks are skipped.
    run_address = page.url.partition("?")[0]
    wait_for_success(page, taxi, "taxi")
    reported = "SELECT run_id FROM dag_run WHERE dag_id = 'taxi_monthly_report' AND state = 'success'"
    ((report,),) = wait_until(lambda: taxi.airflow.query(reported), timeout=WAIT / 1000, what="the report")
    page.goto(f"{run_address}/tasks/postgres.merge_month")
    said = f"green 2021-06: published in green_tripdata: {ROWS} rows inserted, 0 deleted, 0 unchanged"
    expect(page.get_by_text(said)).to_be_visible()
    for name in ("choose_warehouse", "postgres", "bigquery"):
        expect(page.get_by_test_id(f"task-{name}")).to_be_visible()
    with page.expect_response("**/ui/gantt/taxi/*") as gantt:
        page.get_by_title("Show Gantt").first.click()
    assert "postgres.merge_month" in gantt.value.text()

    # The month has set its report off: the list of all reports leads to the page.
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Taxi reports").click()
    listed = page.frame_locator("iframe")
    listed.get_by_role("link", name="2021-06").click()
    expect(listed.get_by_text("June 2021")).to_be_visible()

    # The report's task leads there, too.
    assert report.startswith("asset_triggered__")
    page.goto(f"/dags/taxi_monthly_report/runs/{quote(report)}/tasks/write_report/details")
    page.get_by_role("link", name="Report", exact=True).click()
    page.wait_for_url("**/taxiway-reports/green/2021-06")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    said_by_browser: list[str] = []
    page.on("console", lambda message: said_by_browser.append(message.text))
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("New York green taxi trips")
    expect(page.get_by_text("June 2021")).to_be_visible()
    expect(page.get_by_role("img", name="Trips by day")).to_be_visible()
    page.get_by_text("By pickup zone").click()
    expect(page.get_by_role("columnheader", name="Zone")).to_be_visible()
    assert asked == [page.url]
    assert said_by_browser == []  # it would complain of what the page's policy forbids


def test_reports_are_shown_to_those_who_may_see_their_tasks(page: Page, taxi: TaxiAirflow, client: Client) -> None:
    path = reports_of(taxi) / "green" / "2018-01.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "<title>Hostile</title><script>document.title = 'run'</script><img src=x onerror=document.title='run'>"
    )

    def statuses(*names: str) -> list[int]:
        return [page.request.get(f"/taxiway-reports/{name}").status for name in names]

    names = ("", "green/2018-01", "green/2018-02")
    assert statuses(*names) == [401, 401, 401]
    sign_in(page, client, "nobody")
    assert statuses(*names) == [403, 403, 403]
    # All rights on another DAG, be it the one that loads the month, are none on its report.
    for dag_id in ("taxi_green", YEAR_DAG_ID):
        sign_in(page, client, f"{ONLY}{dag_id}")
        assert page.request.get(f"/api/v2/dags/{dag_id}").status == 200
        assert statuses(*names) == [403, 403, 403], dag_id
    # Who may only read, be it that DAG alone, sees them.
    for user in (f"{ONLY}{MONTHLY_DAG_ID}", "reader"):
        sign_in(page, client, user)
        assert statuses(*names) == [200, 200, 404], user
    found = page.request.get("/taxiway-reports/green/2018-02").text()
    assert found.startswith(
        f"green 2018-02: found no report that can be read in {path.parents[1]}, where the API server"
    )
    outside = (
        "green/2018-13",
        "Green/2018-01",
        "..%2fgreen/2018-01",
        "green/..%2f..%2fpasswords",
        "docs",
        "openapi.json",
    )
    assert set(statuses(*outside)) <= {404, 422}

    page.goto("/taxiway-reports/green/2018-01")
    expect(page).to_have_title("Hostile")


def choose(page: Page, form: Locator, name: str, label: str) -> None:
    """Choose from a list of the form."""
    form.locator(f"#element_{name}").click()
    page.get_by_role("option", name=label, exact=True).click()


def test_a_person_triggers_a_month_and_reads_its_log(page: Page, taxi: TaxiAirflow, green: Source) -> None:
    # The UI asks for a password, and only the right one opens it.
    page.goto("/dags")
    page.wait_for_url("**/auth/login*")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", "not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Invalid credentials")).to_be_visible()
    page.fill("input[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dags*")

    # Both colours are there.
    for dag_id in ("taxi_green", "taxi_yellow"):
        expect(page.get_by_role("link", name=dag_id, exact=True).first).to_be_visible()

    # The trigger form asks for the month, and refuses what is none.
    page.get_by_role("link", name="taxi_green", exact=True).first.click()
    page.wait_for_url("**/dags/taxi_green*")
    expect(page.get_by_test_id("trigger-dag-button")).to_have_count(1)
    page.get_by_test_id("trigger-dag-button").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_text("The month to load, as YYYY-MM")).to_be_visible()
    expect(form.get_by_text("Unpausing the DAG also starts all the other months from 2019-01 on")).to_be_visible()
    form.locator("input[name=element_month]").fill("2019-13")
    form.get_by_test_id("trigger-dag-submit").click()
    expect(form.get_by_text("Invalid input for param month: '2019-13'")).to_be_visible()

    # A month is taken, and the UI shows its run.
    form.locator("input[name=element_month]").fill("2021-07")
    form.get_by_test_id("trigger-dag-submit").click()
    page.wait_for_url("**/dags/taxi_green/runs/manual__*")
    run_address = page.url.partition("?")[0]

    # It succeeds.
    wait_for_success(page, taxi, "taxi_green")
    page.goto(run_address)
    header = page.get_by_test_id("state-badge").first
    expect(header).to_contain_text("Success")

    # Its log can be read.
    page.get_by_role("table").get_by_role("link", name="merge_month", exact=True).click()
    page.wait_for_url("**/tasks/merge_month*")
    expect(
        page.get_by_text(f"green 2021-07: published in green_tripdata: {ROWS} rows inserted, 0 deleted, 0 unchanged")
    ).to_be_visible()
    assert taxi.query("SELECT count(*) FROM green_tripdata WHERE filename = 'green_tripdata_2021-07.csv'") == [(ROWS,)]


def test_a_person_finds_runs_by_file_taxi_and_backfill(page: Page, taxi: TaxiAirflow, client: Client) -> None:
    """As docs/from-kestra.md says; the DAGs are paused, so that their runs stay as they are."""
    rest = taxi.airflow.rest
    rest("/dags/taxi", "PATCH", {"is_paused": True})
    for name, month in (("green", "04"), ("yellow", "04"), ("green", "05")):
        body = {"dag_run_id": f"{name}_tripdata_2020-{month}.csv", "logical_date": None}
        rest("/dags/taxi/dagRuns", "POST", {**body, "conf": {"taxi": name, "year": "2020", "month": month}})
    dates = {"from_date": "2020-04-01T00:00:00Z", "to_date": "2020-05-31T00:00:00Z"}
    options = {"max_active_runs": 1, "reprocess_behavior": "none", "dag_run_conf": None}
    rest("/backfills", "POST", {"dag_id": "taxi_yellow", **dates, **options})
    sign_in(page, client)
    page.goto("/dag_runs")

    assert found(page, "Run ID", "green_tripdata_2020-04.csv", 1) == ["green_tripdata_2020-04.csv"]
    assert found(page, "Conf", '"taxi": "green", "year": "2020"', 2) == [
        "green_tripdata_2020-04.csv",
        "green_tripdata_2020-05.csv",
    ]
    assert [run_id[:17] for run_id in found(page, "Run Type", "Backfill", 2)] == [
        "backfill__2020-04",
        "backfill__2020-05",
    ]
    assert found(page, "Run ID", "backfill__2020-05", 1) == ["backfill__2020-05-01T20:00:00+00:00"]
    taxi.airflow.query("DELETE FROM dag_run WHERE dag_id = 'taxi' AND state = 'queued'")


def test_months_of_bigquery_beside_those_of_postgres(
    page: Page, taxi: TaxiAirflow, client: Client, cloud: Cloud, green: Source, tmp_path: Path
) -> None:
    published, failed, asked_for = Month(2019, 2), Month(2019, 3), Month(2019, 1)
    path = tmp_path / green.download_name(published)
    write_sample_month(green, published, path, rows=ROWS)
    cloud.load(green, str(published), path)
    with pytest.raises(HeaderError):
        cloud.load(green, str(failed), write_gzip(tmp_path / "other.csv.gz", ["a,b", "1,2"]))
    taxi.airflow.rest("/dags/taxi", "PATCH", {"is_paused": False})
    open_board(page, client)

    # Each warehouse has its own grids, and the same month stands in each as it does there.
    expect(page.get_by_role("heading", level=2)).to_have_text(["Postgres", "BigQuery"])
    states = {published: "published", failed: "failed", asked_for: "missing", Month(2021, 6): "missing"}
    for month, state in states.items():
        expect(cell(page, "bigquery", month)).to_have_attribute("data-state", state)
    expect(cell(page, "postgres", published)).not_to_have_attribute("data-state", "published")
    cell(page, "bigquery", published).hover()
    expect(page.get_by_role("tooltip")).to_contain_text(f"Rows{ROWS}")
    cell(page, "bigquery", failed).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("the header doesn't fit")
    expect(dialog.get_by_role("row", name=re.compile("taxi_green_gcp manual__1.*upload_month"))).to_be_visible()
    dialog.get_by_role("button", name="Close").click()

    # A month that is selected in BigQuery is loaded there.
    load_by_board(page, asked_for)
    expect(cell(page, "bigquery", asked_for)).to_have_attribute("data-state", re.compile("queued|running"))
    expect(page.locator(".press")).to_contain_text("1 ended well")
    expect(cell(page, "bigquery", asked_for)).to_have_attribute("data-state", "published")
    assert [each.state for each in cloud.loads(green, str(asked_for))] == ["published"]


def test_the_board_is_measured(chromium: Browser, client: Client, cloud: Cloud) -> None:
    """As make bench-board does; test_bench_board.py has its ledgers."""
    token = client.token("admin")
    found = ask(client.address, token, count=3, alone=2, pause=0.0)
    found |= browse(chromium, client.address, token, visits=1, pause=0.0)

    assert [found[kind]["count"] for kind in ("kept", "asked")] == [3, 2]
    assert 0 < found["kept"]["median_ms"] <= found["kept"]["p95_ms"]
    shown = [client.json(f"/taxiway/api/months?warehouse={name}")["sources"] for name in ("postgres", "bigquery")]
    assert found["cells"] == sum(len(source["months"]) for sources in shown for source in sources)
    assert 20 < found["kb"] < 300
    text = io.StringIO()
    Console(file=text, width=160).print(compared(found))
    assert re.search(r"months of both warehouses, 95th percentile of 3, one after another .*150 ms", text.getvalue())


@pytest.fixture
def stand_in(_bigquery_server: StandIn) -> Iterator[StandIn]:
    """BigQuery, with what the tests before have loaded; no job is held when the test has ended."""
    yield _bigquery_server
    _bigquery_server.faults.clear()


def test_a_load_into_bigquery_is_cancelled_on_the_board(
    page: Page, taxi: TaxiAirflow, client: Client, cloud: Cloud, green: Source, stand_in: StandIn
) -> None:
    """No run, task, job or staging table is left, and the ledger says that the load has failed."""
    month = Month(2021, 6)
    taxi.airflow.rest("/dags/taxi", "PATCH", {"is_paused": False})
    open_board(page, client)
    held = stand_in.faults.hold_next_job(containing="Gives every staged row")
    load_by_board(page, month)
    held.wait_until_running()
    assert cloud.staging_tables() != []
    stand_in.forget_requests()

    page.get_by_role("button", name="Cancel the load").click()
    of_run = "dag_id = 'taxi' AND run_id LIKE 'board\\_\\_%__bigquery__green__2021-06'"
    active = "state IN ('queued', 'running', 'scheduled', 'deferred', 'up_for_retry')"
    wait_until(
        lambda: (
            taxi.airflow.query(f"SELECT state FROM dag_run WHERE {of_run}") == [("failed",)]
            and not taxi.airflow.query(f"SELECT 1 FROM task_instance WHERE {of_run} AND {active}")
        ),
        timeout=WAIT / 1000,
        what="the run and its tasks to end",
    )
    expect(page.locator(".press").first).to_contain_text("1 cancelled")
    # The task's process hears of it at its next heartbeat.
    wait_until(
        lambda: [each.path for each in stand_in.requests if each.path.endswith("/cancel")],
        timeout=WAIT / 1000,
        what="BigQuery to be asked to end the job",
    )
    wait_until(
        lambda: [each.state for each in cloud.loads(green, str(month))] == ["failed"],
        timeout=WAIT / 1000,
        what="the ledger to say that the load has failed",
    )
    expect(cell(page, "bigquery", month)).to_have_attribute("data-state", "failed")
    wait_until(lambda: cloud.staging_tables() == [], timeout=WAIT / 1000, what="the staging tables to be gone")
    assert cloud.ids(green, str(month)) == []


def test_a_person_approves_a_correction_of_bigquery(
    page: Page, taxi: TaxiAirflow, client: Client, cloud: Cloud
) -> None:
    """The last test: from it on, the DAGs of green taxis ask."""
    month, green = Month(2021, 7), load_source(SOURCES_FOLDER / "green.yaml")  # as Airflow's loads have it
    path = taxi.airflow.home.parent / "mirror" / green.file_path(month)
    # No sample that is known: the rows of those may go.
    write_sample_month(green, month, path, rows=ROWS, revision=1)
    published = cloud.load(green, str(month), path).inserted
    write_gzip(path, lines_of(path)[: 1 + ROWS // 2])
    dags = taxi.airflow.home / "dags"
    dags.unlink()
    dags.symlink_to(Path(__file__).with_name("asking_dags"))
    open_board(page, client)
    load_by_board(page, month)
    waits = "SELECT run_id FROM task_instance WHERE task_id = 'bigquery.merge_month' AND state = 'awaiting_input'"
    ((run_id,),) = wait_until(lambda: taxi.airflow.query(waits), timeout=WAIT / 1000, what="the question")
    # Else Airflow may take the end of the process that has asked for that of the answered task, and asks once more.
    end = re.compile(rf"executor event with state success .*task_id='bigquery\.merge_month', .*green__{month}'")
    log = taxi.airflow.home / "scheduler.log"
    wait_until(lambda: end.search(log.read_text()), timeout=WAIT / 1000, what="the end of the process that has asked")
    task = f"/dags/taxi/dagRuns/{quote(run_id)}/taskInstances/bigquery.merge_month/-1/hitlDetails"
    asked = taxi.airflow.rest(task)
    deleted = f"would delete {published - ROWS // 2} of the {published} published rows"
    assert (asked["options"], deleted in asked["body"]) == (["Approve", "Reject"], True)
    assert len(cloud.ids(green, str(month))) == published

    taxi.airflow.rest(task, "PATCH", {"chosen_options": ["Approve"], "params_input": {}})
    expect(page.locator(".press").first).to_contain_text("1 ended well")
    expect(cell(page, "bigquery", month)).to_have_attribute("data-state", "published")
    assert [each.state for each in cloud.loads(green, str(month))] == ["published", "published"]
    assert digest(cloud.ids(green, str(month))) == specified(green, path)
    assert cloud.staging_tables() == []


def open_board(page: Page, client: Client) -> None:
    sign_in(page, client)
    page.goto("/taxiway/board")
    page.locator("body[data-ready]").wait_for()


def cell(page: Page, warehouse: str, month: Month) -> Locator:
    return page.locator(f"[data-warehouse={warehouse}] [data-dag-id^=taxi_green] [data-month='{month}']")


def load_by_board(page: Page, month: Month) -> None:
    """Load a month into BigQuery."""
    cell(page, "bigquery", month).click(modifiers=["Control"])
    page.get_by_role("button", name="Load 1 month").click()


def found(page: Page, name: str, value: str, count: int) -> list[str]:
    """Filter the page of all runs by one thing alone; return the ids of those that it shows."""
    links = page.locator("tbody tr").get_by_role("link").filter(has_text=re.compile("__|tripdata"))
    if (reset := page.get_by_role("button", name="Reset")).is_visible():
        shown = links.count()
        reset.click()
        expect(links).not_to_have_count(shown)
    page.get_by_test_id("add-filter-button").click()
    page.get_by_role("menuitem", name=name, exact=True).click()
    if name == "Run Type":
        page.get_by_role("combobox").click()
        page.get_by_role("option", name=value).click()
    else:
        page.keyboard.type(value)
        page.keyboard.press("Enter")
    expect(links).to_have_count(count)
    return sorted(links.all_inner_texts())


def wait_for_success(page: Page, taxi: TaxiAirflow, dag_id: str) -> None:
    """Wait until the run is over; on an empty page, for one of Airflow's draws what goes on all the time."""
    page.goto("about:blank")
    over = "SELECT state FROM dag_run WHERE dag_id = %s AND run_type = 'manual' AND state IN ('success', 'failed')"
    state = wait_until(
        lambda: taxi.airflow.query(over, dag_id),
        timeout=WAIT / 1000,
        what="the run to end",
    )
    assert state == [("success",)]
