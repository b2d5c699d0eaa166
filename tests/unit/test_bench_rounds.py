"""The rounds of the benchmark: who runs when, and what is known after each of them."""

from __future__ import annotations

from bench.rounds import Spread, order, run_rounds, sum_up


def test_each_round_begins_elsewhere_and_every_second_one_goes_backwards() -> None:
    rounds = ["".join(order("abcdef", number, 3)) for number in range(3)]

    assert rounds == ["abcdef", "bafedc", "efabcd"]


def test_every_contender_runs_once_a_round_in_its_order() -> None:
    ran: list[str] = []
    said: list[str] = []

    def contender(name: str) -> dict[str, float]:
        ran.append(name)
        return {name: float(len(ran))}

    contenders = {name: (lambda name=name: contender(name)) for name in "abc"}
    known = [len(measured) for measured in run_rounds(contenders, 2, said.append)]

    assert known == [1, 2]
    assert ran == [*order("abc", 0, 2), *order("abc", 1, 2)]
    assert len(said) == 6


def test_rounds_are_summed_up_by_median_and_range() -> None:
    measured = [{"a": 3.0}, {"a": 1.0}, {"a": 8.0}]

    assert sum_up(measured) == {"a": Spread(median=3.0, least=1.0, most=8.0)}
