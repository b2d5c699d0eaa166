"""What a load of a month would do, and what it may take: from ledger and mirror, and from nothing else."""

from __future__ import annotations

import re
from argparse import Namespace
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from taxiway.cli.plan import Ledger, Line, months_asked_for, total
from taxiway.download.look import FileVersion, Look, Presence
from taxiway.errors import InvalidArgumentError
from taxiway.loads.plan import Outcome, PlannedMonth, Rates, plan_month
from taxiway.loads.published_months import LastLoad, MonthState, PastLoad, Recorded, TableSize
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import load_source

GREEN, ZONES = (load_source(SOURCES_FOLDER / f"{name}.yaml") for name in ("green", "zones"))
NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
URL = "http://mirror.test/file.csv.gz"
ONE, OTHER = FileVersion('"one"', None, 1), FileVersion('"other"', None, 2)
JANUARY, OLD, TINY, NOT_DUE = Month(2019, 1), Month(2019, 3), Month(2019, 4), Month(2026, 10)


def there(version: FileVersion = ONE) -> Look:
    return Look(URL, Presence.THERE, "the answer is 200", version)


ABSENT = Look(URL, Presence.ABSENT, "the answer is 404")
SILENT = Look(URL, Presence.UNKNOWN, "no answer")


def recorded(month: Month, layout: str | None = None) -> Recorded:
    return Recorded("aa", 5, layout=layout or GREEN.layout_of(month).name)


STATE = MonthState(NOW, ((URL, ONE),))


@pytest.mark.parametrize(
    ("month", "look", "known", "outcome", "said"),
    [
        (Month(2000, 1), None, None, Outcome.OUT_OF_RANGE, "not available: include/sources/green.yaml says"),
        (Month(2026, 11), None, None, Outcome.NOT_PUBLISHED, "the month isn't over; its file is expected by 2027-"),
        (NOT_DUE, ABSENT, None, Outcome.NOT_PUBLISHED, "not published yet, expected by 2027-01-30: the answer is 404"),
        (NOT_DUE, there(), None, Outcome.EARLY, "leaves the month out until it is due, on 2027-01-30"),
        (OLD, there(), None, Outcome.NEW, 'it is there: ETag "one", 1 bytes'),
        (OLD, ABSENT, None, Outcome.ABSENT, f"expected by 2019-06-30: {URL}: the answer is 404 (absent); its load"),
        (OLD, SILENT, None, Outcome.UNKNOWN, f"{URL}: no answer"),
        (OLD, there(), STATE, Outcome.UNCHANGED, "the published one"),
        (OLD, there(OTHER), STATE, Outcome.CHANGED, "there is another version than the published one"),
        (OLD, there(FileVersion()), STATE, Outcome.UNTOLD, "A load downloads the file, and compares its bytes"),
        (OLD, ABSENT, STATE, Outcome.ABSENT, "it was loaded, and its file is gone"),
    ],
)
def test_an_outcome_with_its_reason(
    month: Month, look: Look | None, known: MonthState | None, outcome: Outcome, said: str
) -> None:
    planned = plan_month(GREEN, month, NOW, look, known, recorded(month) if known else None)

    assert (planned.outcome, planned.month) == (outcome, month)
    assert said in planned.reason
    assert planned.size == (look.version.size if look and look.version else None)


def test_a_month_whose_columns_have_changed_is_loaded_again() -> None:
    planned = plan_month(GREEN, OLD, NOW, there(), STATE, recorded(OLD, "another"))

    assert (planned.month, planned.outcome, planned.size) == (OLD, Outcome.CHANGED, ONE.size)
    assert "with other columns than include/sources/green.yaml says now" in planned.reason


def test_a_month_that_a_run_loads_now_is_not_loaded_by_another() -> None:
    begun = LastLoad("running", started_at=NOW - timedelta(hours=1))
    lost = replace(begun, started_at=NOW - timedelta(days=2))
    ended = replace(begun, state="abandoned")

    loading, *others = (plan_month(GREEN, OLD, NOW, there(), None, None, last) for last in (begun, lost, ended))

    assert loading.outcome is Outcome.LOADING
    assert "a run that began 2026-11-29 11:00 UTC loads it" in loading.reason
    assert [each.outcome for each in others] == [Outcome.NEW, Outcome.NEW]


def test_a_file_of_no_month_is_always_due() -> None:
    assert plan_month(ZONES, WHOLE, NOW, there(), None, None).outcome is Outcome.NEW
    assert plan_month(ZONES, WHOLE, NOW, ABSENT, None, None).outcome is Outcome.ABSENT


def past(source: str, size: int, seconds: float, ending: str = "csv.gz") -> PastLoad:
    return PastLoad(source, f"http://mirror.test/file.{ending}", size, rows=10 * size, seconds=seconds)


def test_rates_are_the_medians_of_files_of_the_same_kind_and_about_the_same_size() -> None:
    loads = [
        past("green", 100, 10),
        past("green", 100, 20),
        past("green", 200, 1000),
        past("green", 1, 9999),
        past("green", 100, 9999, "csv"),
        past("yellow", 100, 9999),
    ]

    assert Rates.of(loads, GREEN, OLD, 100) == Rates(3, 100, 0.2, 10)
    assert Rates.of([past("yellow", 100, 50)], GREEN, OLD, 100) == Rates(1, 100, 0.5, 10)
    assert Rates.of(loads, GREEN, OLD, 10_000) is None
    assert Rates.of(loads, GREEN, Month(2024, 1), 100) is None


def test_a_load_of_dags_test_says_nothing_about_time() -> None:
    """Its run begins on its logical date, years ago."""
    row = {"source": "green", "url": URL, "size": 100, "row_count": 5, "finished_at": NOW}
    rows = [{**row, "started_at": NOW - timedelta(days=2000)}, {**row, "started_at": NOW - timedelta(seconds=7)}]

    assert PastLoad.of(rows) == [PastLoad("green", URL, 100, rows=5, seconds=7)]


def test_only_what_is_loaded_takes_time() -> None:
    rates = Rates(1, 50, 0.5, 10)

    new = PlannedMonth(OLD, Outcome.NEW, "", 100)
    assert (new.estimated(rates).seconds, new.estimated(rates).rows) == (50, 1000)
    assert PlannedMonth(OLD, Outcome.NEW, "").estimated(rates).seconds == 25
    assert new.estimated(None) == new
    same = PlannedMonth(OLD, Outcome.UNCHANGED, "", 100)
    assert same.estimated(rates) == same


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_LIMIT", "1 GB")


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("rows", "size", "known", "unknown", "said", "unsaid"),
    [
        (
            9,
            900,
            [OLD],
            [TINY],
            "How long loading 2019-04 takes, and how many rows that brings, isn't known: ",
            "gains isn't known",
        ),
        (9, 900, [], [TINY], "How long loading takes, and how many rows that brings, isn't known: ", "gains"),
        (0, 900, [], [OLD], "what the main table gains isn't known: no row of the source is loaded yet", "how large"),
        (9, None, [OLD], [], "gains isn't known: the warehouse doesn't say how large it is", "is loaded yet"),
        (9, 900, [OLD], [], " one after another. ", "isn't known"),
    ],
    ids=["a month without a like", "no month with a like", "nothing loaded", "a table of unknown size", "all known"],
)
def test_what_is_not_known_is_said_with_its_cause(
    rows: int, size: int | None, known: list[Month], unknown: list[Month], said: str, unsaid: str
) -> None:
    """Of a file unlike the loaded ones nobody knows how long it takes, though months are loaded."""
    note = note_of_total(rows, TableSize(size), known, unknown)

    assert said in note
    assert unsaid not in note


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("known", "unknown", "needed"),
    [([OLD], [], "11.2 kB"), ([OLD], [TINY], "at least 11.3 kB"), ([], [TINY], "at least 100 bytes")],
)
def test_a_disk_needs_at_least_what_is_known(
    tmp_path: Path, known: list[Month], unknown: list[Month], needed: str
) -> None:
    """Here, one disk has the cache and the warehouse."""
    folder = tmp_path / "warehouse"
    folder.mkdir()

    note = note_of_total(9, TableSize(50, folder), known, unknown)

    assert re.search(rf"\. {needed} needed of [^;]+ free on the disk of the cache and the warehouse\. ", note), note


def note_of_total(rows: int, table: TableSize, known: list[Month], unknown: list[Month]) -> str:
    """Return what is said of months together that are to be loaded.

    :param rows: of the published month, the only one
    :param known: months with loaded files like theirs
    :param unknown: months without
    """
    ledger = Ledger({}, {JANUARY: Recorded("aa", rows)} if rows else {}, {}, [], table)
    rate = ledger.bytes_per_row
    new = [PlannedMonth(month, Outcome.NEW, "", 100) for month in (*known, *unknown)]
    planned = [each.estimated(Rates(1, 100, 0.5, 10)) if each.month in known else each for each in new]
    lines = [
        Line(each, False, 100, None if each.rows is None or rate is None else each.rows * rate) for each in planned
    ]
    return str(total(GREEN, lines, ledger, "postgres")[1]["note"])


# --- Which months a range has


@pytest.mark.parametrize(
    ("source", "start", "end", "said"),
    [
        ("green", None, None, "no date given: say which runs with -s YYYY-MM-DD"),
        ("green", "2019-13-01", None, "--start-date '2019-13-01': there is no such day"),
        ("green", "2999-01-01", None, "lies in the future"),
        ("green", "2019-01-02", "2019-01-20", "no run of green has its logical date from 2019-01-02 to 2019-01-20"),
        ("zones", "2019-01-01", None, "zones is one file, of no month: leave -s and -e out"),
    ],
)
def test_dates_are_read_as_a_backfill_reads_them(source: str, start: str | None, end: str | None, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=re.escape(said)):
        asked_for(source, start, end)


def test_a_range_has_the_months_whose_logical_dates_lie_in_it() -> None:
    assert asked_for("green", "2019-01-02", "2019-02-28") == ["2019-02"]
    assert asked_for("green", "2019-01-01", "2019-03-01") == ["2019-01", "2019-02", "2019-03"]
    assert asked_for("green", "2019-01-01", "2019-03-01T08:59:59") == ["2019-01", "2019-02"]
    assert asked_for("zones", None, None) == ["whole"]


def asked_for(source: str, start: str | None, end: str | None) -> list[str]:
    of = load_source(SOURCES_FOLDER / f"{source}.yaml")
    return [str(month) for month in months_asked_for(of, Namespace(start_date=start, end_date=end))]
