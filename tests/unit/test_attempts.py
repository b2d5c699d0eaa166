"""What a step does with the attempts of its run."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

import pytest

from taxiway.errors import InvalidArgumentError
from taxiway.loads.attempts import LONGEST_RUN, Decision, decide, is_over, lost_worker
from taxiway.loads.steps import STEPS, comes_before

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
    assert decide(state, step, begun=begun) == Decision(begins=True, takes_over=step != "download_month")


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


def test_steps_have_one_order() -> None:
    assert [(a, b) for a, b in itertools.product(STEPS, STEPS) if comes_before(a, b)] == list(
        itertools.combinations(STEPS, 2)
    )


@pytest.mark.parametrize(("step", "other"), [("x", "hash_rows"), ("hash_rows", "x")])
def test_an_unknown_step_is_named_with_the_known_ones(step: str, other: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"step 'x': expected one of download_month, .*, merge_month"):
        comes_before(step, other)
