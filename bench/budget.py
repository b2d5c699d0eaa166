"""What is compared, and what each ratio must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Any, Literal

UNSURE = 0.1
"""How probable it may be that a median lies outside its range."""


def spread(values: Sequence[float]) -> dict[str, float]:
    """Sum up one value of all rounds.

    :return: median, min and max; the median lies from ``low`` to ``high``, as sure as :data:`UNSURE` says (by the sign
        test, which supposes no distribution): of five to seven values these are min and max; how many rounds
    """
    ordered, count, cut = sorted(values), len(values), 0
    while 2 * sum(comb(count, number) for number in range(cut + 2)) <= UNSURE * 2**count:
        cut += 1
    ends = {"min": ordered[0], "max": ordered[-1], "low": ordered[cut], "high": ordered[-1 - cut]}
    return {**{name: round(value, 4) for name, value in {"median": median(values), **ends}.items()}, "rounds": count}


@dataclass(frozen=True)
class Budget:
    """One line of the budget.

    :param key: its name in ``bench/results.json``
    :param what: in words, which ``measure`` is compared ``to`` which
    :param must: the limit; ``bound`` says whether it is the most or the least that is right
    :param aim: what is hoped for, if that is more
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

    def holds(self, value: float) -> bool:
        """Say whether a value is within the limit."""
        return value <= self.must if self.bound == "at most" else value >= self.must

    def judge(self, measured: Sequence[Mapping[str, float]]) -> dict[str, Any]:
        """Sum up the ratios of the rounds that have measured both sides, or the differences if the budget has a unit.

        :return: their spread, the limit, whether it holds, and whether all of the median's range says the same; empty
            if no round has measured both sides
        """
        pairs = [(each[self.measure], each[self.to]) for each in measured if self.measure in each and self.to in each]
        if not pairs:
            return {}
        found = spread([value - to if self.unit else value / to for value, to in pairs])
        settled = self.holds(found["low"]) == self.holds(found["high"])
        limit = {"must": self.must, "aim": self.aim, "bound": self.bound}
        return {**found, **limit, "ok": self.holds(found["median"]), "settled": settled}


# fmt: off
BUDGET = (
    Budget("steps_to_copy", "Taxiway's steps to a bare COPY of the file", "steps", "copy", 2.2, aim=1.3),
    Budget("parquet_to_copy", "Parquet month, steps, to a bare COPY of the same rows as CSV",
           "parquet_steps", "parquet_copy", 1.7, aim=1.3),
    Budget("fhv_to_copy", "fhv month (text columns), steps, to a bare COPY of it",
           "fhv_steps", "fhv_copy", 2.0, aim=1.5),
    Budget("saved_again_to_canonical", "a file saved again (quotes, fractions), steps, to the same month as it was",
           "saved_again_steps", "fhv_steps", 2.2, aim=1.5),
    Budget("last_month_to_first", "last month of one table to its first", "last_month", "first_month", 1.10, aim=1.0),
    Budget("course_third_month_to_steps", "course's flow, third month in a row, to Taxiway's steps",
           "course_third_month", "steps", 3.5, "at least", aim=6),
    Budget("dlt_merge_to_steps", "dlt, delete-insert, to Taxiway's steps", "dlt_merge", "steps", 5, "at least"),
    Budget("pandas_to_steps", "pandas to Taxiway's steps", "pandas", "steps", 20, "at least"),
    Budget("reload_unchanged_to_first", "reload of an unchanged month to its first load",
           "reload_unchanged", "steps", 0.05),
    Budget("reload_corrected_to_first", "reload of a corrected month to its first load",
           "reload_corrected", "steps", 1.3),
    Budget("rejects_to_none", "steps to steps that can't reject a row",
           "steps_with_rejects", "steps_without_rejects", 1.05),
    Budget("airflow_to_trivial_dag", "backfill of tiny months to one of a DAG of four empty tasks",
           "tiny_backfill", "trivial_backfill", 1.5),
    Budget("four_at_once_to_one_by_one", "months side by side to one after another",
           "four_at_once", "one_by_one", 0.75),
    Budget("download_to_curl", "download's speed to curl's, until the last byte is written",
           "curl", "transfer", 0.8, "at least"),
    Budget("peak_mib", "peak memory of a task above that of an empty task",
           "peak_of_month", "peak_of_empty_task", 64, unit="MiB"),
    Budget("parquet_peak_mib", "the same, Parquet of 3.8 times the rows in one row group",
           "peak_of_parquet", "peak_of_empty_task", 160, aim=96, unit="MiB"),
    Budget("disk_to_published", "disk beyond file and table while loading, to the table",
           "beyond_mib", "published_mib", 1.2),
)
# fmt: on
"""The budget, in the order in which it is shown."""
