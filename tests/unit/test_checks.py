"""Checks of a source: what their YAML may say, and what their measures mean."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from taxiway.errors import SourceConfigError
from taxiway.sources.checks import MAX_BOUND, MEASURES, SEVERITIES, Check, judge, rows_to_neighbours
from taxiway.sources.source import Source, load_source
from taxiway.sources.strict_yaml import shown

TYPES = {"pickup": "timestamp", "total": "numeric", "vendor": "integer", "flag": "text"}
SOURCE = {
    "title": "Lime taxi trips",
    "releases": [
        {"from": "2019-01", "connection": "tlc_mirror", "path": "lime/lime_{month}.csv.gz", "format": "csv.gz"}
    ],
    "schedule": "0 9 1 * *",
    "main_table": "lime_trips",
    "owner": "taxi",
    "tags": ["taxi"],
    "columns": [{"name": name, "type": kind, "description": "x"} for name, kind in TYPES.items()],
}


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
    return read_key(list(entries))


def read_key(value: Any) -> tuple[Check, ...]:
    """Read the checks of a source, as of its YAML file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lime.yaml"
        path.write_text(yaml.safe_dump({**SOURCE, "checks": value}))
        try:
            return load_source(path).checks
        except SourceConfigError as error:
            raise SourceConfigError(re.sub(r"^.*lime\.yaml:[0-9]+: ", "", str(error))) from error


def test_a_check_is_read() -> None:
    assert read(entry()) == (Check("negative_totals", "share_negative", "total", None, 0.02, "warn", "refunds"),)


KEYS = "a check has name, measure, severity, message and may have column, at_least, at_most"
MEASURE = f"to be one of {', '.join(MEASURES)}"
MESSAGE = "to say what it means and what to look at"
SHARE = "to be a number from 0 to 1, such as 0.01, or up to 1e+15 for rows_to_neighbours"
NUMBER = "to be one of the source's columns, of the type integer or numeric"


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"at_most": ...}, "", "to have at_least, at_most or both"),
        ({"at_most": ..., "column": ...}, "", "to have at_least, at_most or both"),
        ({"at_least": 0.9, "at_most": 0.5}, "", "to have an at_least that isn't above its at_most"),
        ({"name": "x; DROP TABLE y"}, ".name", "to be a lower-case name"),
        ({"name": 3}, ".name", "to be a lower-case name"),
        ({"measure": "share_odd"}, ".measure", MEASURE),
        ({"measure": None}, ".measure", MEASURE),
        ({"severity": "error"}, ".severity", "to be one of fail, warn"),
        ({"message": " "}, ".message", MESSAGE),
        ({"message": ["x"]}, ".message", MESSAGE),
        ({"at_most": "0.1"}, ".at_most", SHARE),
        ({"at_most": -1}, ".at_most", SHARE),
        ({"at_most": None}, ".at_most", SHARE),
        ({"at_most": True}, ".at_most", SHARE),
        ({"at_most": float("nan")}, ".at_most", SHARE),
        ({"at_least": float("inf")}, ".at_least", SHARE),
        ({"at_most": 1.01}, ".at_most", SHARE),
        (
            {"measure": "rows_to_neighbours", "column": ..., "at_most": 1.1 * MAX_BOUND},
            ".at_most",
            SHARE,
        ),
        ({"column": ...}, ".column", NUMBER),
        ({"column": "nothing"}, ".column", NUMBER),
        ({"column": "flag"}, ".column", NUMBER),
        (
            {"measure": "share_outside_month"},
            ".column",
            "to be one of the source's columns, of the type timestamp",
        ),
        (
            {"measure": "rows_to_neighbours"},
            ".column",
            "not to be there: rows_to_neighbours is measured on the month",
        ),
    ],
)
def test_what_a_check_must_not_say(changes: dict[str, Any], key: str, expected: str) -> None:
    given = entry(**changes)
    with pytest.raises(SourceConfigError) as caught:
        read(given)

    found = shown(given) if not key else shown(given[key[1:]]) if key[1:] in given else "missing"
    assert str(caught.value).split("; line ")[0] == f"checks[0]{key} is {found}: expected it {expected}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ...}, "missing keys: name"),
        ({"message": ..., "severity": ...}, "missing keys: severity, message"),
        ({"colour": "green"}, "unknown keys: colour"),
    ],
)
def test_the_keys_of_a_check_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceConfigError) as caught:
        read(entry(**changes))

    assert str(caught.value) == f"checks[0]: {said}; {KEYS}"


@pytest.mark.parametrize(
    "changes",
    [
        {"at_most": 0},
        {"at_most": 1},
        {"at_least": 0.5, "at_most": 0.5},
        {"measure": "rows_to_neighbours", "column": ..., "at_most": MAX_BOUND},
    ],
    ids=str,
)
def test_bounds_may_be_as_far_out_as_the_measure(changes: dict[str, Any]) -> None:
    (check,) = read(entry(**changes))

    assert (check.at_least, check.at_most) == (changes.get("at_least"), changes["at_most"])


def test_a_message_of_several_lines_becomes_one() -> None:
    assert read(entry(message=" refunds,\n  mostly\n"))[0].message == "refunds, mostly"


def test_checks_are_a_list_of_different_names() -> None:
    with pytest.raises(SourceConfigError) as caught:
        read(entry(name="first"), entry(), entry(at_most=0.5))
    assert str(caught.value) == "checks[2].name is 'negative_totals': expected it to be unique"
    with pytest.raises(SourceConfigError) as caught:
        read_key({"name": "x"})
    assert str(caught.value) == "checks is {'name': 'x'}: expected it to be a list of checks"


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


def test_both_colours_use_many_measures_and_every_severity(green: Source, yellow: Source) -> None:
    for source in (green, yellow):
        assert len({check.measure for check in source.checks}) >= 4
        assert {check.severity for check in source.checks} == set(SEVERITIES)
