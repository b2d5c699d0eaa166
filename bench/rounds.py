"""Runs the contenders round by round, and sums the rounds up."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Contender = Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class Spread:
    """One value over all rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Sum values up."""
        return cls(median(values), min(values), max(values))


def order(names: Sequence[str], number: int, rounds: int) -> list[str]:
    """Return the order of one round: each begins with another contender, every second one goes backwards.

    So none always runs after the same other one.

    :param number: of the round, from 0
    :param rounds: how many there are
    """
    first = number * len(names) // rounds
    turned = [*names[first:], *names[:first]]
    return turned if number % 2 == 0 else turned[::-1]


def run_rounds(
    contenders: Mapping[str, Contender], rounds: int, say: Callable[[str], None]
) -> Iterator[list[dict[str, float]]]:
    """Let every contender run once a round.

    :param contenders: by what is said of them; each returns what it measured
    :param rounds: how many
    :param say: is told how it goes
    :return: after each round, what each of the rounds so far has measured
    """
    measured = []
    for number in range(rounds):
        measures: dict[str, float] = {}
        for name in order(list(contenders), number, rounds):
            gc.collect()
            began = time.perf_counter()
            measures.update(contenders[name]())
            say(f"round {number + 1} of {rounds}: {name}, {time.perf_counter() - began:.1f} s with its preparations")
        measured.append(measures)
        yield measured


def sum_up(measured: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Return every measure's spread over the rounds."""
    return {name: Spread.of([measures[name] for measures in measured]) for name in measured[0]}
