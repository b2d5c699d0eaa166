"""What is compared, and what each ratio must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Budget:
    """One line of the budget.

    :param key: its name in ``bench/results.json``
    :param what: what is compared, in words
    :param measure: what is measured
    :param to: what it is compared with
    :param must: the limit
    :param bound: whether the limit is the most or the least that is right
    :param aim: what is aimed at, where that is more
    :param unit: of a budget that is a difference, not a ratio
    """

    key: str
    what: str
    measure: str
    to: str
    must: float
    bound: Literal["at most", "at least"] = "at most"
    aim: float | None = None
    unit: str = ""

    def ratio(self, measures: Mapping[str, float]) -> float:
        """Return the ratio of one round, or the difference where the budget has a unit.

        :param measures: what the round measured
        """
        measured, compared = measures[self.measure], measures[self.to]
        return measured - compared if self.unit else measured / compared

    def holds(self, median: float) -> bool:
        """Say whether a median is within the limit."""
        return median <= self.must if self.bound == "at most" else median >= self.must


@dataclass(frozen=True)
class Beside:
    """A ratio that stands beside the budget, to understand it.

    :param key: its name in ``bench/results.json``
    :param what: what is compared, in words
    :param measure: what is measured
    :param to: what it is compared with
    """

    key: str
    what: str
    measure: str
    to: str

    def ratio(self, measures: Mapping[str, float]) -> float:
        """Return the ratio of one round.

        :param measures: what the round measured
        """
        return measures[self.measure] / measures[self.to]


BUDGET = (
    Budget("steps_to_copy", "Taxiway's steps to a bare COPY of the file", "steps", "copy", 2.2, aim=1.5),
    Budget("last_month_to_first", "last month of one table to its first", "last_month", "first_month", 1.10, aim=1.0),
    Budget(
        "course_third_month_to_steps",
        "course's flow, third month in a row, to Taxiway's steps",
        "course_third_month",
        "steps",
        3.5,
        "at least",
        aim=6,
    ),
    Budget("dlt_merge_to_steps", "dlt, delete-insert, to Taxiway's steps", "dlt_merge", "steps", 5, "at least"),
    Budget("pandas_to_steps", "pandas to Taxiway's steps", "pandas", "steps", 20, "at least"),
    Budget(
        "reload_unchanged_to_first", "reload of an unchanged month to its first load", "reload_unchanged", "steps", 0.05
    ),
    Budget(
        "reload_corrected_to_first", "reload of a corrected month to its first load", "reload_corrected", "steps", 1.3
    ),
    Budget(
        "rejects_to_none",
        "steps to steps that can't reject a row",
        "steps_with_rejects",
        "steps_without_rejects",
        1.05,
    ),
    Budget(
        "airflow_to_trivial_dag",
        "backfill of tiny months to one of a DAG of four empty tasks",
        "tiny_backfill",
        "trivial_backfill",
        1.5,
    ),
    Budget(
        "four_at_once_to_one_by_one",
        "months side by side to one after another",
        "four_at_once",
        "one_by_one",
        0.75,
    ),
    Budget(
        "download_to_curl",
        "download's speed to curl's, until the last byte is written",
        "curl",
        "transfer",
        0.8,
        "at least",
    ),
    Budget(
        "peak_mib",
        "peak memory of a task above that of an empty task",
        "peak_of_month",
        "peak_of_empty_task",
        64,
        unit="MiB",
    ),
    Budget(
        "disk_to_published",
        "disk beyond file and table while loading, to the table",
        "beyond_mib",
        "published_mib",
        1.2,
    ),
)
"""The budget, in the order in which it is shown."""

BESIDE = (
    Beside(
        "course_in_servers_locale_to_steps",
        "course's flow, third month in a row, in the server's own locale, to Taxiway's steps",
        "course_in_servers_locale",
        "steps",
    ),
    Beside(
        "small_at_once_to_one_by_one",
        "months of a quarter of the rows, side by side to one after another",
        "small_at_once",
        "small_one_by_one",
    ),
    Beside(
        "steps_at_once_to_one_by_one",
        "months side by side to one after another, by the steps alone",
        "steps_at_once",
        "steps_one_by_one",
    ),
    Beside(
        "repeats_to_none",
        "the steps of a month in which a few rows stand twice, to those of one in which none do",
        "steps_with_repeats",
        "steps_with_rejects",
    ),
    Beside(
        "disk_with_wal_to_published",
        "disk beyond file and table while loading, with its write-ahead log, to the table",
        "beyond_with_wal_mib",
        "published_mib",
    ),
)
"""What stands beside it."""
