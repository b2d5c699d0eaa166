"""Checks of a month before it is published: each a measure with bounds, and what happens outside them.

A source's YAML lists its checks. A warehouse computes their measures in SQL
(``include/sql/*/check_month.sql``), and :func:`judge` says what they mean, the same way for
every warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taxiway.errors import SourceConfigError
from taxiway.sources.strict_yaml import TEXT

MEASURES: dict[str, tuple[str, ...]] = {
    "share_outside_month": ("timestamp",),
    "share_negative": ("integer", "numeric"),
    "share_null": ("integer", "numeric", "timestamp", "text"),
    "rows_to_neighbours": (),
}
"""What can be measured, with the types of column that it is measured on; of none: on the month.

A share is of all rows of the month, 0 to 1. ``rows_to_neighbours`` is the month's number of rows
divided by the mean of those of the month before and the month after, as far as they are published.
"""

SEVERITIES = ("fail", "warn")
"""What a check does outside its bounds: the month isn't published, or its load carries a warning."""

MAX_BOUND = 1e15
"""Largest bound of a check: far above any measure."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_REQUIRED = {"name", "measure", "severity", "message"}
_BOUNDS = {"at_least", "at_most"}

ConfigError = Callable[[str, object, str], SourceConfigError]
"""Makes the error of a source's YAML: key, value, what was expected."""


@dataclass(frozen=True)
class Check:
    """One check of a source.

    :param name: its name, unique in the source
    :param measure: one of :data:`MEASURES`
    :param column: name of the column that is measured; None where the month is
    :param at_least: lower bound, or None
    :param at_most: upper bound, or None
    :param severity: one of :data:`SEVERITIES`
    :param message: what it means where the measure is out of its bounds, and what to look at
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

    :param failures: why the month must not be published; empty where it may
    :param warnings: what is odd about it
    :param skipped: names of the checks that could not be measured: no rows, or no neighbours yet
    """

    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    skipped: tuple[str, ...]


def judge(checks: Sequence[Check], measured: Mapping[str, float | None]) -> Verdict:
    """Compare measures with the bounds of their checks.

    :param checks: the source's checks
    :param measured: a measure by the name of its check; None where there was nothing to measure
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
    """Divide a month's number of rows by the mean of its neighbours'; None where there is none, or it is 0."""
    total = sum(neighbours)
    return rows * len(neighbours) / total if total else None


def read_checks(entries: object, column_types: Mapping[str, str], error: ConfigError) -> tuple[Check, ...]:
    """Read the key ``checks`` of a source's YAML.

    :param entries: its value
    :param column_types: type of each column, by its name
    :raises SourceConfigError: names the entry, what it holds and what it should hold
    """
    if not isinstance(entries, list):
        raise error("checks", entries, "to be a list of checks")
    checks: list[Check] = []
    for position, entry in enumerate(entries):
        check = _read_check(f"checks[{position}]", entry, column_types, error)
        if any(check.name == other.name for other in checks):
            raise error(f"checks[{position}].name", check.name, "to stand once")
        checks.append(check)
    return tuple(checks)


def _read_check(key: str, entry: object, column_types: Mapping[str, str], error: ConfigError) -> Check:
    if not isinstance(entry, Mapping) or not _REQUIRED <= set(entry) <= _REQUIRED | _BOUNDS | {"column"}:
        raise error(key, entry, "to have name, measure, severity and message, at_least or at_most, and maybe column")
    for name, pattern, expected in (
        ("name", _NAME, "to be a lower-case name"),
        ("measure", re.compile("|".join(MEASURES)), f"to be one of {', '.join(MEASURES)}"),
        ("severity", re.compile("|".join(SEVERITIES)), f"to be one of {', '.join(SEVERITIES)}"),
        ("message", TEXT, "to say what it means and what to look at"),
    ):
        value = entry[name]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise error(f"{key}.{name}", value, expected)
    most = 1 if MEASURES[entry["measure"]] else MAX_BOUND
    bounds = {name: _bound(f"{key}.{name}", entry, name, most, error) for name in sorted(_BOUNDS)}
    if set(bounds.values()) == {None}:
        raise error(key, dict(entry), "to have at_least, at_most or both")
    at_least, at_most = bounds["at_least"], bounds["at_most"]
    if at_least is not None and at_most is not None and at_least > at_most:
        raise error(key, dict(entry), "to have an at_least that isn't above its at_most")
    return Check(
        name=entry["name"],
        measure=entry["measure"],
        column=_column(f"{key}.column", entry, column_types, error),
        at_least=at_least,
        at_most=at_most,
        severity=entry["severity"],
        message=" ".join(entry["message"].split()),
    )


def _bound(key: str, entry: Mapping[Any, Any], name: str, most: float, error: ConfigError) -> float | None:
    if name not in entry:
        return None
    value = entry[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise error(key, value, f"to be a number from 0 to {most}, such as 0.01")
    return float(value)


def _column(key: str, entry: Mapping[Any, Any], column_types: Mapping[str, str], error: ConfigError) -> str | None:
    types = MEASURES[entry["measure"]]
    value = entry.get("column")
    if not types:
        if "column" in entry:
            raise error(key, value, f"not to be there: {entry['measure']} is measured on the month")
        return None
    if not isinstance(value, str) or column_types.get(value.lower()) not in types:
        raise error(key, value, f"to be one of the source's columns, of the type {' or '.join(types)}")
    return value.lower()


def _shown(number: float | None) -> str:
    return f"{number:.4g}"
