"""Runs the contenders round by round, and sums the rounds up."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


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


def run_rounds(
    contenders: Mapping[str, Callable[[], Mapping[str, float]]], rounds: int, say: Callable[[str], None]
) -> list[dict[str, float]]:
    """Let every contender run once a round; each round begins with another one.

    :param contenders: by name; each returns what it measured
    :param rounds: how many
    :param say: is told how it goes
    :return: what each round measured
    """
    names, measured = list(contenders), []
    for number in range(rounds):
        first = number * len(names) // rounds
        measures: dict[str, float] = {}
        for name in names[first:] + names[:first]:
            gc.collect()
            began = time.perf_counter()
            measures.update(contenders[name]())
            say(f"round {number + 1} of {rounds}: {name}, {time.perf_counter() - began:.1f} s with all around it")
        measured.append(measures)
    return measured


def sum_up(measured: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Return every measure's spread over the rounds."""
    return {name: Spread.of([measures[name] for measures in measured]) for name in measured[0]}
