"""What is read of a warehouse's published months: queries, by their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from taxiway.download.look import FileVersion
from taxiway.loads.attempts import LONGEST_RUN
from taxiway.loads.deletions import ACCEPTING_CONF
from taxiway.loads.published_months import (
    ComparedMonth,
    LastLoad,
    LoggedAttempt,
    MonthState,
    PastLoad,
    PublishedMonth,
    PublishedMonths,
    Recorded,
    Rejected,
    RejectedLine,
    TableSize,
    Verified,
    misfits,
)
from taxiway.sources.months import Month
from taxiway.sources.source import Source


class InMemory(PublishedMonth):
    """A month whose queries have been asked before."""

    def __init__(self, source: Source, rows: list[dict[str, Any]]) -> None:
        self.source, self.month = source, Month(2019, 1)
        self.rows = rows
        self.asked: tuple[Any, ...] = ()

    def _rows(self, name: str, values: Mapping[str, Any] | None = None, **names: Any) -> list[dict[str, Any]]:
        self.asked = (name, values, names)
        return self.rows


def test_sums_are_those_of_the_columns_that_the_month_has(green: Source) -> None:
    """A main table that was loaded before the source gained a column is without it."""
    newer = replace(green.columns[-1], name="newer_fee", since=Month(2025, 1))
    month = InMemory(replace(green, columns=(*green.columns, newer)), [{"row_count": "2", "total_amount": "3.5"}])

    assert month.sums() == {"row_count": "2", "total_amount": "3.5"}
    assert month.asked == ("compare_month", None, {"columns": green.columns})


def test_digests_are_found_by_the_ids_first_digits(green: Source) -> None:
    rows = [{"part": "0a", "row_count": 2, "ids_digest": "x"}, {"part": "ff", "row_count": 1, "ids_digest": "y"}]
    month = InMemory(green, rows)

    assert month.digests() == {"0a": (2, "x"), "ff": (1, "y")}
    assert month.asked == ("digest_ids", None, {})


def test_ids_are_those_of_a_part(green: Source) -> None:
    month = InMemory(green, [{"unique_row_id": "0a1"}, {"unique_row_id": "0a2"}])

    assert month.ids("0a") == ["0a1", "0a2"]
    assert month.asked == ("list_ids", {"part": "0a"}, {})


MOMENT = datetime(2019, 2, 3, 4, tzinfo=timezone.utc)
LATER = MOMENT + timedelta(seconds=90)


class Ledger(PublishedMonths):
    """A warehouse whose ledger has been asked before."""

    name = "a warehouse"

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = rows
        self.asked: tuple[Any, ...] = ()

    def _ask(self, what: str, name: str, values: Mapping[str, Any], **names: Any) -> Sequence[Mapping[str, Any]]:
        self.asked = (what, name, dict(values), *sorted(names.items()))
        return self.rows

    def reading(self, source: Source, month: Month) -> AbstractContextManager[ComparedMonth]:
        raise NotImplementedError

    def is_loading(self, source: Source, month: Month) -> bool:
        raise NotImplementedError

    def months_of_table(self, source: Source) -> Sequence[Month]:
        raise NotImplementedError

    def count_files(self, source: Source, months: Sequence[Month]) -> Mapping[Month, Mapping[str, int]]:
        raise NotImplementedError

    def verify(self, source: Source, month: Month) -> Verified:
        raise NotImplementedError

    def table_size(self, source: Source) -> TableSize:
        raise NotImplementedError


JANUARY, FEBRUARY = Month(2019, 1), Month(2019, 2)


def test_published_months_are_those_of_the_source(green: Source) -> None:
    row = {
        "month": JANUARY.first_day,
        "sha256": "aa",
        "row_count": 7,
        "filename": "green.csv",
        "rows_rejected": 2,
        "unpacked_bytes": 90,
        "layout": "columns 1",
    }
    earlier = {**row, "month": FEBRUARY.first_day, "rows_rejected": None, "unpacked_bytes": None, "layout": None}
    ledger = Ledger(row, earlier)

    assert ledger.months(green) == {
        JANUARY: Recorded("aa", 7, "green.csv", 2, 90, "columns 1"),
        FEBRUARY: Recorded("aa", 7, "green.csv", 0, None, None),
    }
    assert ledger.asked == ("green", "find_published_months", {"source": "green"})


def test_a_month_has_each_download_of_its_published_bytes(green: Source) -> None:
    row = {
        "month": JANUARY.first_day,
        "published_at": MOMENT,
        "downloaded": True,
        "url": "http://mirror.test/green",
        "etag": '"1"',
        "last_modified": "Sun",
        "bytes": 40,
    }
    again = {**row, "url": None, "etag": '"2"'}
    never = {**row, "month": FEBRUARY.first_day, "published_at": None, "downloaded": False}
    ledger = Ledger(row, again, never)

    first, second = FileVersion('"1"', "Sun", 40), FileVersion('"2"', "Sun", 40)
    assert ledger.states(green) == {
        JANUARY: MonthState(MOMENT, (("http://mirror.test/green", first), (None, second))),
        FEBRUARY: MonthState(),
    }
    assert ledger.asked == ("green", "find_month_states", {"source": "green"})


LAST = {
    "source": "green",
    "month": JANUARY.first_day,
    "last_state": "failed",
    "last_error": "cut off",
    "row_count": 7,
    "rows_rejected": 2,
    "warnings": ["odd"],
    "last_run_id": "manual__1",
    "last_step": "stage_month",
    "last_started_at": LATER,
    "filename": "green.csv",
    "bytes": 40,
    "layout": "columns 1",
    "published_started_at": MOMENT,
    "published_at": LATER,
    "confirmed_at": LATER + timedelta(1),
}


def test_the_last_loads_of_months_are_found_by_their_sources(green: Source) -> None:
    nothing = dict.fromkeys(LAST) | {
        "source": "lime",
        "month": FEBRUARY.first_day,
        "last_state": "running",
        "last_run_id": "manual__2",
        "last_step": "download_month",
        "last_started_at": MOMENT,
    }
    ledger = Ledger(LAST, {**LAST, "month": FEBRUARY.first_day}, nothing)

    failed = LastLoad(
        "failed",
        "cut off",
        7,
        2,
        ("odd",),
        "manual__1",
        "stage_month",
        LATER,
        "green.csv",
        40,
        "columns 1",
        90.0,
        LATER,
        LATER + timedelta(1),
    )
    found = ledger.last_loads([green, replace(green, name="lime")])
    assert found == {
        "green": {JANUARY: failed, FEBRUARY: failed},
        "lime": {FEBRUARY: LastLoad("running", run_id="manual__2", step="download_month", started_at=MOMENT)},
    }
    assert found["lime"][FEBRUARY].warnings == ()
    assert ledger.asked == ("green, lime", "list_last_loads", {"sources": ["green", "lime"]})


def test_months_that_are_held_back_are_those_whose_last_load_would_delete_too_much(green: Source) -> None:
    held = {**LAST, "last_error": f"green 2019-01: {ACCEPTING_CONF}"}

    assert Ledger(held, {**LAST, "month": FEBRUARY.first_day}).held_back(green) == [JANUARY]
    assert Ledger().held_back(green) == []


@pytest.mark.parametrize(
    ("state", "age", "goes_on"),
    [
        ("running", timedelta(), True),
        ("running", LONGEST_RUN - timedelta(seconds=1), True),
        ("running", LONGEST_RUN, False),
        ("failed", timedelta(), False),
    ],
)
def test_a_load_goes_on_until_it_has_ended_or_is_too_old(state: str, age: timedelta, *, goes_on: bool) -> None:
    load = LastLoad(state, started_at=MOMENT)

    assert load.loading_since(MOMENT + age) == (MOMENT if goes_on else None)
    assert LastLoad(state).loading_since(MOMENT) is None


def test_attempts_of_a_month_are_told_as_the_ledger_has_them(green: Source) -> None:
    row = {
        "load_id": 3,
        "run_id": "manual__1",
        "attempt": 2,
        "state": "published",
        "step": "merge_month",
        "started_at": MOMENT,
        "finished_at": LATER,
        "rows_staged": 7,
        "rows_rejected": 2,
        "error": None,
        "warnings": ["odd"],
    }
    ledger = Ledger(row, {**row, "finished_at": None, "error": "cut off", "warnings": None})

    first, second = ledger.attempts(green, JANUARY, 5)
    assert first == LoggedAttempt("3", "manual__1", 2, "published", "merge_month", MOMENT, LATER, 7, 2, None, ("odd",))
    assert second == replace(first, finished_at=None, error="cut off", warnings=())
    assert (first.seconds, second.seconds) == (90.0, None)
    values = {"source": "green", "month": JANUARY.first_day, "most": 5}
    assert ledger.asked == ("green 2019-01", "list_attempts", values)


@pytest.mark.parametrize("by_reason", [False, True])
def test_rejected_lines_of_an_attempt_are_sorted_as_asked(green: Source, *, by_reason: bool) -> None:
    ledger = Ledger({"line_number": 3, "raw_line": "1,x", "reason": "no number"})

    found = ledger.rejected_lines(green, JANUARY, "3", 10, by_reason=by_reason)

    assert found == [RejectedLine(3, "1,x", "no number")]
    values = {"source": "green", "month": JANUARY.first_day, "load_id": "3", "most": 10}
    assert ledger.asked == ("green 2019-01", "list_rejected_rows", values, ("by_reason", by_reason))


def test_rejected_lines_are_sorted_by_line_unless_asked(green: Source) -> None:
    ledger = Ledger()

    assert ledger.rejected_lines(green, JANUARY, "3", 10) == []
    assert ledger.asked[-1] == ("by_reason", False)


def test_what_the_last_attempt_has_rejected_is_counted_and_shown(green: Source) -> None:
    first = {
        "state": "published",
        "sha256": "aa",
        "rows_read": 9,
        "rows_rejected": 2,
        "line_number": 3,
        "raw_line": "1,x",
        "reason": "no number",
    }
    ledger = Ledger(first, {**first, "line_number": 5, "raw_line": "2,y"})

    lines = [RejectedLine(3, "1,x", "no number"), RejectedLine(5, "2,y", "no number")]
    assert ledger.rejected(green, JANUARY) == Rejected("published", "aa", 9, 2, lines)
    values = {"source": "green", "month": JANUARY.first_day}
    assert ledger.asked == ("green 2019-01", "list_rejects", values)
    none_kept = {**first, "rows_rejected": 0, "line_number": None, "raw_line": None, "reason": None}
    assert Ledger(none_kept).rejected(green, JANUARY) == Rejected("published", "aa", 9, 0, [])
    assert Ledger().rejected(green, JANUARY) is None


def test_past_loads_are_those_whose_time_is_known(green: Source) -> None:
    row = {
        "source": "green",
        "url": "http://mirror.test/green",
        "size": 40,
        "row_count": 7,
        "started_at": MOMENT,
        "finished_at": MOMENT + LONGEST_RUN,
    }
    unknown = [
        {**row, "finished_at": MOMENT + LONGEST_RUN + timedelta(seconds=1)},
        {**row, "started_at": None},
        {**row, "finished_at": None},
    ]
    ledger = Ledger(*unknown, row)

    took = LONGEST_RUN.total_seconds()
    assert ledger.past_loads(green) == [PastLoad("green", "http://mirror.test/green", 40, 7, took)]
    assert ledger.asked == ("green", "list_past_loads", {"source": "green"})


def test_rows_that_do_not_fit_their_ids_are_counted() -> None:
    assert misfits(1) == (
        "1 row with an id that doesn't fit: changed or added by hand, or left of duplicate rows of which some were "
        "deleted"
    )
