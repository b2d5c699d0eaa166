"""The board: its routes on a real API server, and its page in a real browser inside Airflow's own web UI."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, Route, expect

from taxiway.errors import DestructiveCorrectionError
from taxiway.loads.month_state import STATES
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local.samples import write_sample_month
from tests.browser import WAIT, start_browser
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import PASSWORD, PATIENCE, wait_until
from tests.integration.board_airflow import (
    CHANGED,
    FAILED,
    HOSTILE,
    MISSING,
    ONLY_GREEN,
    ONLY_ZONES,
    PUBLISHED,
    READER,
    REJECTED,
    ROWS,
    RUNNING,
    SKIPPED,
    WARNED,
    board_airflow,
)
from tests.integration.dag_rights import CANCELS, DELETES, EDITS, LOGS, NO_LOGS, STARTS, UNPAUSES
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.web_client import Client, open_page
from tests.loading import begin_load, by_hand, lines_of, load, source_file, write_gzip
from tests.receivers import Receivers, receivers

BOARD = "/taxiway/board"
MONTHS = "/taxiway/api/months?warehouse=postgres"
GREEN_MONTH = f"/taxiway/api/months/taxi_green/{REJECTED}"
REJECTED_LINES = f"{GREEN_MONTH}/rejected?load_id=1"
CHART = "/taxiway/charts/rows.svg?warehouse=postgres"
STATIC = "/taxiway/static/board.js"
RUNS = "/taxiway/api/runs"
EVERY_ROUTE = (BOARD, MONTHS, GREEN_MONTH, REJECTED_LINES, RUNS, CHART, STATIC)
TAXI = "/api/v2/dags/taxi"
CUT_OFF, GONE = Month(2020, 3), Month(2020, 4)
"""Months whose loads had begun when their runs were marked, and deleted."""
HELD_BACK = Month(2020, 5)
"""A month whose last load would have deleted most of its rows."""

RIGHTS = ("may_load", "may_cancel", "may_unpause")
MOST_RUNS = 2_000
"""As the module runs has it, which takes long to import."""


@pytest.fixture(scope="module")
def green() -> Source:
    return load_source(SOURCES_FOLDER / "green.yaml")


@pytest.fixture(scope="module")
def taxi(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, green: Source
) -> Iterator[TaxiAirflow]:
    with board_airflow(tmp_path_factory.mktemp("board") / "b", postgres_server, green) as taxi:
        yield taxi


@pytest.fixture(scope="module")
def client(taxi: TaxiAirflow) -> Client:
    return Client(taxi.airflow.base_url)


# --- Who may ask


@pytest.mark.parametrize("path", EVERY_ROUTE)
def test_a_route_answers_nobody_without_a_login(client: Client, path: str) -> None:
    assert client.get(path, None)[0] == 401
    assert client.get(path, None, Authorization="Bearer forged")[0] in (401, 403)
    assert client.get(path, READER)[0] == 200


def test_every_route_of_the_board_is_asked(taxi: TaxiAirflow, tmp_path: Path) -> None:
    program = tmp_path / "routes.py"
    program.write_text(
        "import json\n"
        "from taxiway.board.app import create_app\n"
        "print(json.dumps([[route.path, *route.methods] for route in create_app().routes]))\n"
    )
    said, _ = taxi.airflow.popen(program=program).communicate(timeout=PATIENCE * 120)
    (routes,) = [json.loads(line) for line in said.splitlines() if line.startswith("[[")]

    assert {method for _, *methods in routes for method in methods} == {"GET"}
    asked = [path.partition("?")[0].removeprefix("/taxiway") for path in EVERY_ROUTE]
    found = [[path for path in asked if re.fullmatch(re.sub("{[a-z_]+}", "[^/]+", route), path)] for route, _ in routes]
    assert sorted(found) == sorted([path] for path in asked)


def log_in(page: Page) -> None:
    page.wait_for_url("**/auth/login*")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_browser_is_led_to_the_login_and_back_also_when_its_session_has_ended(
    chromium: Browser, client: Client
) -> None:
    page = chromium.new_context(base_url=client.address).new_page()
    page.set_default_timeout(WAIT)
    for path in ("/taxiway-reports/", f"{BOARD}?dag_id=taxi_green"):
        assert client.get(path, None)[0] == 401
        page.context.clear_cookies()
        page.goto(path)
        log_in(page)
        page.wait_for_url(f"**{path}")

    grid = ready(page)
    page.context.clear_cookies()
    cell(grid, PUBLISHED).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("You are no longer logged in.")
    dialog.get_by_role("link", name="Log in again").click()
    log_in(page)
    page.wait_for_url(f"**{BOARD}?dag_id=taxi_green")
    ready(page)


def test_the_board_says_nothing_about_its_own_routes(client: Client) -> None:
    for path in ("/taxiway/docs", "/taxiway/redoc", "/taxiway/openapi.json", "/taxiway/static/../app.py"):
        assert client.get(path)[0] == 404


def test_rights_on_another_dag_show_nothing_of_this_one(client: Client) -> None:
    for path in (GREEN_MONTH, REJECTED_LINES):
        assert client.get(path, ONLY_ZONES)[0] == 403
    assert [source["dag_id"] for source in client.json(MONTHS, ONLY_ZONES)["sources"]] == ["taxi_zones"]
    assert client.json(f"{MONTHS}&dag_id=taxi_green", ONLY_ZONES)["sources"] == []
    assert client.json("/taxiway/api/months/taxi_zones/whole", ONLY_ZONES)["attempts"] == []
    assert "green" in client.get(CHART)[1]
    assert "green" not in client.get(CHART, ONLY_ZONES)[1]
    of_bigquery = CHART.replace("postgres", "bigquery")
    assert "isn't set up" in client.get(of_bigquery)[1]
    assert client.get(of_bigquery, ONLY_ZONES)[0] == 403


def test_rejected_lines_need_the_rights_to_read_runs_and_logs(client: Client) -> None:
    assert client.get(GREEN_MONTH, NO_LOGS)[0] == 200
    assert client.get(REJECTED_LINES, NO_LOGS)[0] == 403
    for path in (GREEN_MONTH, REJECTED_LINES):
        assert client.get(path, LOGS)[0] == 403
    assert client.json(MONTHS, LOGS)["sources"] == []


@pytest.mark.parametrize(
    ("user", "rights"),
    [
        (NO_LOGS, ()),
        (EDITS, ()),
        (DELETES, ()),
        (CANCELS, ("may_cancel",)),
        (STARTS, ("may_load",)),
        (UNPAUSES, ("may_unpause",)),
    ],
)
def test_a_user_is_offered_what_airflow_allows(client: Client, user: str, rights: tuple[str, ...]) -> None:
    """The page cancels by both actions of one request; each right is asked for by the route that needs it."""
    told = client.json(RUNS, user)
    assert tuple(right for right in RIGHTS if told[right]) == rights

    run = {"logical_date": None, "conf": {"taxi": "nothing"}, "dag_run_id": "manual__nothing"}
    entities = {"delete": ["none"], "update": [{"dag_run_id": "none", "state": "failed"}]}
    both = {
        "actions": [
            {"action": action, "action_on_non_existence": "skip", "entities": entities[action]} for action in entities
        ]
    }
    allowed = {
        "may_load": client.send("POST", f"{TAXI}/dagRuns", run, user)[0] != 403,
        "may_cancel": client.send("PATCH", f"{TAXI}/dagRuns", both, user)[0] != 403,
        "may_unpause": client.send("PATCH", TAXI, {"is_paused": False}, user)[0] != 403,
    }
    assert tuple(right for right in RIGHTS if allowed[right]) == rights


# --- What the routes take, and say


@pytest.mark.parametrize(
    "path",
    [
        "/taxiway/api/months?warehouse=oracle",
        "/taxiway/api/months",
        "/taxiway/api/months/taxi_green/2019-13",
        "/taxiway/api/months/taxi_green/2019-1",
        "/taxiway/api/months/taxi_green%27/2019-01",
        f"{GREEN_MONTH}/rejected",
        f"{GREEN_MONTH}/rejected?load_id=1%27%20OR%201=1",
        f"{REJECTED_LINES}&sort=raw_line",
        "/taxiway/charts/other.svg?warehouse=postgres",
        f"{CHART}&theme=pink",
    ],
)
def test_what_is_no_warehouse_month_dag_or_order_is_refused(client: Client, path: str) -> None:
    assert client.get(path)[0] == 422


@pytest.mark.parametrize(("dag_id", "status"), [("taxi_watch", 404), ("taxi_nothing", 404), ("taxi", 404)])
def test_a_dag_that_loads_no_months_is_not_found(client: Client, dag_id: str, status: int) -> None:
    code, text, _ = client.get(f"/taxiway/api/months/{dag_id}/2019-01")

    assert code == status
    assert "expected one of taxi_fhv, " in text


def test_each_state_has_what_is_known_of_it(client: Client, green: Source) -> None:
    (source,) = [each for each in client.json(MONTHS)["sources"] if each["name"] == "green"]
    months = {month["month"]: month for month in source["months"]}

    assert {month["state"] for month in months.values()} <= set(STATES)
    states = {PUBLISHED: "published", WARNED: "with warnings", CHANGED: "changed at the source", FAILED: "failed",
              RUNNING: "running", REJECTED: "published", Month(2019, 7): "missing",
              SKIPPED: "skipped"}  # fmt: skip
    assert {month: months[str(month)]["state"] for month in states} == states
    published = months[str(REJECTED)]
    assert (published["rows"], published["rejected"], published["file"]) == (
        ROWS - 1,
        1,
        green.filename(REJECTED),
    )
    assert {"bytes", "layout", "seconds", "at"} <= set(published)
    assert source["releases"][published["release"]] == "2019-01 to 2021-07, csv.gz from tlc_mirror"
    assert months[str(WARNED)]["warnings"] == ["it is odd"]
    assert months[str(CHANGED)]["seen"] == "another version"
    assert "the header doesn't fit" in months[str(FAILED)]["error"]
    assert source["next"]["month"] == "2019-07"
    assert source["next"]["is_late"]
    assert "due" in source["months"][-1]


def test_attempts_have_their_runs_and_rejected_lines_their_reasons(client: Client) -> None:
    (attempt,) = client.json(f"/taxiway/api/months/taxi_green/{PUBLISHED}")["attempts"]
    assert (attempt["dag_id"], attempt["state"], attempt["is_there"]) == ("taxi_green", "published", True)
    assert attempt["run_id"].startswith("manual__")
    assert "seconds" not in attempt, "a run of dags test begins on its logical date"

    (failed,) = client.json(f"/taxiway/api/months/taxi_green/{FAILED}")["attempts"]
    assert (failed["dag_id"], failed["run_id"]) == ("taxi", "a run")
    assert "is_there" not in failed

    (attempt,) = client.json(GREEN_MONTH)["attempts"]
    assert (attempt["rows"], attempt["rejected"]) == (ROWS - 1, 1)
    for sort in ("line", "reason"):
        (line,) = client.json(f"{GREEN_MONTH}/rejected?load_id={attempt['load_id']}&sort={sort}")["lines"]
        assert line["line"] == 2
        assert HOSTILE in line["text"]
        assert "expected a time" in line["reason"]
    # The lines of a load belong to its month alone.
    for absent in ("abc", "9" * 19):
        assert client.json(f"{GREEN_MONTH}/rejected?load_id={absent}") == {"problem": "", "lines": []}
    other = client.json(f"/taxiway/api/months/taxi_green/{PUBLISHED}/rejected?load_id={attempt['load_id']}")
    assert other["lines"] == []


def test_every_answer_keeps_foreign_scripts_out(client: Client) -> None:
    for path in EVERY_ROUTE:
        headers = client.get(path)[2]
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy or path == CHART
        assert headers["x-content-type-options"] == "nosniff"
    page = client.get(f"{BOARD}?dag_id=%3Cscript%3Ealert(1)%3C/script%3E")[1]
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert re.findall(r"<script[^>]*>", page) == [
        '<script src="static/theme.js">',
        '<script type="module" src="static/board.js">',
    ]


def test_a_browser_that_has_a_file_gets_no_second_one(client: Client) -> None:
    tag = client.get(STATIC)[2]["etag"]

    assert client.get(STATIC, **{"If-None-Match": tag})[:2] == (304, "")


# --- The page


@pytest.fixture(scope="module")
def browser(taxi: TaxiAirflow) -> Iterator[Browser]:
    with start_browser() as browser:
        yield browser


@pytest.fixture
def chromium(browser: Browser) -> Iterator[Browser]:
    """The browser; a page that a test left open would go on asking the API server."""
    yield browser
    for context in browser.contexts:
        context.close()


def ready(page: Page | FrameLocator) -> Locator:
    """Wait until the months are there; return the grid of the green taxis."""
    page.locator("body[data-ready]").wait_for()
    grid = page.locator("[data-warehouse=postgres] [data-dag-id=taxi_green]")
    expect(grid.locator("[data-month='2019-01']")).to_be_visible()
    return grid


def cell(grid: Locator, month: Month) -> Locator:
    return grid.locator(f"[data-month='{month}']")


def overflow(page: Page | FrameLocator) -> int:
    """Return by how many pixels the page is wider than the window."""
    return int(page.locator("html").evaluate("page => page.scrollWidth - page.clientWidth"))


def states_that_differ(page: Page | FrameLocator) -> set[str]:
    """Return the states of the page's months; each must have a sign of its own, and a look."""
    found = page.locator("body").evaluate(
        """body => Object.fromEntries([...body.querySelectorAll("[data-month]")].map(cell => {
            const { backgroundColor, backgroundImage, border } = getComputedStyle(cell);
            return [cell.dataset.state, [cell.textContent, `${backgroundColor} ${backgroundImage} ${border}`]];
        }))"""
    )
    assert len({sign for sign, _ in found.values()}) == len({look for _, look in found.values()}) == len(found), found
    return set(found)


def overlaps(page: Page | FrameLocator) -> list[str]:
    """Return what lies over something else on the page, or beside it, or doesn't hold its own text."""
    found = page.locator("html").evaluate(
        """() => {
          scrollTo(0, 0);
          const shown = "button, a, input, label, summary, p, h1, h2, h3, .legend li, [data-month]";
          const all = [...document.querySelectorAll(shown)].filter((element) =>
            element.checkVisibility() && !element.closest(".tip"));
          const boxes = all.flatMap((element) => [...element.getClientRects()].map((box) => ({ element, box })));
          const called = ({ dataset, tagName, textContent }) => dataset.month ?? `${tagName} ${textContent}`;
          const found = all.filter((element) => element.clientWidth && element.scrollWidth > element.clientWidth + 1)
            .map((element) => `${called(element)} is too narrow`);
          boxes.forEach(({ element, box }, place) => {
            if (box.left < 0 || box.right > innerWidth) found.push(`${called(element)} is outside`);
            for (const { element: other, box: beside } of boxes.slice(place + 1)) {
              if (element.contains(other) || other.contains(element)) continue;
              const width = Math.min(box.right, beside.right) - Math.max(box.left, beside.left);
              const height = Math.min(box.bottom, beside.bottom) - Math.max(box.top, beside.top);
              if (width > 1 && height > 1) found.push(`${called(element)} is over ${called(other)}`);
            }
          });
          return found;
        }"""
    )
    return [str(each) for each in found]


def test_the_board_is_a_tab_of_a_dag_and_a_page_of_airflow(chromium: Browser, client: Client, green: Source) -> None:
    """In one page: Airflow's own is seven megabytes of scripts."""
    page = open_page(chromium, client, "/dags/taxi_green/details")
    page.get_by_role("link", name="Months", exact=True).click()
    page.wait_for_url("**/dags/taxi_green/plugin/taxi-dag-months")
    frame = page.frame_locator("iframe")
    ready(frame)
    expect(frame.locator(".source")).to_have_count(1)
    expect(frame.get_by_role("heading", name="Months of taxi_green")).to_be_visible()
    # Airflow's dark mode is the page's, at once.
    background = "body => getComputedStyle(body).backgroundColor"
    light = frame.locator("body").evaluate(background)
    for before, after in (("light", "dark"), ("dark", "light")):
        page.evaluate(f"document.documentElement.classList.replace('{before}', '{after}')")
        expect(frame.locator(f"html[data-theme={after}]")).to_have_count(1)
        assert (frame.locator("body").evaluate(background) == light) == (after == "light")

    # From there to all months, by Airflow's navigation.
    page.get_by_role("link", name="Taxiway", exact=True).click()
    page.wait_for_url("**/plugin/taxi-months")
    expect(frame.get_by_role("heading", name="Taxi months")).to_be_visible()
    ready(frame)

    # As a page that is opened directly, it loads without an error.
    page.said.clear()  # type: ignore[attr-defined]
    page.reload()
    grid = ready(frame)
    expect(frame.get_by_role("heading", name="Taxi months")).to_be_visible()
    assert page.said == []  # type: ignore[attr-defined]

    # Each state has a look and a sign of its own, and the legend counts them.
    assert states_that_differ(frame) == set(STATES)
    assert overflow(frame) == 0
    months = (PUBLISHED, WARNED, CHANGED, FAILED, RUNNING, Month(2019, 7))
    looks = [
        cell(grid, month).evaluate("cell => [cell.textContent, getComputedStyle(cell).backgroundColor]")
        for month in months
    ]
    assert len({sign for sign, _ in looks}) == len({color for _, color in looks}) == len(months)
    sources = client.json(MONTHS)["sources"]
    counts = Counter(month["state"] for source in sources for month in source["months"])
    for state, count in (("published", 2), ("failed", 1), ("running", 1), ("changed at the source", 1), ("skipped", 1)):
        assert counts[state] == count
    for state in ("queued", *STATES):
        expect(frame.locator(f".legend [data-state='{state}'] b")).to_have_text(f"{counts[state]:,}")
    expect(frame.get_by_text("BigQuery isn't set up")).to_be_visible()
    # One number says how many are missing, and it is below the grid.
    late = re.compile("^[0-9]{4}-[0-9]{2} was expected by [0-9]{4}-[0-9]{2}-[0-9]{2}$")
    expect(frame.locator("[data-dag-id=taxi_green] .late")).to_have_text(late)

    # The pointer shows what is known of a month.
    cell(grid, WARNED).hover()
    tip = frame.get_by_role("tooltip")
    expect(tip).to_contain_text("green 2019-02: published with warnings")
    for text in ("Rows30", "Warningit is odd", "green_tripdata_2019-02.csv", "csv.gz from tlc_mirror"):
        expect(tip).to_contain_text(text)
    cell(grid, REJECTED).hover()
    expect(tip).to_contain_text(f"green {REJECTED}: published")
    (months_of_green,) = [source["months"] for source in sources if source["name"] == "green"]
    (told,) = [month for month in months_of_green if month["month"] == str(REJECTED)]
    size = f"{told['bytes'] / 1000:.1f} kB" if told["bytes"] >= 1000 else f"{told['bytes']} bytes"
    assert dict(zip(tip.locator("dt").all_text_contents(), tip.locator("dd").all_text_contents(), strict=True)) == {
        "Rows": str(ROWS - 1),
        "Rejected": "1",
        "File": f"{green.filename(REJECTED)}, {size}",
        "Release": "2019-01 to 2021-07, csv.gz from tlc_mirror",
        "Layout": green.layout_of(REJECTED).name,
        "Took": f"{told['seconds']:.1f} s",
        "Published": f"{datetime.fromisoformat(told['at']).astimezone():%Y-%m-%d %H:%M}",
    }

    # On a phone, Airflow's own navigation leaves less room for what is selected.
    page.set_viewport_size({"width": 390, "height": 844})
    for month in MISSING[:2]:
        cell(grid, month).click(modifiers=["Control"])
    expect(frame.get_by_role("button", name="Load 2 months")).to_be_visible()
    expect(frame.get_by_text("Airflow's scheduler isn't running")).to_be_visible()
    box = page.locator("iframe").bounding_box()
    assert box is not None
    assert 0 <= box["x"] < box["x"] + box["width"] <= 390
    assert (overlaps(frame), overflow(frame)) == ([], 0)
    page.set_viewport_size({"width": 1280, "height": 900})
    frame.get_by_role("button", name="Clear").click()

    # A click opens a month, whose run is a page of Airflow, outside the frame.
    cell(grid, PUBLISHED).click()
    link = frame.get_by_role("dialog").get_by_role("link", name=re.compile("taxi_green manual__"))
    link.click()
    page.wait_for_url(re.compile("/dags/taxi_green/runs/manual__"))
    assert page.said == []  # type: ignore[attr-defined]


def test_the_keyboard_reaches_everything(chromium: Browser, client: Client) -> None:
    page = open_page(chromium, client, f"{BOARD}?dag_id=taxi_green")
    grid = ready(page)
    tip = page.get_by_role("tooltip")

    page.get_by_role("link", name="taxi_green").focus()
    page.keyboard.press("Tab")
    expect(cell(grid, PUBLISHED)).to_be_focused()
    expect(tip).to_contain_text("2019-01: published")
    expect(cell(grid, PUBLISHED)).to_have_attribute("aria-describedby", "tip")
    for key, month in (("ArrowRight", "2019-02"), ("ArrowDown", "2020-02"), ("End", "2020-12"),
                       ("ArrowRight", "2021-01"), ("ArrowLeft", "2020-12"), ("Home", "2020-01"),
                       ("ArrowUp", "2019-01"), ("ArrowUp", "2019-01")):  # fmt: skip
        page.keyboard.press(key)
        expect(grid.locator(f"[data-month='{month}']")).to_be_focused()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()

    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("green 2019-06: published")
    # Lines of files are text, whatever stands in them.
    # Somebody asks twice, and the first answer comes last.
    asked = list[Route]()
    page.route("**/rejected?*", lambda route: asked.append(route))
    for _ in range(2):
        with page.expect_request("**/rejected?*"):
            dialog.get_by_role("button", name="Show 1 rejected line").press("Enter")
    page.evaluate("0")  # a request is told before its route
    first, second = asked
    second.continue_()
    expect(dialog.get_by_text(HOSTILE)).to_be_visible()
    with page.expect_request_finished(lambda request: request == first.request):
        first.continue_()
    page.unroute("**/rejected?*")
    expect(dialog.get_by_text(HOSTILE)).to_have_count(1)
    dialog.get_by_role("button", name="Reason").press("Enter")
    expect(dialog.locator("th[aria-sort=ascending]")).to_have_text("Reason")
    assert page.title() == "Taxi months"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(cell(grid, REJECTED)).to_be_focused()
    assert page.said == []  # type: ignore[attr-defined]


def test_a_phone_and_dark_colours(chromium: Browser, client: Client, taxi: TaxiAirflow) -> None:
    page = open_page(chromium, client, BOARD, viewport={"width": 390, "height": 844}, color_scheme="dark")
    grid = ready(page)
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    assert overflow(page) == 0

    page.emulate_media(color_scheme="light")
    expect(page.locator("html[data-theme=light]")).to_have_count(1)
    assert page.evaluate(background) != dark
    # A chart that can't be drawn is tried again, and each is drawn again when what it shows has changed.
    page.route("**/charts/seconds.svg*", lambda route: route.abort(), times=1)
    page.get_by_text("Charts", exact=True).click()
    images = page.locator(".charts img")
    expect(page.get_by_text("This chart can't be drawn now: Postgres: load seconds")).to_be_visible()
    expect(images).to_have_count(4)
    before = [image.get_attribute("src") for image in images.all()]
    with taxi.connect() as connection:
        by_hand(connection, "UPDATE taxiway.loads SET finished_at = finished_at + '1 s' WHERE month = '2019-02-01'")
        expect(images.first).not_to_have_attribute("src", str(before[0]))
    for image in images.all():
        assert image.evaluate("image => image.naturalWidth") > 0
    page.said.clear()  # type: ignore[attr-defined]
    cell(grid, FAILED).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("tbody")).to_contain_text("the header doesn't fit")
    box = dialog.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    # The table is wider than the box; what went wrong is read without moving it.
    reason = dialog.locator("tr.text div").first.bounding_box()
    assert reason is not None
    assert reason["x"] + reason["width"] <= box["x"] + box["width"]
    assert overflow(page) == 0
    page.set_viewport_size({"width": 1280, "height": 900})
    assert overflow(page) == 0
    assert page.said == []  # type: ignore[attr-defined]


def test_a_browser_runs_no_foreign_script(chromium: Browser, client: Client) -> None:
    page = open_page(chromium, client, f"{BOARD}?dag_id=taxi_watch")
    expect(page.get_by_text("The DAG taxi_watch loads no months.")).to_be_visible()
    refused = page.evaluate(
        """() => new Promise((resolve) => {
          const refused = [];
          document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
            if (refused.push([effectiveDirective, blockedURI]) === 2) resolve(refused);
          });
          for (const script of [{ src: "http://foreign.test/a.js" }, { textContent: "document.title = 'foreign'" }]) {
            document.head.append(Object.assign(document.createElement("script"), script));
          }
          setTimeout(() => resolve(refused), 10_000);
        })"""
    )
    assert sorted(refused) == [["script-src-elem", "http://foreign.test/a.js"], ["script-src-elem", "inline"]]
    assert page.title() == "Taxi months"


def test_a_published_month_that_is_loaded_again_is_asked_for_often(
    chromium: Browser, client: Client, taxi: TaxiAirflow, tmp_path: Path
) -> None:
    yellow = load_source(SOURCES_FOLDER / "yellow.yaml")
    path = tmp_path / yellow.download_name(PUBLISHED)
    write_sample_month(yellow, PUBLISHED, path, rows=ROWS)
    with taxi.connect() as connection:
        load(connection, yellow, str(PUBLISHED), path)
    taxi.begin(yellow, PUBLISHED, path, "running", force=True)
    shown = str(PUBLISHED), "published"
    wait_until(lambda: shown in said_by_board(client, "yellow").items(), timeout=60, what="the board to ask again")
    page = open_page(chromium, client, "/taxiway/static/icon.svg")
    page.clock.install()
    page.goto(f"{BOARD}?dag_id=taxi_yellow")
    page.locator("body[data-ready]").wait_for()
    month = page.locator(f"[data-dag-id=taxi_yellow] [data-month='{PUBLISHED}']")
    expect(month).to_have_attribute("data-state", "published")

    # Nobody would wait a minute for that. What somebody has put away stays away.
    month.focus()
    page.keyboard.press("Escape")
    month.evaluate("cell => cell.dataset.before = ''")
    with page.expect_response(lambda answer: "api/months" in answer.url):
        page.clock.fast_forward(11_000)
    expect(month).not_to_have_attribute("data-before", "")
    expect(month).to_be_focused()
    expect(page.get_by_role("tooltip")).to_be_hidden()


# --- Load


@pytest.fixture
def board(chromium: Browser, client: Client) -> Page:
    """The page of the green taxis, as the user admin sees it."""
    return open_page(chromium, client, f"{BOARD}?dag_id=taxi_green")


@pytest.fixture
def no_runs_are_left(taxi: TaxiAirflow) -> Iterator[None]:
    """Delete what the page has started, for the tests that follow."""
    yield
    taxi.airflow.query("DELETE FROM dag_run WHERE run_id LIKE 'board\\_\\_%'")
    taxi.airflow.query("DELETE FROM dag_version WHERE version_number = 0")


def selected(page: Page) -> list[str]:
    return [str(month) for month in page.eval_on_selector_all(
        "[aria-selected=true]", "cells => cells.map(cell => cell.dataset.month)")]  # fmt: skip


def board_runs(taxi: TaxiAirflow) -> dict[str, str]:
    """Return the runs that the page has started: their states, by their months."""
    found = taxi.airflow.query(
        "SELECT conf ->> 'year' || '-' || (conf ->> 'month'), state FROM dag_run"
        " WHERE dag_id = 'taxi' AND run_id LIKE 'board\\_\\_%__postgres__green__%'"
    )
    return dict(found)


def test_who_may_not_start_runs_has_no_button_and_is_refused(chromium: Browser, client: Client) -> None:
    run = {"logical_date": None, "conf": {"taxi": "green", "year": "2019", "month": "07", "warehouse": "postgres"}}
    bulk = {"actions": [{"action": "delete", "entities": ["board__x"], "action_on_non_existence": "skip"}]}
    for user in (READER, ONLY_ZONES, ONLY_GREEN):
        told = client.json(RUNS, user)
        assert not any(told[right] for right in RIGHTS)
        assert client.send("POST", f"{TAXI}/dagRuns", run, user)[0] == 403
        assert client.send("PATCH", f"{TAXI}/dagRuns", bulk, user)[0] == 403
    told = client.json(RUNS, "admin")
    assert all(told[right] for right in RIGHTS)

    page = open_page(chromium, client, BOARD, user=READER)
    grid = ready(page)
    expect(page.locator(".tools")).to_be_hidden()
    expect(page.get_by_role("button", name="missing")).to_have_count(0)
    grid.locator("[data-month='2019-01']").click(modifiers=["Control"])
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.said == []  # type: ignore[attr-defined]


def test_months_are_selected_by_mouse_and_keyboard(board: Page, taxi: TaxiAirflow) -> None:
    grid = ready(board)
    load = board.locator(".tools .main")

    cell(grid, Month(2019, 7)).click(modifiers=["Control"])
    cell(grid, Month(2019, 9)).click(modifiers=["Shift"])
    assert selected(board) == ["2019-07", "2019-08", "2019-09"]
    expect(load).to_have_text("Load 3 months")
    cell(grid, Month(2019, 8)).click(modifiers=["Control"])
    assert selected(board) == ["2019-07", "2019-09"]
    board.get_by_role("button", name="Clear").click()
    assert selected(board) == []
    expect(load).to_be_hidden()

    # Dragging selects, and opens nothing; the other way round, too.
    cell(grid, Month(2020, 2)).hover()
    board.mouse.down()
    cell(grid, Month(2020, 4)).hover()
    cell(grid, Month(2019, 12)).hover()
    board.mouse.up()
    assert selected(board) == ["2019-12", "2020-01", "2020-02"]
    expect(board.get_by_role("dialog")).to_have_count(0)

    # In the select mode each click selects; Space does without it.
    board.get_by_role("button", name="Clear").click()
    board.get_by_role("button", name="Select", exact=True).click()
    cell(grid, FAILED).click()
    assert selected(board) == [str(FAILED)]
    # What is known of a month doesn't cover the cells that are selected.
    tip = board.get_by_role("tooltip")
    for keys in (("ArrowRight", "Space"), ("ArrowDown", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowLeft")):
        board.keyboard.press(keys[0])
        expect(tip).to_be_visible()
        for key in keys[1:]:
            board.keyboard.press(key)
        expect(tip).to_be_hidden()
    cell(grid, RUNNING).hover()
    expect(tip).to_contain_text(f"green {RUNNING}: running")
    assert selected(board) == [str(FAILED), str(RUNNING), "2020-05", "2020-06"]
    board.get_by_role("button", name="Clear").click()
    grid.get_by_role("button", name="1 failed").click()
    assert selected(board) == [str(FAILED)]

    # Many months are asked for twice. Nothing was started.
    grid.get_by_role("button", name=re.compile("[0-9]+ missing")).click()
    count = len(selected(board))
    assert count > 24
    load.click()
    dialog = board.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Load {count} months?")
    dialog.get_by_role("button", name="Don't load").click()
    expect(dialog).to_have_count(0)
    assert board_runs(taxi) == {}
    assert board.said == []  # type: ignore[attr-defined]


def test_a_pause_and_an_absent_scheduler_are_said(chromium: Browser, client: Client) -> None:
    assert client.send("PATCH", TAXI, {"is_paused": True}, "admin")[0] == 200
    board = open_page(chromium, client, f"{BOARD}?dag_id=taxi_green")
    grid = ready(board)
    cell(grid, MISSING[0]).click(modifiers=["Control"])
    load = board.get_by_role("button", name="Load 1 month")
    expect(load).to_be_disabled()
    expect(board.get_by_text("The DAG taxi, which loads selected months, is paused")).to_be_visible()
    expect(board.get_by_text("Airflow's scheduler isn't running")).to_be_visible()

    board.get_by_role("button", name="Unpause taxi").click()
    expect(load).to_be_enabled()
    assert not json.loads(client.get(TAXI)[1])["is_paused"]
    assert board.said == []  # type: ignore[attr-defined]


@pytest.mark.usefixtures("no_runs_are_left")
def test_what_airflow_has_done_is_asked_before_it_is_said(board: Page, client: Client, taxi: TaxiAirflow) -> None:
    """Without a scheduler, runs stay as they are until the test changes them."""
    grid, press, runs = ready(board), board.locator(".press").first, f"{TAXI}/dagRuns"
    first, second, third, fourth = MISSING[:4]

    def select(*months: Month) -> None:
        for month in months:
            cell(grid, month).click(modifiers=["Control"])

    def change(statement: str, month: Month) -> None:
        """Change a run in the metadata database."""
        taxi.airflow.query(f"{statement} WHERE run_id LIKE 'board\\_\\_%__green__{month}'")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    # Airflow has made the first run, and its answer is lost.
    board.route(f"**{runs}", lose, times=1)
    select(first, second)
    load = board.locator(".tools .main")
    load.click()
    expect(press).to_contain_text("2 months: 2 waiting")
    expect(board.locator(".legend [data-state=queued] b")).to_have_text("2")
    assert "queued" in states_that_differ(board)
    expect(board.get_by_text("started")).to_have_count(0)
    select(first, second)
    load.click()
    expect(board.get_by_text("All selected months load already.")).to_be_visible()

    # It refuses a run, or nobody knows.
    select(third, fourth)
    board.route(f"**{runs}", lambda route: route.continue_(post_data="{}"), times=1)
    load.click()
    refused = "Not started: green 2019-09 and 1 month after it. Airflow's API server says 422"
    expect(board.get_by_text(refused)).to_be_visible()
    board.route(f"**{runs}", lambda route: route.abort(), times=1)
    load.click()
    unknown = "Whether green 2019-09 was started isn't known. Not started: 1 month after it. Airflow's"
    expect(board.get_by_text(unknown)).to_be_visible()
    assert board_runs(taxi) == {str(first): "queued", str(second): "queued"}

    # A run that Airflow can't end goes on, and is named: the version of its DAG is gone.
    for month in (first, second):
        change("UPDATE dag_run SET state = 'running'", month)
    taxi.airflow.query(
        "INSERT INTO dag_version (id, version_number, dag_id, bundle_name, created_at, last_updated)"
        " SELECT gen_random_uuid(), 0, dag_id, bundle_name, '2020-01-01', '2020-01-01' FROM dag_version"
        " WHERE dag_id = 'taxi' LIMIT 1"
    )
    gone = "(SELECT id FROM dag_version WHERE version_number = 0)"
    change(f"UPDATE dag_run SET bundle_version = 'gone', created_dag_version_id = {gone}", first)
    expect(press).to_contain_text("2 running")
    cancel = press.get_by_role("button", name="Cancel the load")
    cancel.click()
    expect(board.get_by_text("Not cancelled: green 2019-07. The Dag with ID: `taxi` was not found")).to_be_visible()
    change("UPDATE dag_run SET state = 'failed', end_date = now()", second)
    expect(press).to_contain_text("1 cancelled, 1 running")

    # All of this has its place in a narrow window, too.
    expect(load).to_have_text("Load 2 months")
    expect(board.get_by_text("Airflow's scheduler isn't running")).to_be_visible()
    expect(cancel).to_be_visible()
    for width in (390, 1280):
        board.set_viewport_size({"width": width, "height": 900})
        assert overlaps(board) == []
        assert overflow(board) == 0

    # Its month is published while somebody cancels it.
    change("UPDATE dag_run SET bundle_version = NULL, created_dag_version_id = NULL", first)

    def publish(route: Route) -> None:
        change("UPDATE task_instance SET state = 'success'", first)
        change("UPDATE dag_run SET state = 'success', end_date = now()", first)
        route.continue_()

    board.route(f"**{runs}", publish, times=1)
    cancel.click()
    expect(press).to_contain_text("2 months: 1 ended well, 1 cancelled")
    assert board_runs(taxi) == {str(first): "failed", str(second): "failed"}

    # The other one is ended while merge_month doesn't run: Airflow calls it a success, and the page doesn't.
    change("UPDATE task_instance SET state = 'skipped'", second)
    change("UPDATE dag_run SET state = 'success'", second)
    asks_again = "document.dispatchEvent(new Event('visibilitychange'))"
    board.evaluate(asks_again)
    wait_until(lambda: board_runs(taxi)[str(second)] == "failed", timeout=60, what="the page to mark it")
    expect(press).to_contain_text("2 months: 1 ended well, 1 cancelled")

    # Airflow refuses to mark it. The page says so, and has asked only once, also before the answer.
    asked = list[Route]()

    def looks_again() -> bool:
        with board.expect_response("**/api/runs"):
            board.evaluate(asks_again)
        return bool(asked)

    board.route(f"**{runs}", lambda route: asked.append(route))
    change("UPDATE dag_run SET state = 'success'", second)
    wait_until(looks_again, timeout=60, what="the page to mark it again")
    looks_again()
    looks_again()
    asked[0].continue_(post_data="{}")
    said = "Not marked as failed: green 2019-08, which Airflow calls a success. Airflow's API server says 422"
    expect(board.get_by_text(said)).to_be_visible()
    looks_again()
    looks_again()
    assert [route.request.method for route in asked] == ["PATCH"]
    board.unroute(f"**{runs}")

    # Somebody clears it later.
    ((run_id,),) = taxi.airflow.query(f"SELECT run_id FROM dag_run WHERE run_id LIKE '%__green__{second}'")
    assert client.send("POST", f"{runs}/{run_id}/clear", {"dry_run": False}, "admin")[0] == 200
    change("UPDATE dag_run SET state = 'success', end_date = now()", second)
    expect(press).to_contain_text("2 months: 2 ended well")
    change("UPDATE dag_run SET state = 'failed'", second)
    board.evaluate(asks_again)
    expect(press).to_contain_text("2 months: 1 ended well, 1 failed. Failed: green 2019-08")


def test_of_too_many_runs_the_newest_are_shown(client: Client, taxi: TaxiAirflow) -> None:
    taxi.airflow.query(
        "INSERT INTO dag_run (dag_id, run_id, run_type, state, run_after, end_date, conf)"
        " SELECT 'taxi', 'board__press__postgres__green__' || number, 'manual', 'success', now(), now(), '{}'"
        f" FROM generate_series(1, {MOST_RUNS} + 1) AS number"
    )
    try:
        shown = [run["run_id"].rpartition("__")[2] for run in client.json(RUNS, "admin")["runs"]]
        # Who may not read the runs of taxi sees none.
        hidden = [client.json(RUNS, user)["runs"] for user in (ONLY_ZONES, ONLY_GREEN)]
    finally:
        taxi.airflow.query("DELETE FROM dag_run WHERE run_id LIKE 'board\\_\\_%'")

    assert shown == [str(number) for number in range(2, MOST_RUNS + 2)]
    assert hidden == [[], []]


@pytest.mark.usefixtures("no_runs_are_left")
def test_deletions_are_accepted_of_months_that_were_held_back_alone(
    chromium: Browser, client: Client, taxi: TaxiAirflow, green: Source, tmp_path: Path
) -> None:
    path = tmp_path / green.download_name(HELD_BACK)
    write_sample_month(green, HELD_BACK, path, rows=ROWS)
    cut = write_gzip(tmp_path / "cut.csv.gz", lines_of(path)[:11])
    with taxi.connect() as connection:
        load(connection, green, str(HELD_BACK), path, "manual__whole")
        with pytest.raises(DestructiveCorrectionError):
            load(connection, green, str(HELD_BACK), cut, "manual__cut")
    wait_until(lambda: said_by_board(client)[str(HELD_BACK)] == "failed", timeout=60, what="the board to ask again")
    page = open_page(chromium, client, f"{BOARD}?dag_id=taxi_green")
    grid, box = ready(page), page.get_by_label("Accept deletions")

    def toggle(month: Month) -> None:
        cell(grid, month).click(modifiers=["Control"])

    for month in (MISSING[0], FAILED):
        toggle(month)
    expect(page.get_by_role("button", name="Load 2 months")).to_be_visible()
    expect(box).to_be_hidden()
    # A tick holds for the months that the sentence has named.
    for _ in range(2):
        toggle(HELD_BACK)
        expect(box).not_to_be_checked()
        expect(page.get_by_text(f"The last load of green {HELD_BACK} would have deleted too many")).to_be_visible()
        box.check()
        toggle(HELD_BACK)
        expect(box).to_be_hidden()
    toggle(FAILED)
    toggle(HELD_BACK)
    box.check()
    page.get_by_role("button", name="Load 2 months").click()
    expect(page.locator(".press").first).to_contain_text("2 months: 2 waiting")
    confs = taxi.airflow.query("SELECT conf FROM dag_run WHERE run_id LIKE 'board\\_\\_%' ORDER BY id")
    of_each = [{"taxi": "green", "year": str(month.year), "month": f"{month.number:02d}", "warehouse": "postgres"}
               for month in (MISSING[0], HELD_BACK)]  # fmt: skip
    assert [conf for (conf,) in confs] == [of_each[0], {**of_each[1], "accept_deletions": True}]
    assert page.said == []  # type: ignore[attr-defined]

    # Airflow takes a boolean, and nothing else.
    run = {"logical_date": None, "conf": {**of_each[1], "accept_deletions": "yes"}}
    code, text, _ = client.send("POST", f"{TAXI}/dagRuns", run, "admin")
    assert (code, "accept_deletions" in text) == (400, True)


# --- What the ledger doesn't know


def said_by_command(taxi: TaxiAirflow) -> dict[str, dict[str, Any]]:
    done = taxi.airflow.run("taxi", "status", "--source", "green", "--output", "json")
    return {record["month"]: record for record in json.loads(done.stdout)}


def said_by_board(client: Client, name: str = "green") -> dict[str, str]:
    (source,) = [each for each in client.json(MONTHS)["sources"] if each["name"] == name]
    return {month["month"]: month["state"] for month in source["months"]}


def test_the_command_says_the_same_as_the_board(client: Client, taxi: TaxiAirflow, green: Source) -> None:
    file = next((taxi.airflow.home / "cache").rglob("*.csv.gz"))
    taxi.begin(green, CUT_OFF, file, "failed")
    taxi.begin(green, GONE, file, None)
    before = wait_until(
        lambda: found if (found := said_by_board(client))[str(GONE)] == "failed" else None,
        timeout=60,
        what="the board to ask Airflow",
    )
    records = said_by_command(taxi)
    shown = {month: state for month, state in before.items() if state not in ("not due", "no such month")}
    assert {month: record["state"] for month, record in records.items()} == shown
    assert before[str(CHANGED)] == "changed at the source"
    assert records[str(CHANGED)]["note"] == f"green {CHANGED}: another version"
    for month, is_there in ((CUT_OFF, True), (GONE, None)):
        note = records[str(month)]["note"]
        assert note.startswith(f"green {month}: its run has ended before the load did: ")
        assert f"To load it again: airflow dags backfill -s {month}-01 " in note
        (attempt,) = client.json(f"/taxiway/api/months/taxi_green/{month}")["attempts"]
        assert (attempt["state"], attempt.get("is_there")) == ("abandoned", is_there)
        assert attempt["error"].startswith("its run has ended before the load did: ")

    # A load has found the published bytes since the watch looked.
    path = taxi.airflow.home.parent / "mirror" / green.file_path(CHANGED)
    with taxi.connect() as connection:
        begin_load(connection, LoadTables(green, CHANGED, "manual__the_same"), lambda: source_file(path))
    last = f"SELECT last_state FROM taxiway.months WHERE source = 'green' AND month = '{CHANGED.first_day}'"
    assert taxi.query(last) == [("unchanged",)]
    wait_until(lambda: said_by_board(client)[str(CHANGED)] == "published", timeout=60, what="the board to ask again")
    assert said_by_command(taxi)[str(CHANGED)]["state"] == "published"


# --- Loads by a scheduler


@pytest.fixture(scope="module")
def scheduler(taxi: TaxiAirflow) -> Iterator[None]:
    with taxi.airflow.services("scheduler"):
        yield


def test_missing_months_of_a_paused_dag_are_loaded(board: Page, taxi: TaxiAirflow, scheduler: None) -> None:
    assert taxi.airflow.query("SELECT is_paused FROM dag WHERE dag_id = 'taxi_green'") == [(True,)]
    grid = ready(board)
    first, second = MISSING[:2]
    cell(grid, REJECTED).focus()
    for key in ("ArrowRight", "Shift+ArrowRight"):
        board.keyboard.press(key)
    board.get_by_role("button", name="Load 2 months").press("Enter")

    press = board.locator(".press")
    expect(press).to_contain_text("by admin, 2 months")
    for month in (first, second):
        expect(cell(grid, month)).to_have_attribute("data-state", re.compile("queued|running"))
    for month in (first, second):
        expect(cell(grid, month)).to_have_attribute("data-state", "published")
    expect(press).to_contain_text("2 ended well")
    expect(press.get_by_role("button", name="Cancel")).to_have_count(0)
    assert board_runs(taxi) == {str(first): "success", str(second): "success"}
    assert taxi.query(f"SELECT count(*) FROM green_tripdata WHERE source_month = '{first.first_day}'") == [(ROWS,)]
    assert taxi.airflow.query("SELECT DISTINCT triggering_user_name FROM dag_run WHERE dag_id = 'taxi'") == [("admin",)]
    assert board.said == []  # type: ignore[attr-defined]


def test_a_load_of_selected_months_is_cancelled_and_nothing_stays_queued(
    board: Page, taxi: TaxiAirflow, scheduler: None
) -> None:
    grid = ready(board)
    months = MISSING[2:]
    staging = "SELECT tablename FROM pg_tables WHERE schemaname = 'taxiway_staging'"
    active = "state IN ('queued', 'running', 'scheduled', 'deferred', 'up_for_retry')"
    tasks = f"SELECT task_id FROM task_instance WHERE dag_id = 'taxi' AND {active}"
    cell(grid, months[0]).click(modifiers=["Control"])
    cell(grid, months[-1]).click(modifiers=["Shift"])

    def states() -> list[str]:
        runs = board_runs(taxi)
        return [runs[str(month)] for month in months if str(month) in runs]

    # The first load has staged its rows when it is held up, the others get no further than the ledger's first line.
    with taxi.connect() as connection:
        by_hand(
            connection,
            "CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;"
            "CREATE TRIGGER hold_up BEFORE INSERT OR UPDATE ON taxiway.loads FOR EACH ROW"
            f" WHEN (NEW.rows_staged IS NOT NULL OR NEW.month <> '{months[0].first_day}') EXECUTE FUNCTION hold_up()",
        )
    with taxi.connect() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(1)")
        board.get_by_role("button", name=f"Load {len(months)} months").click()
        wait_until(lambda: sorted(states()) == ["queued", "queued", *["running"] * 4], timeout=120, what="four runs")
        wait_until(lambda: ("postgres.hash_rows",) in taxi.airflow.query(tasks), timeout=120, what="staged rows")
        assert taxi.query(staging) != []
        # Whoever comes back finds the load as it is.
        board.reload()
        grid = ready(board)
        expect(cell(grid, months[-1])).to_have_attribute("data-state", "queued")
        board.get_by_role("button", name="Cancel the load").click()
        wait_until(lambda: "queued" not in states(), timeout=120, what="nothing to wait")
        wait_until(lambda: "running" not in states(), timeout=180, what="the runs to end")
    wait_until(lambda: states() == ["failed"] * 4, timeout=60, what="Airflow to call them failed")
    expect(board.locator(".press").first).to_contain_text("4 cancelled")
    assert taxi.airflow.query(tasks) == []
    assert taxi.query(staging) == []
    for month in months:
        expect(cell(grid, month)).to_have_attribute("data-state", re.compile("missing|failed"))
    notes = "SELECT count(*) FROM dag_run_note WHERE content LIKE 'Cancelled on the board, 2%'"
    assert taxi.airflow.query(notes) == [(4,)]
    assert board.said == []  # type: ignore[attr-defined]
    with taxi.connect() as connection:
        connection.execute("DROP FUNCTION hold_up() CASCADE")


@pytest.fixture
def told(taxi: TaxiAirflow) -> Iterator[Receivers]:
    """All who are told that a person has to approve."""
    channels = [{"by": "mail", "to": ["ann@example.com"]}, {"by": "slack"}, {"by": "webhook", "path": "hook"}]
    alerts = json.dumps([{**each, "about": ["approval"]} for each in channels])
    with receivers() as found:
        taxi.airflow.rest("/variables", "POST", {"key": "taxiway_alerts", "value": alerts})
        for name, connection in found.connections.items():
            taxi.airflow.rest("/connections", "POST", {"connection_id": name, **connection})
        yield found


def test_a_person_approves_a_correction_on_airflows_own_page(
    board: Page, taxi: TaxiAirflow, green: Source, scheduler: None, told: Receivers
) -> None:
    """From the board to the question, of which everybody is told, and whose answer the board shows."""
    dags = taxi.airflow.home / "dags"
    dags.unlink()
    dags.symlink_to(Path(__file__).with_name("asking_dags"))
    path = taxi.airflow.home.parent / "mirror" / green.file_path(REJECTED)
    half = lines_of(path)[: 1 + ROWS // 2]
    write_gzip(path, [half[0], *half[2:]])  # without the line that was rejected
    left = ROWS // 2 - 1
    grid = ready(board)
    cell(grid, REJECTED).click(modifiers=["Control"])
    board.get_by_role("button", name="Load 1 month").click()
    waits = "SELECT 1 FROM task_instance WHERE dag_id = 'taxi' AND state = 'awaiting_input'"
    wait_until(lambda: taxi.airflow.query(waits), timeout=WAIT / 1000, what="the question")
    # Else Airflow may take the end of the process that has asked for that of the answered task, and asks once more.
    end = re.compile(rf"executor event with state success .*task_id='postgres\.merge_month', .*green__{REJECTED}'")
    log = taxi.airflow.home / "scheduler.log"
    wait_until(lambda: end.search(log.read_text()), timeout=WAIT / 1000, what="the end of the process that has asked")
    subjects = wait_until(told.told_by_all, timeout=WAIT / 1000, what="a message to each of them")
    assert subjects == [f"Taxiway: green {REJECTED}, Postgres: needs approval"]

    address = board.url
    cell(grid, REJECTED).click()
    dialog = board.get_by_role("dialog")
    expect(dialog).to_contain_text("waits for a person to approve")
    run = dialog.get_by_role("link", name=re.compile("taxi board__")).first.evaluate("link => link.href")
    assert "/dags/taxi/runs/board__" in run
    board.goto(f"{run}/tasks/postgres.merge_month/required_actions")
    expect(board.get_by_text(f"would delete {ROWS - 1 - left} of the {ROWS - 1} published rows").first).to_be_visible()
    board.get_by_role("button", name="Approve").first.click()
    wait_until(lambda: not taxi.airflow.query(waits), timeout=WAIT / 1000, what="the answer")

    board.goto("about:blank")
    wait_until(lambda: board_runs(taxi).get(str(REJECTED)) == "success", timeout=WAIT / 1000, what="the publication")
    board.goto(address)
    grid = ready(board)
    cell(grid, REJECTED).hover()
    expect(board.get_by_role("tooltip")).to_contain_text(f"Rows{left}")
    assert taxi.query(f"SELECT count(*) FROM green_tripdata WHERE filename = '{green.filename(REJECTED)}'") == [(left,)]


# --- A warehouse that is empty, slow or down; the last tests, for they spoil it


def test_a_slow_warehouse_is_a_sentence_and_holds_nothing_up(client: Client, taxi: TaxiAirflow) -> None:
    with taxi.connect() as connection:
        connection.execute("LOCK TABLE taxiway.loads")
        # For a few seconds the answer before is given.
        said = wait_until(lambda: client.json(MONTHS)["problem"], timeout=60, what="the ledger's answer to be too old")
        assert said.startswith(
            "fhv, fhvhv, green, yellow, zones: board, the ledger, connection taxi_postgres: Postgres"
        )
        assert "statement timeout" in said
        assert "oad the page again" in said
        assert "task" not in said
        assert client.get("/api/v2/monitor/health", None)[0] == 200
    assert client.json(GREEN_MONTH)["attempts"] != []


def test_an_empty_warehouse_and_one_that_is_gone(client: Client, taxi: TaxiAirflow, chromium: Browser) -> None:
    with taxi.connect() as connection:
        connection.execute("ALTER SCHEMA taxiway RENAME TO elsewhere")
    wait_until(lambda: "rows" not in client.get(MONTHS)[1], timeout=60, what="the months to be gone")
    page = open_page(chromium, client, BOARD)
    ready(page)
    expect(page.get_by_text("Postgres holds no month yet.")).to_be_visible()
    assert client.json(GREEN_MONTH) == {"problem": "", "attempts": []}

    taxi.server.drop_database(taxi.database)
    wait_until(lambda: client.json(MONTHS)["problem"], timeout=60, what="the database to be missed")
    page.reload()
    expect(page.get_by_text(f'database "{taxi.database}" does not exist')).to_be_visible()
    assert "does not exist" in client.json(GREEN_MONTH)["problem"]
    assert client.get(CHART)[0] == 503
