"""What the board's page is told of the months."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from taxiway.board.asking import Answer
from taxiway.board.charts import DRAW, THEMES, Artist
from taxiway.board.months import attempt_of, months_of_grid, next_month, write_board
from taxiway.loads.attempts import LONGEST_RUN
from taxiway.loads.deletions import ACCEPTING_CONF
from taxiway.loads.published_months import LastLoad, LoggedAttempt
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source, load_sources

AT = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
LOADED = LastLoad("published", rows=30, published_at=AT, filename="green_tripdata_2019-01.csv", bytes=1, seconds=1.26)


def board_of(answer: Answer, warehouse: str, title: str, dag_ids: list[str]) -> dict[str, Any]:
    """Read what is written for the page."""
    text, _ = write_board(answer, warehouse, title, dag_ids)
    return dict(json.loads(text))


def months_from(first: Month, count: int) -> list[Month]:
    months = [first]
    while len(months) < count:
        months.append(months[-1].next())
    return months


def test_a_grid_begins_in_january_and_ends_with_the_present_month_or_the_sources_last_year(green: Source) -> None:
    now = datetime(2020, 3, 15, tzinfo=timezone.utc)
    late = replace(green, releases=(replace(green.releases[0], first=Month(2019, 4)),))
    ended = replace(green, releases=(replace(green.releases[0], last=Month(2019, 7)),))
    zones = replace(green, period="none")

    assert months_of_grid(green, (), now) == months_from(Month(2019, 1), 15)
    assert months_of_grid(late, (), now) == months_from(Month(2019, 1), 15)
    assert months_of_grid(ended, (), now) == months_from(Month(2019, 1), 12)
    assert months_of_grid(ended, [Month(2020, 2)], now) == months_from(Month(2019, 1), 14)
    assert months_of_grid(zones, (), now) == [WHOLE]
    assert months_of_grid(green, (), datetime(2018, 3, 15, tzinfo=timezone.utc)) == [Month(2019, 1)]
    slips = [Month(2008, 2), Month(2109, 1)]
    assert months_of_grid(green, slips, now) == [
        *months_from(Month(2008, 1), 12),
        *months_from(Month(2019, 1), 24),
        Month(2109, 1),
    ]


def test_the_next_month_is_behind_the_last_published_one(green: Source) -> None:
    ended = replace(green, releases=(replace(green.releases[0], last=Month(2019, 1)),))
    found = {Month(2019, 1): LOADED, Month(2019, 2): LastLoad("failed")}

    assert next_month(green, found) == Month(2019, 2)
    assert next_month(green, {Month(2019, 2): LastLoad("failed")}) is None
    assert next_month(ended, found) is None
    assert next_month(replace(green, period="none"), found) is None


def test_a_month_that_was_held_back_is_told_from_one_that_failed(green: Source) -> None:
    failed = replace(LOADED, state="failed", error="the header doesn't fit")
    held_back = replace(failed, error=f"it would delete 25 rows: {ACCEPTING_CONF}")
    loads = {Month(2019, 1): failed, Month(2019, 2): held_back, Month(2019, 3): replace(held_back, state="running")}
    (source,) = board_of(Answer(AT, (green,), {"green": loads}), "postgres", "Postgres", ["taxi_green"])["sources"]

    assert [month.get("is_held_back") for month in source["months"][:4]] == [None, True, None, None]


def test_only_the_dags_that_are_asked_for_are_shown(green: Source) -> None:
    answer = Answer(AT, (green,), {"green": {Month(2019, 1): LOADED}})

    (source,) = board_of(answer, "bigquery", "BigQuery", ["taxi_green_gcp"])["sources"]
    assert source["dag_id"] == "taxi_green_gcp"
    assert source["next"]["month"] == "2019-02"
    first = source["months"][0]
    assert (first["state"], first["rows"], first["seconds"], first["at"]) == (
        "published",
        30,
        1.3,
        "2026-11-01T12:00:00+00:00",
    )
    assert not {"error", "is_held_back"} & first.keys()
    assert board_of(answer, "bigquery", "BigQuery", ["taxi_green"])["sources"] == []
    assert board_of(replace(answer, problem="down"), "postgres", "Postgres", ["taxi_green"])["sources"] == []


def test_months_that_have_not_changed_are_not_written_again(green: Source) -> None:
    def answer(at: datetime, **changes: Any) -> Answer:
        return Answer(at, (green,), {"green": {Month(2019, 1): replace(LOADED, **changes)}})

    first, written = write_board(answer(AT), "postgres", "Postgres", ["taxi_green"])
    later = AT + timedelta(minutes=1)
    second, same = write_board(answer(later), "postgres", "Postgres", ["taxi_green"], written)
    third, other = write_board(answer(later, rows=31), "postgres", "Postgres", ["taxi_green"], same)

    assert same is written
    assert json.loads(second) == {**json.loads(first), "asked_at": "2026-11-01T12:01:00+00:00"}
    assert other is not written
    assert json.loads(third)["sources"][0]["months"][0]["rows"] == 31
    # A day later, another month may be due, and after a problem nothing is known.
    for changed in (replace(written, of=(*written.of[:-1], [])), other):
        assert write_board(answer(later), "postgres", "Postgres", ["taxi_green"], changed)[1] is not changed
    down, _ = write_board(replace(answer(later), problem="down"), "postgres", "Postgres", ["taxi_green"], written)
    assert json.loads(down)["sources"] == []


def test_texts_of_others_are_short_and_printable(green: Source) -> None:
    hostile = LastLoad("failed", error="<b>\x1b" + "x" * 5000)
    (source,) = board_of(
        Answer(AT, (green,), {"green": {Month(2019, 1): hostile}}), "postgres", "Postgres", ["taxi_green"]
    )["sources"]

    assert source["months"][0]["error"].startswith("<b>\\x1bxxx")
    assert len(source["months"][0]["error"]) <= 600


def test_an_attempt_names_the_dag_of_its_run() -> None:
    attempt = LoggedAttempt(
        "7", "taxi manual__1", 1, "failed", "stage_month", AT, AT + timedelta(seconds=2), None, None, "bad", ()
    )
    told = attempt_of(attempt, "taxi_green", frozenset([("taxi", "manual__1")]))

    assert (told["dag_id"], told["run_id"], told["is_there"], told["seconds"]) == ("taxi", "manual__1", True, 2.0)
    assert "rows" not in told
    own = replace(attempt, run_id="manual__1", finished_at=AT + LONGEST_RUN * 2)
    told = attempt_of(own, "taxi_green", frozenset())
    assert (told["dag_id"], "is_there" in told, "seconds" in told) == ("taxi_green", False, False)


def test_twenty_years_of_every_source_are_small() -> None:
    """The page may have 300 KB over the wire; two warehouses are a good part of it."""
    sources = load_sources(SOURCES_FOLDER)

    def load(source: Source, month: Month, place: int) -> LastLoad:
        return replace(
            LOADED,
            filename=f"{source.name}_tripdata_{month}.csv",
            bytes=7919 * place,
            layout="1215b44ac1f9",
            rows=104729 * place,
            rejected=place % 7,
            published_at=AT + timedelta(hours=place),
        )

    months = months_from(Month(2007, 1), 240)
    loads = {each.name: {month: load(each, month, place) for place, month in enumerate(months)} for each in sources}
    early = tuple(
        replace(each, releases=(replace(each.releases[0], first=Month(2007, 1), last=None),)) for each in sources
    )

    told = board_of(Answer(AT, early, loads), "postgres", "Postgres", [f"taxi_{each.name}" for each in early])
    body = json.dumps(told).encode()

    assert sum(len(source["months"]) for source in told["sources"]) >= 4 * 239
    assert len(gzip.compress(body, 5)) < 60_000


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", DRAW)
def test_a_chart_shows_each_source_and_stays_a_chart_without_months(name: str, theme: str, green: Source) -> None:
    months = months_from(Month(2019, 1), 30)
    loads = {"green": {month: replace(LOADED, rows=month.number * 1000, rejected=1) for month in months}}
    svg = DRAW[name]([green], loads, THEMES[theme])

    assert svg.startswith("<?xml")
    assert "green" in svg
    if name == "freshness":
        due = green.due(months[-1].next())
        assert f"2021-07 {'was ' if date.today() >= due else ''}expected by {due}" in svg
    assert "nothing is published yet" in DRAW[name]([], {}, THEMES[theme])


def bars_of(svg: str) -> dict[int, float]:
    """Return the values of a light chart's bars, read off its scale, by how many months they are behind the first."""
    theme = THEMES["light"]
    lines = re.findall(rf'd="M \S+ (\S+) \nL \S+ \S+ \n" clip-path="[^"]*" style="[^"]* {theme.line};', svg)
    texts = re.findall("<text[^>]*>([^<]*)</text>", svg)
    scale = texts[texts.index("green") - len(lines) : texts.index("green")]
    top, highest = float(lines[-1]), float(scale[-1].replace("k", "e3").replace("M", "e6"))
    paths = re.findall(rf'd="([^"]*)" clip-path="[^"]*" style="fill: {theme.bar}"', svg)
    bars = [[float(number) for number in re.findall(r"-?[0-9.]+", path)] for path in paths]
    month = bars[1][0] - bars[0][0]
    assert all(right - left < month for left, _, right, *_ in bars)
    return {
        round((bar[0] - bars[0][0]) / month): (bar[1] - bar[5]) / (bar[1] - top) * highest  # left, bottom, height
        for bar in bars
    }


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rows", {0: 500_000, 1: 1_999_000, 3: 999_900}),
        ("seconds", {0: 40, 1: 10, 3: 100}),
        ("rejected", {0: 0, 1: 500, 3: 100}),
    ],
)
def test_a_chart_has_a_bar_as_high_as_its_value_for_each_published_month(
    name: str, values: dict[int, float], green: Source
) -> None:
    loads = {
        Month(2019, 1): replace(LOADED, rows=500_000, seconds=20, rejected=0),
        Month(2019, 2): replace(LOADED, rows=1_999_000, seconds=19.99, rejected=1000),
        Month(2019, 3): LastLoad("failed"),
        Month(2019, 4): replace(LOADED, rows=999_900, seconds=99.99, rejected=100),
    }

    assert bars_of(DRAW[name]([green], {"green": loads}, THEMES["light"])) == pytest.approx(values, rel=1e-3)


def test_a_month_is_late_by_the_clock_of_its_source(green: Source) -> None:
    """At any moment, it is another day than in Greenwich on one side of the date line, or on the other."""
    hour = datetime.now(timezone.utc).hour
    away = replace(green, schedule="0 0 1 * *", timezone="Etc/GMT-14" if hour >= 12 else "Etc/GMT+12")
    month, today = Month(2019, 2), away.today()
    due = replace(away, publication_lag_days=(today - month.next().first_day).days)
    tomorrow = replace(due, publication_lag_days=due.publication_lag_days + 1)
    loads = {"green": {Month(2019, 1): LOADED}}

    assert f"2019-02 was expected by {today}" in DRAW["freshness"]([due], loads, THEMES["light"])
    assert f"2019-02 expected by {today + timedelta(days=1)}" in DRAW["freshness"]([tomorrow], loads, THEMES["light"])
    for source, is_late in ((due, True), (tomorrow, False)):
        answer = Answer(AT, (source,), loads)
        (told,) = board_of(answer, "postgres", "Postgres", ["taxi_green"])["sources"]
        assert told["next"]["is_late"] is is_late


def test_a_chart_is_drawn_again_for_a_source_that_has_changed(green: Source) -> None:
    artist, loads = Artist(), {"green": {Month(2019, 1): LOADED}}

    def draw(source: Source) -> str:
        return asyncio.run(artist.draw("freshness", "light", [source], loads))

    first = draw(green)
    later = replace(green, publication_lag_days=green.publication_lag_days + 1)
    assert draw(green) is first
    assert f"expected by {later.due(Month(2019, 2))}" in draw(later)
