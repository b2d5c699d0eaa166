"""What sample months draw from: random numbers that are the same on every Python, and the hours of a month."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from random import Random

from taxiway.sources.months import Month
from taxiway.sources.source import Source

Row = Sequence[str]
"""One line's fields, in the source's column order."""

# Pickups by hour of the day, as shares of a day: nights are quiet, the evening is the busiest.
_HOURS = (30, 22, 15, 10, 8, 10, 24, 42, 50, 48, 46, 48, 51, 51, 54, 56, 52, 60, 66, 62, 54, 52, 48, 40)


def random_numbers(source: Source, month: Month, seed: int, purpose: str) -> Random:
    """Return the random numbers of one purpose.

    Only ``getrandbits`` may be asked of them: how the other methods use the generator
    has changed between Python's versions.

    :param source: only its name counts
    :param month: the month that they are drawn for
    :param seed: another seed gives other numbers
    :param purpose: what they are for: numbers of two purposes are independent
    :return: the generator, at its start
    """
    return Random(int.from_bytes(hashlib.sha256(f"{source.name} {month} {seed} {purpose}".encode()).digest(), "big"))  # noqa: S311


def below(draw: Random, limit: int) -> int:
    """Draw a whole number from 0 up to a limit.

    :param draw: the random numbers to take 32 bits from
    :param limit: above every number drawn; at most 2³²
    :return: the number
    """
    return (draw.getrandbits(32) * limit) >> 32


def spread(kinds: Mapping[str, int], first: int, count: int, draw: Random) -> dict[int, str]:
    """Give so many rows of each kind a position of their own, evenly spread and never side by side.

    :param kinds: how many of each kind
    :param first: no position is below this one
    :param count: nor at or above this one
    :param draw: the random numbers that place and order them
    :return: position → kind
    """
    order = sorted((draw.getrandbits(64), kind) for kind, many in kinds.items() for _ in range(many))
    stride = (count - first) // max(1, len(order))
    return {first + place * stride + below(draw, max(1, stride - 1)): kind for place, (_, kind) in enumerate(order)}


def pickups_by_hour(month: Month, rows: int) -> Iterator[tuple[int, int]]:
    """Share a month's rows among its hours.

    :param month: its weekends are a little quieter
    :param rows: rows of the whole month
    :return: each hour, counted from 0 at the month's start, and how many of the rows are picked up in it
    """
    first = month.first_day
    days = (month.next().first_day - first).days
    shares = [share * (9 if (first.weekday() + day) % 7 >= 5 else 10) for day in range(days) for share in _HOURS]
    whole, before = sum(shares), 0
    for hour, share in enumerate(accumulate(shares)):
        until = rows * share // whole
        yield hour, until - before
        before = until
