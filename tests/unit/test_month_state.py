"""How a month stands: one rule for the board and for ``airflow taxi status``."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest

from taxiway.loads.month_state import (
    CHANGED,
    FAILED,
    MISSING,
    NO_FILE,
    NOT_DUE,
    PUBLISHED,
    RUNNING,
    SKIPPED,
    STATES,
    WARNED,
    Watched,
    months_up_to_now,
    state_of,
)
from taxiway.loads.published_months import LastLoad
from taxiway.orchestration.standing import cut_off, running_runs
from taxiway.paths import ROOT
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source

MONTH = Month(2019, 3)
AT = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
LOADED = LastLoad("published", rows=30, published_at=AT, confirmed_at=AT)
AFTER, BEFORE, LATER = AT + timedelta(days=1), AT - timedelta(days=1), AT + timedelta(days=2)


@pytest.mark.parametrize(
    ("found", "seen", "state"),
    [
        (LOADED, None, PUBLISHED),
        (replace(LOADED, state="unchanged"), None, PUBLISHED),
        (replace(LOADED, state="running"), None, PUBLISHED),
        (replace(LOADED, state="skipped"), None, PUBLISHED),
        (replace(LOADED, warnings=["odd"]), None, WARNED),
        (replace(LOADED, state="failed"), None, FAILED),
        (LastLoad("abandoned"), None, FAILED),
        (LastLoad("running"), None, RUNNING),
        (replace(LOADED, state="running", error="waits for a person"), None, RUNNING),
        (LastLoad("skipped"), None, SKIPPED),
        # What the watch has seen before the month was published last is no news.
        (LOADED, Watched("changed", "", AFTER), CHANGED),
        (replace(LOADED, warnings=["odd"]), Watched("failed", "", AFTER), CHANGED),
        (LOADED, Watched("later", "", AFTER), CHANGED),
        (LOADED, Watched("loading", "", AFTER), CHANGED),
        (LOADED, Watched("changed", "", BEFORE), PUBLISHED),
        # Nor is what it has seen before a load found the published bytes at the source.
        (replace(LOADED, state="unchanged", confirmed_at=LATER), Watched("changed", "", AFTER), PUBLISHED),
        (replace(LOADED, state="running", confirmed_at=LATER), Watched("loading", "", AFTER), PUBLISHED),
        (replace(LOADED, state="unchanged", confirmed_at=BEFORE), Watched("changed", "", AFTER), CHANGED),
        (LOADED, Watched("vanished", "", AFTER), PUBLISHED),
        (LOADED, Watched("unchanged", "", AFTER), PUBLISHED),
        (None, None, MISSING),
    ],
)
def test_what_the_ledger_and_the_watch_say_is_a_state(
    green: Source, found: LastLoad | None, seen: Watched | None, state: str
) -> None:
    assert state_of(green, MONTH, found, seen) == state
    assert state in STATES


def test_a_load_whose_run_has_ended_is_cut_off(green: Source) -> None:
    months = {Month(2019, 1): LastLoad("running", run_id="taxi a run"), Month(2019, 2): LastLoad("running", run_id="b")}
    loads = {"green": months}

    def states(*ended: tuple[str, str]) -> list[str]:
        found = cut_off(loads, "postgres", ended)["green"]
        return [state_of(green, month, load) for month, load in found.items()]

    assert running_runs(loads, "postgres") == {("taxi", "a run"), ("taxi_green", "b")}
    assert states() == [RUNNING, RUNNING]
    assert states(("taxi", "a run")) == [FAILED, RUNNING]
    assert states(("taxi", "b"), ("taxi_green", "a run")) == [RUNNING, RUNNING]


def test_a_month_is_missing_from_the_day_on_that_its_file_is_due(green: Source) -> None:
    due = green.due(MONTH)

    assert state_of(green, MONTH, None, None, due - timedelta(days=1)) == NOT_DUE
    assert state_of(green, MONTH, None, None, due) == MISSING
    # The watch has seen its file earlier.
    for decision in ("new", "later", "behind"):
        assert state_of(green, MONTH, None, Watched(decision, "", AT), due - timedelta(days=1)) == MISSING
    assert state_of(green, MONTH, None, Watched("waiting", "", AT), due - timedelta(days=1)) == NOT_DUE


def test_a_month_that_the_source_does_not_have_is_neither_missing_nor_due(green: Source) -> None:
    first = green.first_month

    assert state_of(green, first.previous(), None) == NO_FILE
    assert state_of(green, first, None) == MISSING
    ended = replace(green, releases=(replace(green.releases[0], last=MONTH),))
    assert state_of(ended, MONTH.next(), None) == NO_FILE


def test_months_go_on_to_the_last_that_is_due_or_that_somebody_has_tried(green: Source) -> None:
    today = green.due(MONTH)

    assert months_up_to_now(green, (), today) == [Month(2019, number) for number in (1, 2, 3)]
    tried = [Month(2021, 7), Month(2019, 5), Month(2019, 2), Month(2008, 1), Month(2109, 3)]
    assert months_up_to_now(green, tried, today)[2:] == [Month(2019, 3), Month(2019, 5), Month(2021, 7)]
    assert months_up_to_now(green, (), date(2019, 1, 1)) == []
    zones = replace(green, period="none", releases=(replace(green.releases[0], first=WHOLE, last=WHOLE),))
    assert months_up_to_now(zones, ()) == [WHOLE]
    assert state_of(zones, WHOLE, None) == MISSING


def test_the_page_and_its_description_have_each_state() -> None:
    page = (ROOT / "plugins/taxiway/board/static/states.js").read_text()
    found = re.findall(r'^  \["([a-z ]+)", \{ sign: "(.?)", look: "[a-z-]+", says: "([^"]+)" \}\],$', page, re.M)
    described = re.findall(r"^\| (.|hatched) \| ([^|]+) \| [^|]+ \|$", (ROOT / "docs/board.md").read_text(), re.M)

    assert {state for state, _, _ in found} == {*STATES, "queued"}
    assert [(sign or "hatched", says) for _, sign, says in found] == described
