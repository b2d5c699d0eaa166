"""The rounds of the benchmark: which contender runs when, and what is known after each of them."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from bench.budget import Budget
from bench.rounds import MOST_TIMES, Contender, order, run_rounds


@pytest.fixture(autouse=True, scope="module")
def _a_small_process() -> Iterator[None]:
    """Garbage is collected before each contender: what the tests of other files have left takes seconds each time."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_each_round_begins_elsewhere_and_every_second_one_goes_backwards() -> None:
    rounds = ["".join(order("abcdef", number, 3)) for number in range(6)]

    assert rounds == ["abcdef", "bafedc", "efabcd", "fedcba", "cdefab", "dcbafe"]


def contender(name: str, ran: list[str], values: list[float]) -> Contender:
    """Return a contender that measures one value after another, and the last one ever after."""

    def run() -> dict[str, float]:
        ran.append(name)
        return {name: values.pop(0) if len(values) > 1 else values[0]}

    return run


def test_every_contender_runs_once_a_round_in_its_order() -> None:
    ran: list[str] = []
    said: list[str] = []

    contenders = {name: contender(name, ran, [1.0]) for name in "abc"}
    known = [len(measured) for measured in run_rounds(contenders, 2, said.append)]

    assert known == [1, 2]
    assert ran == [*order("abc", 0, 2), *order("abc", 1, 2)]
    assert len(said) == 6


def test_a_budget_that_is_too_close_to_call_gets_more_rounds_until_it_is_settled() -> None:
    ran: list[str] = []
    said: list[str] = []
    contenders = {
        "a": contender("a", ran, [1.0, 1.0, 3.0, 1.0]),  # one value of five is beyond the limit
        "b": contender("b", ran, [1.0]),
        "c": contender("c", ran, [9.0]),
    }
    budgets = [
        Budget("noisy", "", "a", "b", 2.0),
        Budget("clear", "", "c", "b", 2.0),
        Budget("absent", "", "x", "y", 1),
    ]

    *_, measured = run_rounds(contenders, 5, said.append, budgets)

    assert len(measured) == 8, "of eight values, one may be left out at each end"
    assert [round_.keys() for round_ in measured[4:]] == [{"a", "b", "c"}, *[{"a", "b"}] * 3]
    assert [line for line in said if "close" in line] == ["too close to call: noisy"] * 3
    assert ran.count("c") == 5


def test_a_budget_that_stays_too_close_to_call_does_not_go_on_for_ever() -> None:
    both = [1.0, 3.0] * 20
    contenders = {"a": contender("a", [], both), "b": contender("b", [], [1.0])}

    *_, measured = run_rounds(contenders, 5, print, [Budget("noisy", "", "a", "b", 2.0)])

    assert len(measured) == MOST_TIMES * 5


def test_without_budgets_no_round_is_added() -> None:
    contenders = {"a": contender("a", [], [1.0, 3.0])}

    assert len(list(run_rounds(contenders, 2, print))) == 2
