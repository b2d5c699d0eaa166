"""Checks of a source: what their YAML may say, and what their measures mean."""

from __future__ import annotations

from typing import Any

import pytest

from taxiway.errors import SourceConfigError
from taxiway.sources.checks import MEASURES, SEVERITIES, Check, judge, read_checks, rows_to_neighbours
from taxiway.sources.source import Source

TYPES = {"pickup": "timestamp", "total": "numeric", "vendor": "integer", "flag": "text"}


def entry(**changes: Any) -> dict[str, Any]:
    made = {
        "name": "negative_totals",
        "measure": "share_negative",
        "column": "Total",
        "at_most": 0.02,
        "severity": "warn",
        "message": "refunds",
    }
    return {key: value for key, value in {**made, **changes}.items() if value is not ...}


def read(*entries: Any) -> tuple[Check, ...]:
    def error(key: str, value: object, expected: str) -> SourceConfigError:
        return SourceConfigError(f"{key} is {value!r}: expected it {expected}")

    return read_checks(list(entries), TYPES, error)


def test_a_check_is_read() -> None:
    assert read(entry()) == (Check("negative_totals", "share_negative", "total", None, 0.02, "warn", "refunds"),)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"name": ...}, r"checks\[0\] "),
        ({"message": ...}, r"checks\[0\] "),
        ({"colour": "green"}, r"checks\[0\] "),
        ({"at_most": ...}, r"checks\[0\] .* at_least, at_most or both"),
        ({"name": "x; DROP TABLE y"}, r"checks\[0\]\.name"),
        ({"name": 3}, r"checks\[0\]\.name"),
        ({"measure": "share_odd"}, r"checks\[0\]\.measure .* share_outside_month"),
        ({"severity": "error"}, r"checks\[0\]\.severity .* fail, warn"),
        ({"message": " "}, r"checks\[0\]\.message"),
        ({"at_most": "0.1"}, r"checks\[0\]\.at_most"),
        ({"at_most": -1}, r"checks\[0\]\.at_most"),
        ({"at_most": None}, r"checks\[0\]\.at_most"),
        ({"at_most": True}, r"checks\[0\]\.at_most"),
        ({"at_most": float("nan")}, r"checks\[0\]\.at_most"),
        ({"at_least": float("inf")}, r"checks\[0\]\.at_least"),
        ({"at_most": 50}, r"checks\[0\]\.at_most is 50: expected it to be a number from 0 to 1"),
        ({"at_least": 0.9, "at_most": 0.5}, r"checks\[0\] .* at_least that isn't above its at_most"),
        ({"column": ...}, r"checks\[0\]\.column"),
        ({"column": "nothing"}, r"checks\[0\]\.column"),
        ({"column": "flag"}, r"checks\[0\]\.column .* integer or numeric"),
        ({"measure": "share_outside_month"}, r"checks\[0\]\.column .* timestamp"),
        ({"measure": "rows_to_neighbours"}, r"checks\[0\]\.column .* not to be there"),
    ],
)
def test_what_a_check_must_not_say(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(SourceConfigError, match=key):
        read(entry(**changes))


def test_names_stand_once_and_checks_are_a_list() -> None:
    with pytest.raises(SourceConfigError, match=r"checks\[1\]\.name is 'negative_totals': expected it to stand once"):
        read(entry(), entry(at_most=0.5))
    with pytest.raises(SourceConfigError, match="to be a list of checks"):
        read_checks({"name": "x"}, TYPES, lambda *words: SourceConfigError(" ".join(map(str, words))))


def test_bounds_belong_to_what_they_allow() -> None:
    both = Check("rows", "rows_to_neighbours", None, 0.5, 2, "warn", "odd")

    assert [both.holds(value) for value in (0.49, 0.5, 1, 2, 2.01)] == [False, True, True, True, False]


def test_a_verdict_says_what_was_found_and_expected() -> None:
    checks = read(
        entry(),
        entry(name="too_many", severity="fail", at_most=0.01),
        entry(name="few_rows", measure="rows_to_neighbours", column=..., at_least=0.5, at_most=2),
    )

    verdict = judge(checks, {"negative_totals": 0.0199, "too_many": 0.0199, "few_rows": 0.1})

    assert verdict.failures == ("too_many: share negative of total is 0.0199, expected at most 0.01: refunds",)
    assert verdict.warnings == ("few_rows: rows to neighbours is 0.1, expected at least 0.5 and at most 2: refunds",)
    assert judge(checks, dict.fromkeys(("negative_totals", "too_many", "few_rows"))).skipped == (
        "negative_totals",
        "too_many",
        "few_rows",
    )


def test_neighbours_are_those_there_are() -> None:
    assert rows_to_neighbours(50, [100, 300]) == 0.25
    assert rows_to_neighbours(50, [100]) == 0.5
    assert rows_to_neighbours(50, []) is None
    assert rows_to_neighbours(50, [0]) is None


def test_both_colours_use_every_measure_and_severity(green: Source, yellow: Source) -> None:
    for source in (green, yellow):
        assert {check.measure for check in source.checks} == set(MEASURES)
        assert {check.severity for check in source.checks} == set(SEVERITIES)
