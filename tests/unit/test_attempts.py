"""What a step does with the attempts of its run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from taxiway.errors import InvalidArgumentError
from taxiway.loads.attempts import LONGEST_RUN, Attempt, Decision, attempt_of, decide, is_over, lost_worker
from taxiway.loads.load import Load
from taxiway.loads.step_names import STEP_NAMES as STEPS
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import load_source

LOAD = Load(load_source(SOURCES_FOLDER / "green.yaml"), Month(2019, 1), "manual__1")
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ENDED = ("published", "unchanged", "skipped", "failed", "abandoned")


@pytest.mark.parametrize("step", STEPS)
def test_a_run_without_attempts_begins_one(step: str) -> None:
    assert decide(None, step, begun=False) == Decision(begins=True)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_goes_on_with_the_attempt_under_way(step: str) -> None:
    assert decide("running", step, begun=False) == Decision(begins=False)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_had_begun_abandons_it_and_begins_another(step: str) -> None:
    assert decide("running", step, begun=True) == Decision(
        begins=True, abandons=True, takes_over=step != "download_month"
    )


@pytest.mark.parametrize(("state", "step", "begun"), list(itertools.product(ENDED, STEPS, (False, True))))
def test_an_attempt_that_has_ended_is_never_reopened(state: str, step: str, begun: bool) -> None:
    if (state, step) == ("published", "merge_month"):
        # The worker was lost before it could say what it published.
        assert decide(state, step, begun=begun) == Decision(begins=False)
        return
    assert decide(state, step, begun=begun) == Decision(begins=True, takes_over=step != "download_month")


@pytest.mark.parametrize(("state", "waited"), [("running", "other"), ("failed", "1")])
def test_a_step_that_has_waited_goes_on_with_its_attempt_only_if_that_goes_on(state: str, waited: str) -> None:
    last = Attempt("1", "1", 1, "merge_month", state)
    ledger = InMemory(LOAD, last, begun=True)

    assert attempt_of(InMemory(LOAD, replace(last, state="running"), begun=True), "merge_month", "1").load_id == "1"
    assert attempt_of(ledger, "merge_month", waited).number == 2


@dataclass
class InMemory:
    """A ledger that notes what becomes of its attempts."""

    load: Load
    last: Attempt | None
    begun: bool = False
    noted: list[tuple[Any, ...]] = field(default_factory=list)

    def last_attempt(self) -> Attempt | None:
        return self.last

    def has_begun(self, attempt: Attempt, step: str) -> bool:
        self.noted.append(("has begun?", attempt, step))
        return self.begun

    def abandon(self, attempt: Attempt, step: str) -> None:
        self.noted.append(("abandon", attempt, step))

    def begin(self, step: str, before: Attempt | None, *, takes_over: bool) -> Attempt:
        self.noted.append(("begin", step, before, takes_over))
        return NEXT


LAST = Attempt("1", "1", 1, "stage_month", "running")
NEXT = Attempt("2", "1", 2, "hash_rows", "running")


def test_a_run_s_first_step_begins_its_first_attempt() -> None:
    ledger = InMemory(LOAD, None)

    assert attempt_of(ledger, "download_month") is NEXT
    assert ledger.noted == [("begin", "download_month", None, False)]


@pytest.mark.parametrize(
    ("last", "step", "begun", "noted"),
    [
        (LAST, "hash_rows", False, []),
        (LAST, "hash_rows", True, [("abandon", LAST, "hash_rows"), ("begin", "hash_rows", LAST, True)]),
        (LAST, "download_month", True, [("abandon", LAST, "download_month"), ("begin", "download_month", LAST, False)]),
        (
            replace(LAST, state="failed"),
            "hash_rows",
            True,
            [("begin", "hash_rows", replace(LAST, state="failed"), True)],
        ),
    ],
    ids=range(4),
)
def test_a_step_works_in_the_last_attempt_or_begins_another(
    last: Attempt, step: str, begun: bool, noted: list[tuple[Any, ...]]
) -> None:
    ledger = InMemory(LOAD, last, begun)

    assert attempt_of(ledger, step) is (NEXT if noted else last)
    assert ledger.noted == [("has begun?", last, step), *noted]


@pytest.mark.parametrize(
    ("age", "over"), [(LONGEST_RUN, False), (LONGEST_RUN + timedelta(microseconds=1), True), (timedelta(0), False)]
)
def test_another_runs_attempt_is_over_after_a_day(age: timedelta, over: bool) -> None:
    assert is_over("running", NOW - age, NOW) is over


@pytest.mark.parametrize("state", ENDED)
def test_what_has_ended_is_not_over_once_more(state: str) -> None:
    assert not is_over(state, NOW - 2 * LONGEST_RUN, NOW)


def test_the_ledger_says_which_step_was_lost() -> None:
    assert lost_worker("hash_rows") == "hash_rows: its worker ended without a word"


def test_a_step_has_begun_if_it_or_a_later_one_is_the_last_one_known() -> None:
    assert [(a, b) for a, b in itertools.product(STEPS, STEPS) if LOAD.has_begun(b, last=a)] == [
        (a, b) for a, b in itertools.product(STEPS, STEPS) if STEPS.index(a) >= STEPS.index(b)
    ]


def test_a_step_that_the_dag_no_longer_has_says_nothing() -> None:
    assert LOAD.has_begun("download_month", last="check_sums")


def test_an_unknown_step_is_named_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        LOAD.has_begun("x", last="hash_rows")

    assert str(caught.value) == (
        f"green 2019-01: step 'x': expected one of {', '.join(STEPS)}, the steps that the DAG was built of"
    )


def test_a_step_of_one_dag_has_its_place_in_its_load() -> None:
    load = replace(LOAD, steps=("download_month", "check_sums", "merge_month"))

    assert not load.has_begun("merge_month", last="check_sums")
    assert load.has_begun("check_sums", last="merge_month")
