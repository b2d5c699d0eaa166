"""A month of trips, the unit that Taxiway loads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from taxiway.errors import InvalidMonthError
from taxiway.sources.strict_yaml import shown

MONTH_PATTERN = r"^[12][0-9]{3}-(0[1-9]|1[0-2])(?!\n)$"
"""What a month looks like, as a regular expression that JSON Schema understands too. Its neighbours are dates, too.
In Python, a line's end may stand behind what ``$`` finds."""


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
        """Read a month written as ``YYYY-MM``.

        :raises InvalidMonthError: if the text is anything else
        """
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

    def next(self) -> Month:
        """Return the month that follows."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    def previous(self) -> Month:
        """Return the month before."""
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)

    def __str__(self) -> str:
        """Write the month as ``YYYY-MM``."""
        return f"{self.year:04d}-{self.number:02d}"
