"""How big a run of the benchmark is."""

from __future__ import annotations

from dataclasses import dataclass

from taxiway.core.months import Month

FIRST_MONTH = Month(2019, 2)
"""The first month that is loaded: from here on every column has values, so all months weigh the same."""

COURSE_MONTHS = 3
"""Months that the course's flow loads in a row; the last one is counted."""

TINY_ROWS = 100
"""Rows of a month whose load is nothing but orchestration."""


@dataclass(frozen=True)
class Scale:
    """The size of a run.

    :param rows: rows of a month
    :param months: months that are loaded into one table, the last of which is compared with the first
    :param rounds: how often everything is measured
    :param tiny_months: months of :data:`TINY_ROWS` rows that are backfilled
    :param side_months: months that are loaded side by side, and one after another
    :param transfer_bytes: least size of the file that is downloaded, in bytes
    """

    rows: int
    months: int
    rounds: int
    tiny_months: int = 12
    side_months: int = 4
    transfer_bytes: int = 100_000_000

    @property
    def is_whole(self) -> bool:
        """Whether it is big enough for its figures to be told: the budget is meant for a million rows."""
        return self.rows >= 1_000_000 and self.rounds >= 5

    @property
    def growth_rows(self) -> int:
        """Rows of each of the many months: a tenth, so that a round stays short."""
        return max(100, self.rows // 10)

    @property
    def side_rows(self) -> int:
        """Rows of each of the months that are loaded side by side: a quarter."""
        return max(100, self.rows // 4)


def months_from(first: Month, count: int) -> list[Month]:
    """Return so many months in a row.

    :param first: the first of them
    :param count: how many
    """
    months = [first]
    while len(months) < count:
        months.append(months[-1].next())
    return months[:count]
