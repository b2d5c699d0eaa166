"""Checks of a month before it is published: each a measure with bounds, and what happens outside them.

A source's YAML lists its checks. A warehouse computes their measures in SQL
(``include/sql/*/check_month.sql``), and :func:`judge` says what they mean, the same way for
every warehouse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MEASURES: dict[str, tuple[str, ...]] = {
    "share_outside_month": ("timestamp",),
    "share_negative": ("integer", "numeric"),
    "share_null": ("integer", "numeric", "timestamp", "text"),
    "rows_to_neighbours": (),
}
"""What can be measured, with the types of column that it suits; without types, it is measured on the month.

A share is of all rows of the month, 0 to 1. ``rows_to_neighbours`` is the month's number of rows divided by the mean of
the months before and after, as far as they are published.
"""

MEASURES_OF_MONTHS = ("share_outside_month", "rows_to_neighbours")
"""Measures that a file of no month can't have."""

SEVERITIES = ("fail", "warn")
"""What a check does outside its bounds: the month isn't published, or its load carries a warning."""

MAX_BOUND = 1e15
"""Largest bound of a check: far above any measure."""


@dataclass(frozen=True)
class Check:
    """One check of a source.

    :param name: its name, unique in the source
    :param measure: one of :data:`MEASURES`
    :param column: name of the column that is measured; None if the month is
    :param at_least: lower bound, or None
    :param at_most: upper bound, or None
    :param severity: one of :data:`SEVERITIES`
    :param message: what it means if the measure is out of its bounds, and what to look at
    """

    name: str
    measure: str
    column: str | None
    at_least: float | None
    at_most: float | None
    severity: str
    message: str

    def holds(self, measured: float) -> bool:
        """Say whether a measure lies within the bounds."""
        above = self.at_least is None or measured >= self.at_least
        return above and (self.at_most is None or measured <= self.at_most)

    def complaint(self, measured: float) -> str:
        """Say what was measured, and what was expected."""
        subject = self.measure.replace("_", " ")
        if self.column is not None:
            subject += f" of {self.column}"
        bounds = [f"at least {_shown(self.at_least)}"] if self.at_least is not None else []
        if self.at_most is not None:
            bounds.append(f"at most {_shown(self.at_most)}")
        return f"{self.name}: {subject} is {_shown(measured)}, expected {' and '.join(bounds)}: {self.message}"


@dataclass(frozen=True)
class Verdict:
    """What the checks of a month found, in words.

    :param failures: why the month must not be published; empty if it may
    :param warnings: what is odd about it
    :param skipped: names of the checks that could not be measured: no rows, or no neighbours yet
    """

    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    skipped: tuple[str, ...]


def judge(checks: Sequence[Check], measured: Mapping[str, float | None]) -> Verdict:
    """Compare measures with the bounds of their checks.

    :param checks: the source's checks
    :param measured: a measure by the name of its check; None if there was nothing to measure
    """
    found: dict[str, list[str]] = {severity: [] for severity in SEVERITIES}
    skipped = []
    for check in checks:
        value = measured[check.name]
        if value is None:
            skipped.append(check.name)
        elif not check.holds(value):
            found[check.severity].append(check.complaint(value))
    return Verdict(tuple(found["fail"]), tuple(found["warn"]), tuple(skipped))


def rows_to_neighbours(rows: int, neighbours: Sequence[int]) -> float | None:
    """Divide a month's number of rows by the mean of its neighbours'; None if there is none, or it is 0."""
    total = sum(neighbours)
    return rows * len(neighbours) / total if total else None


def _shown(number: float | None) -> str:
    return f"{number:.4g}"
