"""The benchmark's budget: which measure is compared with which, and when a limit holds."""

from __future__ import annotations

import pytest

from bench.budget import BUDGET, Budget, spread

COMPARED = {
    "steps_to_copy": ("steps", "copy", 2.2, 2.21),
    "parquet_to_copy": ("parquet_steps", "parquet_copy", 1.7, 1.71),
    "fhv_to_copy": ("fhv_steps", "fhv_copy", 2.0, 2.01),
    "saved_again_to_canonical": ("saved_again_steps", "fhv_steps", 2.2, 2.21),
    "last_month_to_first": ("last_month", "first_month", 1.1, 1.11),
    "course_third_month_to_steps": ("course_third_month", "steps", 3.5, 3.49),
    "dlt_merge_to_steps": ("dlt_merge", "steps", 5, 4.9),
    "pandas_to_steps": ("pandas", "steps", 20, 19.9),
    "reload_unchanged_to_first": ("reload_unchanged", "steps", 0.05, 0.051),
    "reload_corrected_to_first": ("reload_corrected", "steps", 1.3, 1.31),
    "rejects_to_none": ("steps_with_rejects", "steps_without_rejects", 1.05, 1.06),
    "airflow_to_trivial_dag": ("tiny_backfill", "trivial_backfill", 1.5, 1.51),
    "four_at_once_to_one_by_one": ("four_at_once", "one_by_one", 0.75, 0.76),
    "download_to_curl": ("curl", "transfer", 0.8, 0.79),
    "peak_mib": ("peak_of_month", "peak_of_empty_task", 64, 64.1),
    "parquet_peak_mib": ("peak_of_parquet", "peak_of_empty_task", 160, 160.1),
    "disk_to_published": ("beyond_mib", "published_mib", 1.2, 1.21),
}
"""Each line: what is measured, what it is compared with, the last value within the limit, and one beyond it."""


def test_every_line_has_a_case_here() -> None:
    assert {budget.key for budget in BUDGET} == COMPARED.keys()


@pytest.mark.parametrize("budget", BUDGET, ids=lambda budget: budget.key)
def test_a_line_compares_what_it_says_and_its_limit_holds_up_to_itself(budget: Budget) -> None:
    measure, to, within, beyond = COMPARED[budget.key]

    names = sorted({name for line in COMPARED.values() for name in line[:2]})
    for value, ok in ((within, True), (beyond, False)):
        others = {name: 3.0 + number for number, name in enumerate(names)}
        measured = {**others, to: 2.0, measure: value + 2 if budget.unit else value * 2}
        judged = budget.judge([measured])
        assert judged["median"] == pytest.approx(value)
        assert (judged["ok"], judged["must"], judged["settled"]) == (ok, within, True)


def test_a_round_that_has_measured_one_side_does_not_count() -> None:
    (budget,) = (budget for budget in BUDGET if budget.key == "steps_to_copy")

    assert budget.judge([{"steps": 1.0}]) == {}
    assert budget.judge([{"steps": 1.0}, {"steps": 3.0, "copy": 2.0}])["rounds"] == 1


def test_a_ratio_is_too_close_to_call_while_its_range_spans_the_limit() -> None:
    (budget,) = (budget for budget in BUDGET if budget.key == "steps_to_copy")
    outlier = [1.4, 1.5, 1.5, 1.6, 2.6]

    for ratios, settled in ((outlier, False), ([2.0, 2.1, 2.1, 2.1, 2.2], True), ([2.3] * 5, True)):
        assert budget.judge([{"steps": ratio, "copy": 1.0} for ratio in ratios])["settled"] is settled
    more = budget.judge([{"steps": ratio, "copy": 1.0} for ratio in (*outlier, 1.5, 1.5, 1.5)])
    assert (more["settled"], more["low"], more["high"], more["max"]) == (True, 1.5, 1.6, 2.6)


@pytest.mark.parametrize(("rounds", "cut"), [(1, 0), (5, 0), (7, 0), (8, 1), (10, 1), (11, 2), (15, 3)])
def test_the_range_is_that_of_the_median(rounds: int, cut: int) -> None:
    """By the table of the sign test: the greatest number of values that may be left out at each end."""
    values = [float(number) for number in range(rounds)]

    found = spread(values)

    assert (found["min"], found["max"], found["rounds"]) == (0, rounds - 1, rounds)
    assert (found["low"], found["high"], found["median"]) == (cut, rounds - 1 - cut, (rounds - 1) / 2)
