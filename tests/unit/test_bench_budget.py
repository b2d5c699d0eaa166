"""The benchmark's budget: which measure is compared with which, and when a limit holds."""

from __future__ import annotations

import pytest

from bench.budget import BESIDE, BUDGET, Budget

MEASURES = {
    "copy": 2.0,
    "steps": 4.0,
    "first_month": 5.0,
    "last_month": 6.0,
    "course_first_month": 1.0,
    "course_third_month": 20.0,
    "course_in_servers_locale": 14.0,
    "dlt_append": 1.0,
    "dlt_merge": 24.0,
    "pandas": 100.0,
    "reload_unchanged": 0.1,
    "reload_corrected": 3.0,
    "steps_with_rejects": 4.8,
    "steps_without_rejects": 3.2,
    "steps_with_repeats": 8.4,
    "trivial_backfill": 10.0,
    "tiny_backfill": 13.0,
    "four_at_once": 7.0,
    "one_by_one": 14.0,
    "small_at_once": 9.0,
    "small_one_by_one": 10.0,
    "curl": 0.3,
    "transfer": 0.5,
    "download": 9.0,
    "peak_of_month": 180.0,
    "peak_of_100_rows": 1.0,
    "peak_of_empty_task": 150.0,
    "beyond_mib": 30.0,
    "published_mib": 40.0,
    "beyond_with_wal_mib": 50.0,
    "steps_at_once": 6.0,
    "steps_one_by_one": 8.0,
}
RATIOS = {
    "steps_to_copy": 2.0,
    "last_month_to_first": 1.2,
    "course_third_month_to_steps": 5.0,
    "dlt_merge_to_steps": 6.0,
    "pandas_to_steps": 25.0,
    "reload_unchanged_to_first": 0.025,
    "reload_corrected_to_first": 0.75,
    "rejects_to_none": 1.5,
    "airflow_to_trivial_dag": 1.3,
    "four_at_once_to_one_by_one": 0.5,
    "download_to_curl": 0.6,
    "peak_mib": 30.0,
    "disk_to_published": 0.75,
    "course_in_servers_locale_to_steps": 3.5,
    "small_at_once_to_one_by_one": 0.9,
    "steps_at_once_to_one_by_one": 0.75,
    "repeats_to_none": 1.75,
    "disk_with_wal_to_published": 1.25,
}
LIMITS = {
    "steps_to_copy": (2.2, 2.21),
    "last_month_to_first": (1.1, 1.11),
    "course_third_month_to_steps": (3.5, 3.49),
    "dlt_merge_to_steps": (5, 4.9),
    "pandas_to_steps": (20, 19.9),
    "reload_unchanged_to_first": (0.05, 0.051),
    "reload_corrected_to_first": (1.3, 1.31),
    "rejects_to_none": (1.05, 1.06),
    "airflow_to_trivial_dag": (1.5, 1.51),
    "four_at_once_to_one_by_one": (0.75, 0.76),
    "download_to_curl": (0.8, 0.79),
    "peak_mib": (64, 64.1),
    "disk_to_published": (1.2, 1.21),
}


def test_every_line_has_a_case_here() -> None:
    assert {line.key for line in (*BUDGET, *BESIDE)} == RATIOS.keys()
    assert {budget.key for budget in BUDGET} == LIMITS.keys()


@pytest.mark.parametrize("line", [*BUDGET, *BESIDE], ids=lambda line: line.key)
def test_a_line_compares_what_it_says(line: Budget) -> None:
    assert line.ratio(MEASURES) == pytest.approx(RATIOS[line.key])


@pytest.mark.parametrize("budget", BUDGET, ids=lambda budget: budget.key)
def test_a_limit_holds_up_to_itself(budget: Budget) -> None:
    within, beyond = LIMITS[budget.key]

    assert budget.holds(within)
    assert not budget.holds(beyond)
