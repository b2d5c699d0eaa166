"""Periods: a month of trips, the unit that Taxiway loads, or one file that stands alone.

Nothing else knows how a period is written. A file that stands alone has the period :data:`WHOLE`. It is a month too, so
that ledger, locks and partitions need no other key: main tables are partitioned by a date, which can't be NULL, and
BigQuery has partitions from 1960 on only. It is January 1970, long before the TLC's first file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from taxiway.errors import InvalidMonthError
from taxiway.sources.strict_yaml import shown

MONTH_PATTERN = r"^[12][0-9]{3}-(0[1-9]|1[0-2])(?!\n)$"
"""What a month looks like, as a regular expression that JSON Schema understands too. Its neighbours are dates, too.
In Python, a line's end may stand behind what ``$`` finds."""


PERIODS = ("month", "none")
"""What one file of a source may cover: a month, or everything."""

MONTH_FORMAT = "%Y-%m"
"""How :func:`datetime.datetime.strftime` writes a month."""

WHOLE_TEXT = "whole"
"""How the period of a file that stands alone is written."""


@dataclass(frozen=True, order=True)
class Month:
    """One calendar month.

    :param year: four-digit year, 1000 to 2999
    :param number: 1 for January to 12 for December
    """

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read a month written as ``YYYY-MM``, or the period of a file that stands alone.

        :raises InvalidMonthError: if the text is anything else
        """
        if text == WHOLE_TEXT:
            return WHOLE
        if not isinstance(text, str) or not re.match(MONTH_PATTERN, text):
            raise InvalidMonthError(f"{shown(text)} is not a month: write it as YYYY-MM, for example 2019-03")
        return cls(int(text[:4]), int(text[5:]))

    @classmethod
    def of(cls, day: date) -> Month:
        """Return the month that a date, or a datetime in its own time zone, lies in."""
        return cls(day.year, day.month)

    @property
    def first_day(self) -> date:
        """The month's first day."""
        return date(self.year, self.number, 1)

    @property
    def year_and_month(self) -> str:
        """The month as ``YYYY-MM``, also that of a file that stands alone."""
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def in_names(self) -> str:
        """How names of tables and jobs have it: ``2019_01``."""
        return f"{self.year:04d}_{self.number:02d}"

    @property
    def is_whole(self) -> bool:
        """Whether it is the period of a file that stands alone."""
        return self == WHOLE

    def next(self) -> Month:
        """Return the month that follows."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    def previous(self) -> Month:
        """Return the month before."""
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)

    def __str__(self) -> str:
        """Write the month as ``YYYY-MM``; the period of a file that stands alone as ``whole``."""
        return WHOLE_TEXT if self.is_whole else self.year_and_month


WHOLE = Month(1970, 1)
"""The period of a file that stands alone; the months of every monthly source are later."""


def ranges(months: Iterable[Month]) -> list[tuple[Month, Month]]:
    """Return the first and the last month of each range of months that follow one another."""
    found = list[tuple[Month, Month]]()
    for month in sorted(months):
        if found and found[-1][1].next() == month:
            found[-1] = found[-1][0], month
        else:
            found.append((month, month))
    return found


def in_words(months: Iterable[Month]) -> str:
    """Name months, those that follow one another as a range: ``2019-01 to 2019-03, 2019-07``."""
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ranges(months))
