"""Summaries and reports of published months: their figures against plain SQL, and what may go wrong."""

from __future__ import annotations

import json
import re
import struct
import threading
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors
from playwright.sync_api import expect

from taxiway.orchestration.assets import SUMMARY
from taxiway.orchestration.operators.summarize_months import SummarizeMonthsOperator
from taxiway.orchestration.operators.write_month_reports import WriteMonthReportsOperator
from taxiway.orchestration.operators.write_year_reports import WriteYearReportsOperator
from taxiway.paths import SOURCES_FOLDER
from taxiway.reports.figures import Period, figures_of
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source, load_sources
from taxiway.warehouses.postgres.session import lock, transaction
from taxiway.warehouses.postgres.summary import sum_up, summarize_month
from taxiway_local.samples import write_sample_month
from tests.browser import WAIT, start_browser
from tests.conftest import Connect
from tests.integration.airflow_environment import wait_until
from tests.loading import lines_of, load, query, write_gzip

ROWS = 300
SOURCES = {source.name: source for source in load_sources(SOURCES_FOLDER)}
REPORTED = [name for name, source in SOURCES.items() if source.report]

TRIPS = {
    "green": "lpep_pickup_datetime::date, pulocationid, payment_type, total_amount, trip_distance, tip_amount",
    "yellow": "tpep_pickup_datetime::date, pulocationid, payment_type, total_amount, trip_distance, tip_amount",
    "fhv": "pickup_datetime::date, pulocationid, NULL::int, NULL::numeric, NULL::numeric, NULL::numeric",
    "fhvhv": "pickup_datetime::date, pulocationid, NULL::int, base_passenger_fare, trip_miles, tips",
}
"""What the report of each shipped source is made from, written without its YAML file."""

PLAIN = """
SELECT day, zone, payment, count(*), sum(revenue), sum(distance), sum(tips)
FROM (SELECT {columns} FROM public.{table} WHERE filename = %s) AS trip (day, zone, payment, revenue, distance, tips)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

SUMMARY_ROWS = """
SELECT pickup_date, pickup_zone, payment_type, trips, revenue, distance, tips FROM public.monthly_zone_summary
WHERE source = %s AND source_month = %s ORDER BY 1, 2, 3
"""


ANOTHER = "SELECT 'green' AS source, date '2019-03-01' AS source_month"


class Page(HTMLParser):
    """What a page holds: elements with their attributes, addresses, and the text of its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] in ("td", "th", "code") and self.rows:
            self.rows[-1][-1] += data

    def row(self, label: str) -> list[str]:
        (found,) = [row for row in self.rows if row and row[0].strip() == label]
        return [cell.strip() for cell in found[1:]]


@pytest.fixture
def connection(connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> psycopg.Connection[Any]:
    """The warehouse, which Airflow knows, too; reports go to a folder of the test."""
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    made = connect()
    address = {
        "conn_type": "postgres",
        "host": str(made.info.host),
        "port": made.info.port,
        "login": made.info.user,
        "schema": made.info.dbname,
    }
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps(address))
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_REPORTS_FOLDER", str(tmp_path / "reports"))
    return made


def publish(connection: psycopg.Connection[Any], folder: Path, source: Source, month: Month, revision: int = 0) -> Path:
    """Load a sample month; a run of its own for each revision."""
    path = folder / str(revision) / source.download_name(month)
    if not path.exists():
        write_sample_month(source, month, path, rows=ROWS, revision=revision)
    load(connection, source, str(month), path, run_id=f"{month} {revision}")
    return path


def context_of(run_type: str = "manual", paused: bool = True) -> Any:
    """:param paused: whether every DAG is paused"""
    return {
        "dag_run": SimpleNamespace(run_id="x", run_type=run_type),
        "ti": SimpleNamespace(try_number=1, max_tries=0, get_dag=lambda _: SimpleNamespace(is_paused=paused)),
        "outlet_events": OutletEventAccessors(),
    }


def summarize(source: str, month: str, context: Any = None) -> Any:
    operator: Any = SummarizeMonthsOperator(task_id="write_summary", source_name=source, month=month)
    return operator.execute(context or context_of())


def report(source: str, month: str) -> list[Path]:
    operator: Any = WriteMonthReportsOperator(task_id="write_report", source_name=source, month=month)
    return [Path(path) for path in operator.execute(context_of())]


def report_year(source: str, year: str, run_type: str = "manual", paused: bool = True) -> list[Path]:
    operator: Any = WriteYearReportsOperator(task_id="write_report", source_name=source, year=year)
    return [Path(path) for path in operator.execute(context_of(run_type, paused))]


def plain(connection: psycopg.Connection[Any], source: Source, month: Month) -> list[Any]:
    statement = PLAIN.format(columns=TRIPS[source.name], table=source.main_table)
    return query(connection, statement, [source.filename(month)])


def summary(connection: psycopg.Connection[Any], source: Source, month: Month) -> list[Any]:
    return query(connection, SUMMARY_ROWS, [source.name, month.first_day])


@pytest.mark.parametrize("name", REPORTED)
def test_the_figures_of_a_month_are_those_of_plain_sql(
    name: str, connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    source = SOURCES[name]
    month = Month(2019, 3)
    publish(connection, tmp_path, source, month)
    zones = SOURCES["zones"]
    write_sample_month(zones, WHOLE, tmp_path / "zones.csv")
    load(connection, zones, str(WHOLE), tmp_path / "zones.csv", run_id="zones")
    context = context_of()

    rows = summarize(name, str(month), context)

    expected = plain(connection, source, month)
    assert summary(connection, source, month) == expected
    assert rows == {str(month): len(expected)}
    assert context["outlet_events"][SUMMARY].partition_keys == {f"{name}|{month}"}
    # The name of each zone is that of the lookup.
    named = "SELECT DISTINCT pickup_zone, zone, borough FROM monthly_zone_summary WHERE zone IS NOT NULL"
    looked_up = "SELECT locationid, zone, borough FROM taxi_zone_lookup"
    found = query(connection, named)
    assert found
    assert set(found) <= set(query(connection, looked_up))

    (path,) = report(name, str(month))

    total = query(connection, "SELECT sum(trips), sum(revenue), sum(tips) FROM monthly_zone_summary")[0]
    page = Page(path.read_text())
    assert page.row("Trips")[0] == f"{total[0]:,}"
    assert int(total[0]) == query(connection, f"SELECT count(*) FROM {source.main_table}")[0][0]
    if total[1] is not None:
        assert page.row("Revenue")[0] == f"${total[1]:,.2f}"
        assert page.row("Tips")[0] == f"${total[2]:,.2f}"
    of_day = sum(row[3] for row in expected if row[0] == month.first_day)
    assert page.row("1 Fri")[0] == f"{of_day:,}"
    ((zone, borough, trips),) = query(
        connection,
        "SELECT zone, borough, sum(trips) FROM monthly_zone_summary WHERE zone IS NOT NULL GROUP BY 1, 2"
        " ORDER BY 3 DESC, 1 LIMIT 1",
    )
    assert page.row(f"{zone}, {borough}")[0] == f"{trips:,}"
    (sha256,) = query(connection, "SELECT sha256 FROM taxiway.months WHERE source = %s", [name])[0]
    assert page.row(source.download_name(month)) == [sha256]


def test_a_page_stands_alone(connection: psycopg.Connection[Any], tmp_path: Path) -> None:
    publish(connection, tmp_path, SOURCES["green"], Month(2019, 3))
    summarize("green", "2019-03")
    query_names = "UPDATE monthly_zone_summary SET zone = %s, borough = '$1 $2' WHERE pickup_zone = %s"
    ((zone,),) = query(
        connection, "SELECT pickup_zone FROM monthly_zone_summary GROUP BY 1 ORDER BY sum(trips) DESC LIMIT 1"
    )
    with connection.transaction():
        connection.execute(query_names, ['<script>alert(1)</script> & "x"', zone])

    (path,) = report("green", "2019-03")

    text = path.read_text()
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "image", "base", "a"}
    assert sum(tag == "svg" for tag, _ in page.elements) == 4
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert name != "style" or "url(" not in str(value) or "url(#" in str(value), (tag, name, value)
            if name in ("href", "xlink:href", "src"):
                assert str(value).startswith("#"), (tag, name, value)
            assert not name.startswith("on"), (tag, name)
    assert re.findall(r"https?://(?!www\.w3\.org/)", text) == []
    assert "&lt;script&gt;alert(1)" in text
    # What refers to a part of a chart finds it in its own chart: no id is there for two.
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)

    pictures = sorted(path.parent.glob("*.png"))
    assert [picture.name for picture in pictures] == [
        f"2019-03_{name}.png" for name in ("revenue_by_day", "trips_by_day", "trips_by_payment", "trips_by_zone")
    ]
    for picture in pictures:
        head = picture.read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", head[16:24])
        assert width > 600
        assert height > 200
    assert [found.name for found in path.parent.iterdir() if found.name.startswith(".")] == []

    # The same figures are the same bytes.
    before = {found: found.read_bytes() for found in path.parent.iterdir()}
    report("green", "2019-03")
    assert {found: found.read_bytes() for found in path.parent.iterdir()} == before


def test_a_browser_shows_a_page_without_asking_for_anything(
    connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    publish(connection, tmp_path, SOURCES["green"], Month(2019, 3))
    summarize("green", "2019-03")
    (path,) = report("green", "2019-03")

    with start_browser() as chromium:
        page = chromium.new_page()
        page.set_default_timeout(WAIT)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(path.as_uri(), timeout=WAIT)
            expect(page.get_by_role("heading", level=1)).to_have_text("New York green taxi trips")
            for name in ("Trips by day", "Revenue by day", "Trips by payment type"):
                expect(page.get_by_role("img", name=name)).to_be_visible()
            page.get_by_text("By pickup zone").click()
            expect(page.get_by_role("columnheader", name="Zone")).to_be_visible()
            # Nothing is wider than the screen.
            assert page.evaluate("document.documentElement.scrollWidth") == width
        assert asked == [path.as_uri()] * 2


def test_a_month_that_changes_is_written_anew(connection: psycopg.Connection[Any], tmp_path: Path) -> None:
    green, month = SOURCES["green"], Month(2019, 3)
    publish(connection, tmp_path, green, month)
    summarize("green", "2019-03")
    before = summary(connection, green, month)
    (path,) = report("green", "2019-03")
    page = path.read_text()
    leftover = path.with_name("2019-03_from_an_earlier_version.png")
    leftover.touch()
    publish(connection, tmp_path, green, Month(2019, 4))
    summarize("green", "2019-04")
    publish(connection, tmp_path, green, month, revision=1)

    assert summarize("green", "2019-03") == {"2019-03": len(plain(connection, green, month))}

    assert summary(connection, green, month) == plain(connection, green, month) != before
    assert summary(connection, green, Month(2019, 4)) == plain(connection, green, Month(2019, 4))
    assert report("green", "2019-03") == [path]
    assert path.read_text() != page
    assert not leftover.exists()


def test_without_zones_the_summary_has_numbers_alone(
    connection: psycopg.Connection[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(connection, tmp_path, SOURCES["green"], Month(2019, 3))
    summarize("green", "2019-03")

    assert query(connection, "SELECT count(*) FROM monthly_zone_summary WHERE zone IS NOT NULL") == [(0,)]
    assert "green 2019-03: public.taxi_zone_lookup isn't loaded" in caplog.text
    (path,) = report("green", "2019-03")
    assert re.search(r"<th scope=\"row\">Zone \d+</th>", path.read_text())


def test_of_no_month_every_published_one_is_reported(connection: psycopg.Connection[Any], tmp_path: Path) -> None:
    for month in (Month(2019, 1), Month(2019, 2)):
        publish(connection, tmp_path, SOURCES["green"], month)
    context = context_of()
    assert list(summarize("green", "", context)) == ["2019-01", "2019-02"]
    assert context["outlet_events"][SUMMARY].partition_keys == {"green|2019-01", "green|2019-02"}
    assert [path.name for path in report("green", "")] == ["2019-01.html", "2019-02.html"]


def test_a_year_is_reported_if_all_its_months_are_in(connection: psycopg.Connection[Any], tmp_path: Path) -> None:
    """A month without rows completes its year, too."""
    green = replace(SOURCES["green"], allow_empty=True, checks=())
    *first, last = Period.of_year(2019).months
    for month in first:
        path = tmp_path / "0" / green.download_name(month)
        write_sample_month(green, month, path, rows=ROWS)
        if month.number == 4:
            write_gzip(path, lines_of(path)[:1])
        publish(connection, tmp_path, green, month)
    assert summarize("green", "")["2019-04"] == 0
    assert Page(report("green", "2019-04")[0].read_text()).row("Trips")[0] == "0"

    with pytest.raises(AirflowSkipException, match=r"^green 2019: found no current summary of 2019-12, "):
        report_year("green", "2019", "asset_triggered")
    for paused, command in ((True, "test"), (False, "trigger")):
        with pytest.raises(AirflowFailException, match=f"summed up by airflow dags {command} taxi_monthly_report -c"):
            report_year("green", "2019", paused=paused)
    with pytest.raises(AirflowFailException, match=r"\(every year\): found no year whose twelve months have a curr"):
        report_year("green", "")

    publish(connection, tmp_path, green, last)
    summarize("green", str(last))
    (path,) = report_year("green", "2019", "asset_triggered")

    assert path.name == "2019.html"
    page = Page(path.read_text())
    assert page.row("Trips")[0] == f"{11 * ROWS:,}"
    for name, rows in (("January", ROWS), ("March", ROWS), ("April", 0), ("December", ROWS)):
        assert page.row(name)[0] == str(rows)
    ((sha256,),) = query(connection, "SELECT sha256 FROM taxiway.months WHERE month = '2019-04-01'")
    assert page.row(green.download_name(Month(2019, 4))) == [sha256]
    ((revenue,),) = query(connection, "SELECT sum(total_amount) FROM green_tripdata")
    assert page.row("Revenue")[0] == f"${revenue:,.2f}"
    # Without a year, all that are complete.
    publish(connection, tmp_path, green, Month(2020, 1))
    summarize("green", "2020-01")
    assert report_year("green", "") == [path]
    # A month that has changed since it was summed up.
    written = path.read_bytes()
    publish(connection, tmp_path, green, Month(2019, 3), revision=1)
    with pytest.raises(AirflowSkipException, match=r"^green 2019: found no current summary of 2019-03, "):
        report_year("green", "2019", "asset_triggered")
    assert path.read_bytes() == written
    summarize("green", "2019-03")
    assert report_year("green", "2019", "asset_triggered") == [path]
    assert path.read_bytes() != written


def test_a_page_names_the_file_that_its_figures_are_from(connection: psycopg.Connection[Any], tmp_path: Path) -> None:
    """The month is published from another file between the two tasks of a run."""
    green, month = SOURCES["green"], Month(2019, 3)
    publish(connection, tmp_path, green, month)
    ((sha256,),) = query(connection, "SELECT sha256 FROM taxiway.months")
    summarize("green", "2019-03")
    publish(connection, tmp_path, green, month, revision=1)

    (path,) = report("green", "2019-03")

    assert Page(path.read_text()).row(green.download_name(month)) == [sha256]


REFUSED = (
    ("green", "2019-05", r"green 2019-05: found no published month in Postgres, expected one: load it"),
    ("yellow", "", r"yellow \(every month\): found no published month in Postgres"),
    ("green", "2019-13", r"'2019-13' is not a month"),
    ("zones", "2019-03", r"zones: found no key report in include/sources/zones.yaml"),
    ("../green", "2019-03", r"'../green' is not a source's name"),
    ("green/..", "2019-03", r"is not a source's name"),
    ("green", "../../2019-03", r"is not a month"),
)


def test_what_cannot_be_reported_is_refused(connection: psycopg.Connection[Any], tmp_path: Path) -> None:
    publish(connection, tmp_path, SOURCES["green"], Month(2019, 3))
    for task in (summarize, report):
        for source, month, said in REFUSED:
            with pytest.raises(AirflowFailException, match=said):
                task(source, month)
    for year in ("../2019", "19", "2019\n", "20199"):
        with pytest.raises(AirflowFailException, match="is not a year: write it as YYYY"):
            report_year("green", year)
    assert not (tmp_path / "reports").exists()


@pytest.mark.usefixtures("connection")
def test_a_connection_that_is_missing_is_named_with_the_month(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_TAXI_POSTGRES")
    for task, asked, where in (
        (summarize, "2019-03", "green 2019-03: write_summary"),
        (report, "", r"green \(every month\): write_report"),
        (report_year, "2019", "green 2019: write_report"),
    ):
        with pytest.raises(AirflowFailException, match=rf"^{where}: the connection taxi_postgres isn't there"):
            task("green", asked)


def test_a_table_of_somebody_elses_is_left_alone(connection: psycopg.Connection[Any], tmp_path: Path) -> None:
    publish(connection, tmp_path, SOURCES["green"], Month(2019, 3))
    with connection.transaction():
        connection.execute(f"CREATE TABLE monthly_zone_summary AS {ANOTHER}")

    with pytest.raises(AirflowFailException, match="is another relation: found the columns source text, source_month"):
        summarize("green", "2019-03")
    assert query(connection, "SELECT count(*) FROM monthly_zone_summary") == [(1,)]
    # What the error advises works.
    with connection.transaction():
        connection.execute("ALTER TABLE public.monthly_zone_summary RENAME TO mine")
    assert summarize("green", "2019-03")


def test_a_folder_that_cannot_be_written_to_is_named(connection: psycopg.Connection[Any], tmp_path: Path) -> None:
    publish(connection, tmp_path, SOURCES["green"], Month(2019, 3))
    summarize("green", "2019-03")
    (tmp_path / "reports").write_text("a file")

    with pytest.raises(
        AirflowFailException, match=r"^green 2019-03: the report can't be written: .*Variable taxiway_reports_folder"
    ):
        report("green", "2019-03")


def test_two_summaries_of_one_month_follow_one_another(
    connect: Connect, connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    green, month = SOURCES["green"], Month(2019, 3)
    publish(connection, tmp_path, green, month)
    summarize_month(connection, green, month)
    other, watcher = connect(), connect()
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with transaction(connection) as cursor:
        lock(cursor, "summary", "green", "2019-03")
        second = threading.Thread(target=summarize_month, args=(other, green, month))
        second.start()
        wait_until(lambda: query(watcher, waiting) == [(1,)], timeout=60, what="the second summary to wait")
    second.join(timeout=60)

    assert summary(connection, green, month) == plain(connection, green, month)


@pytest.fixture(params=["green_tripdata_2020-04.csv.gz", "green_tripdata_2025-01.parquet"])
def real_file(request: pytest.FixtureRequest, tlc: Path) -> Path:
    found = [*tlc.glob(f"months/*/{request.param}"), *tlc.glob(f"parquet/{request.param}")]
    return found[0]


def test_the_figures_of_a_real_month_are_those_of_plain_sql(
    real_file: Path, connection: psycopg.Connection[Any]
) -> None:
    source = SOURCES[real_file.name.partition("_")[0]]
    month = Month.parse(real_file.name.partition(".")[0][-7:])
    load(connection, source, str(month), real_file)
    summarize_month(connection, source, month)

    assert summary(connection, source, month) == plain(connection, source, month)
    period = Period.of_month(month)
    figures = figures_of(source, period, lambda groups: sum_up(connection, source, month, month, groups))
    assert figures.total.trips == query(connection, f"SELECT count(*) FROM {source.main_table}")[0][0]
    assert sum(row.trips for row in figures.by_time) + figures.outside == figures.total.trips
    assert sum(row.trips for row in figures.by_zone) == figures.total.trips
    (path, *_) = report(source.name, str(month))
    assert Page(path.read_text()).row("Trips")[0] == f"{figures.total.trips:,}"
