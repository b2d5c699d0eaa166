"""Runs the contenders round by round, and adds rounds for ratios that are too close to call."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from bench.budget import Budget

Measures = dict[str, float]

Contender = Callable[[], Measures]

MOST_TIMES = 2
"""How many times the asked rounds there are at the most, for ratios that stay too close to call."""


def order(names: Sequence[str], number: int, rounds: int) -> list[str]:
    """Return the order of one round: each begins with another contender, every second one goes backwards.

    So none always runs after the same other one.
    """
    first = number * len(names) // rounds % len(names)
    turned = [*names[first:], *names[:first]]
    return turned if number % 2 == 0 else turned[::-1]


def run_rounds(
    contenders: Mapping[str, Contender], rounds: int, say: Callable[[str], object], budgets: Sequence[Budget] = ()
) -> Iterator[list[dict[str, float]]]:
    """Run every contender once a round, then those of unsettled budgets in further rounds.

    :param contenders: by name; each returns what it measured
    :param rounds: how many rounds all of them run
    :param budgets: get up to :data:`MOST_TIMES` as many rounds, until they are settled
    :return: after each round, what each of the rounds so far has measured
    """
    measured: list[dict[str, float]] = []
    measures_of: dict[str, Mapping[str, float]] = {}
    for number in range(MOST_TIMES * rounds):
        names = list(contenders)
        if number >= rounds:
            unsettled = [budget for budget in budgets if not budget.judge(measured).get("settled", True)]
            wanted = {name for budget in unsettled for name in (budget.measure, budget.to)}
            names = [name for name in names if wanted & measures_of[name].keys()]
            if not names:
                return
            say(f"too close to call: {', '.join(budget.key for budget in unsettled)}")
        measured.append({})
        for name in order(names, number, rounds):
            gc.collect()
            began = time.perf_counter()
            measures_of[name] = contenders[name]()
            measured[-1].update(measures_of[name])
            say(f"round {number + 1}: {name}, {time.perf_counter() - began:.1f} s with its preparations")
        yield measured
