"""How big a run of the benchmark is."""

from __future__ import annotations

from dataclasses import dataclass, fields

from bench import disk
from taxiway.sources.months import Month

FIRST_MONTH = Month(2019, 2)
"""The first month that is loaded: from here on every column has values, so all months weigh the same."""

COURSE_MONTHS = 3
"""Months that the course's flow loads in a row; the last one is counted."""

TINY_ROWS = 100
"""Rows of a month whose load is nothing but orchestration."""

SMALL_SHARE = 4
"""Small months have a quarter of the rows: what side by side gains with them stands beside."""

_LEAST = {"rows": 100, "months": 2, "rounds": 1, "tiny_months": 1, "side_months": 2, "transfer_bytes": 1000}

_LOADED_A_ROUND = 54
# Months that a round writes besides those of one table, roughly: the contenders, and the months side by side.


@dataclass(frozen=True)
class Scale:
    """The size of a run; the defaults are that of a whole one.

    :param rows: rows of a month
    :param months: months that are loaded into one table, the last of which is compared with the first
    :param rounds: how often everything is measured
    :param tiny_months: months of :data:`TINY_ROWS` rows that are backfilled
    :param side_months: months that are loaded side by side, and one after another
    :param transfer_bytes: least size of the file that is downloaded, in bytes
    """

    rows: int = 1_000_000
    months: int = 24
    rounds: int = 5
    tiny_months: int = 12
    side_months: int = 4
    transfer_bytes: int = 100_000_000

    def __post_init__(self) -> None:
        """Refuse what compares nothing.

        :raises ValueError: a size is too small; says which, and what is expected
        """
        for name, least in _LEAST.items():
            if (size := getattr(self, name)) < least:
                reason = {
                    "rows": ", for one row of a hundred is corrected",
                    "months": ", for the last one is compared with the first",
                    "side_months": ", for they are loaded side by side",
                }.get(name, "")
                raise ValueError(f"{name.replace('_', ' ')}: found {size}, expected {least} or more{reason}")

    @property
    def is_whole(self) -> bool:
        """Whether its figures are to be told: the budget is meant for a run that is nowhere smaller than by default."""
        return all(getattr(self, field.name) >= field.default for field in fields(self))

    @property
    def small_rows(self) -> int:
        """Rows of the small months that are loaded side by side."""
        return self.rows // SMALL_SHARE

    @property
    def files(self) -> int:
        """How many months of :attr:`rows` rows are made; all that load big months share them."""
        return max(self.months, self.side_months, COURSE_MONTHS)

    @property
    def disk_bytes(self) -> int:
        """The disk that the run takes at its peak, in bytes."""
        written = self.rounds * (self.months + _LOADED_A_ROUND)
        small = -(-self.side_months // SMALL_SHARE)
        files = self.files + small + 2  # the corrected one, and that with repeated rows
        return disk.needed(self.rows, max(self.months, self.side_months), files, written) + 3 * self.transfer_bytes


def months_from(first: Month, count: int) -> list[Month]:
    """Return so many months in a row.

    :param first: the first of them
    :param count: how many
    """
    months = [first]
    while len(months) < count:
        months.append(months[-1].next())
    return months[:count]
