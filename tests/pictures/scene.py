"""A real Airflow whose warehouse has sample months in many states: what the pictures show.

A sample month has a tenth of the rows that the real month of green taxis has, and a thousandth of the others'. Its
trips are the same each time. What is due and what isn't depends on the day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import psycopg

from taxiway.compare.known_figures import ROWS, read_figures
from taxiway.download.look import FileVersion
from taxiway.errors import TaxiwayError
from taxiway.loads.month_state import months_up_to_now
from taxiway.loads.watch import Decision, Verdict
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_sources
from taxiway.warehouses.postgres.watched_files import record_decisions
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month
from tests.conftest import start_postgres
from tests.integration.taxi_airflow import TaxiAirflow
from tests.loading import lines_of, load, write_gzip

SOURCES = {source.name: source for source in load_sources(SOURCES_FOLDER)}
FIGURES = read_figures(ROOT / "include" / "known_figures.csv")
SCALES = {"green": 10}
SCALE = 1000
"""How many rows of the real month are one row of the sample, if not as above."""

BY_AIRFLOW = [Month(2019, number) for number in range(1, 13)]
"""Months of green taxis that ``dags backfill`` loads; the others are loaded without Airflow, which is quicker."""

WEB_PAGES = (("green", Month(2019, 10)), ("fhvhv", Month(2025, 8)))
"""Months in whose place the mirror has a web page."""

REJECTED = ("yellow", Month(2020, 11))
"""A month some lines of which can't be read."""

CHANGED = (("green", Month(2026, 2)), ("yellow", Month(2024, 2)), ("yellow", Month(2024, 3)))
"""Months of which ``taxi_watch`` has seen another version since they were loaded."""

SINCE = {"fhv": Month(2022, 1), "fhvhv": Month(2025, 1)}
"""From when on a source is loaded, if not from its first month."""

WITHOUT_NEWEST = {"green": 1, "yellow": 3}
"""How many of the newest months nobody has loaded; that of green taxis is being loaded."""

REPORTED = ("yellow", Month(2019, 5))
"""The month whose report is made, without the sample's trip of 205,654 miles."""

BUSY = (78, 86, 91, 97, 100, 98, 84)
"""How busy the days of the week are in that month, from Monday on: percent of the sample's trips that are left."""

ZONES = {
    48: "Clinton East",
    68: "East Chelsea",
    79: "East Village",
    132: "JFK Airport",
    138: "LaGuardia Airport",
    141: "Lenox Hill West",
    142: "Lincoln Square East",
    161: "Midtown Center",
    162: "Midtown East",
    163: "Midtown North",
    170: "Murray Hill",
    186: "Penn Station/Madison Sq West",
    230: "Times Sq/Theatre District",
    234: "Union Sq",
    236: "Upper East Side North",
    237: "Upper East Side South",
    238: "Upper West Side North",
    239: "Upper West Side South",
    263: "Yorkville West",
}
"""The names of the zones in which most trips of yellow taxis begin, in the samples as in the real files."""

AIRPORTS = (132, 138)
"""Those of them that lie in Queens; the others lie in Manhattan."""


@contextmanager
def start_scene(folder: Path) -> Iterator[TaxiAirflow]:
    """Load the months, and start the API server and the scheduler.

    :param folder: an empty one
    """
    mirror = folder / "mirror"
    for month in BY_AIRFLOW:
        _write(SOURCES["green"], month, mirror)
    with start_postgres() as server, serve(mirror) as serving:
        reports = {"AIRFLOW_VAR_TAXIWAY_REPORTS_FOLDER": str(folder / "reports")}
        taxi = TaxiAirflow.create(server, folder / "home", serving.address, own_api=True, extra=reports)
        try:
            _run(taxi, "dags", "reserialize")
            taxi.backfill(str(BY_AIRFLOW[0].first_day), str(BY_AIRFLOW[-1].first_day), "taxi_green")
            with taxi.connect() as connection:
                _load(taxi, connection, mirror)
            name, month = REPORTED
            conf = json.dumps({"source": name, "month": str(month)})
            _run(taxi, "dags", "test", "taxi_monthly_report", "-c", conf)
            with taxi.airflow.services("api-server", "scheduler"):
                yield taxi
        finally:
            taxi.close()


def _run(taxi: TaxiAirflow, *arguments: str) -> None:
    done = taxi.airflow.run(*arguments, timeout=600)
    if done.returncode:
        raise RuntimeError(f"airflow {' '.join(arguments)}: {(done.stdout + done.stderr)[-3000:]}")


def _load(taxi: TaxiAirflow, connection: psycopg.Connection[Any], mirror: Path) -> None:
    """Load what ``dags backfill`` hasn't loaded."""
    for source in SOURCES.values():
        months = [month for month in months_up_to_now(source, ()) if month >= SINCE.get(source.name, month)]
        left = WITHOUT_NEWEST.get(source.name, 0)
        patient = replace(source, max_rejected_share=0.5)  # of a small month few lines are a large share
        for month in months[: len(months) - left]:
            if source.name == "green" and month in BY_AIRFLOW:
                continue
            path = _write(source, month, mirror)
            with suppress(TaxiwayError):  # of a web page
                load(connection, patient, str(month), path, f"manual__{month}")
        if source.name == "green":
            taxi.begin(source, months[-1], _write(source, months[-1], mirror), "running")
            # As one of dags test, which works by itself.
            taxi.airflow.query("UPDATE dag_run SET triggered_by = 'TEST' WHERE state = 'running'")
    seen = [
        Decision(
            SOURCES[name],
            month,
            Verdict.CHANGED,
            "there is another version than the published one",
            "http://mirror.test/",
            FileVersion('"another"'),
        )
        for name, month in CHANGED
    ]
    record_decisions(connection, "postgres", seen, datetime.now(timezone.utc))


def _write(source: Source, month: Month, mirror: Path) -> Path:
    """Write a month's file, sound or not."""
    path = mirror / source.file_path(month)
    path.parent.mkdir(parents=True, exist_ok=True)
    if (source.name, month) in WEB_PAGES:
        path.write_text("<!DOCTYPE html>\n<html><head><title>Service Unavailable</title></head></html>\n")
        return path
    write_sample_month(source, month, path, rows=rows_of(source, month))
    if (source.name, month) == REJECTED:
        head, *lines = lines_of(path)
        bad = [line.replace(line.split(",")[1], "soon", 1) for line in lines[:3]]
        write_gzip(path, [head, *bad, *lines[3:]])
    elif (source.name, month) == REPORTED:
        head, *lines = lines_of(path)
        write_gzip(path, [head, *(line for place, line in enumerate(lines) if _is_left(place, line))])
    elif source.name == "zones":
        path.write_bytes("".join(map(_named, path.read_bytes().decode().splitlines(keepends=True))).encode())
    return path


def _is_left(place: int, trip: str) -> bool:
    """Say whether a trip stays in the month whose report is made."""
    day = date.fromisoformat(trip.split(",")[1][:10])
    return place % 100 < BUSY[day.weekday()] - day.day * 7 % 5 and "205654.12" not in trip


def _named(zone: str) -> str:
    """Give a line of the sample's zones its real name, if it is one that the report shows."""
    number = zone.partition(",")[0]
    if not number.isdigit() or int(number) not in ZONES:
        return zone
    place = '"Queens","{}","Airports"' if int(number) in AIRPORTS else '"Manhattan","{}","Yellow Zone"'
    return f"{number},{place.format(ZONES[int(number)])}\r\n"


def rows_of(source: Source, month: Month) -> int:
    """Return how many rows a sample month has: a share of what the real one has, or the last one that is known."""
    if source.stands_alone:
        return 265
    known = {
        figure.first: figure.value
        for figure in FIGURES
        if (figure.source, figure.measure, figure.first) == (source.name, ROWS, figure.last)
    }
    return known[max(each for each in known if each <= month)] // SCALES.get(source.name, SCALE)
