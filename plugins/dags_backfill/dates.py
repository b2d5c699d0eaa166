"""The range of dates that ``-s`` and ``-e`` ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from dags_backfill.errors import BackfillUsageError
from taxiway.messages import one_line

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    rf"{_DAY.pattern}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{3}}([0-9]{{3}})?)?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
"""What ``datetime.fromisoformat`` reads in the same way on every supported Python. From 3.11 on it reads more:
``20190301`` as a moment, week dates, hours without minutes."""


@dataclass(frozen=True)
class DateRange:
    """A range of logical dates, both ends included.

    :param start: its first moment, in UTC
    :param end: its last moment, in UTC
    :param typed_start: the start as it was typed
    :param typed_end: the end as it was typed
    """

    start: datetime
    end: datetime
    typed_start: str
    typed_end: str

    @classmethod
    def of(cls, start_date: str | None, end_date: str | None) -> DateRange:
        """Read the options ``--start-date`` and ``--end-date``, in UTC; one of them alone is both.

        :raises BackfillUsageError: says which option can't be what it is
        """
        # An empty date, of an unset variable of a script perhaps, is not an absent one.
        given = [date for date in (start_date, end_date) if date is not None]
        if not given:
            raise BackfillUsageError("no date given: say which runs with -s YYYY-MM-DD and -e YYYY-MM-DD")
        found = cls._read(given[0], given[-1], timezone.utc)
        if found.start > found.end:
            raise BackfillUsageError(f"--start-date {given[0]} is after --end-date {given[-1]}: exchange them")
        if found.start > datetime.now(timezone.utc):
            raise BackfillUsageError(
                f"--start-date {given[0]} lies in the future: nothing can be run before its time has come"
            )
        return found

    def in_zone(self, zone: tzinfo) -> DateRange:
        """Return the same range in a time zone: of days, and of moments without an offset."""
        return self._read(self.typed_start, self.typed_end, zone)

    @classmethod
    def _read(cls, start: str, end: str, zone: tzinfo) -> DateRange:
        return cls(
            _moment("--start-date", start, zone, end_of_day=False),
            _moment("--end-date", end, zone, end_of_day=True),
            start,
            end,
        )


def _moment(option: str, text: str, zone: tzinfo, *, end_of_day: bool) -> datetime:
    day = _DAY.fullmatch(text)
    said = f"{option} {one_line(repr(text), 60)}"
    if not (day or _MOMENT.fullmatch(text)):
        raise BackfillUsageError(
            f"{said} is not a date: write a day as YYYY-MM-DD, for example 2019-03-01, "
            "or a moment as YYYY-MM-DDTHH:MM:SS+00:00"
        )
    try:
        whole_day = datetime.fromisoformat(text[:10])
    except ValueError as error:
        raise BackfillUsageError(f"{said}: there is no such day in the calendar ({error})") from None
    try:
        # A later Python may read 24:00. Python 3.10 reads no Z, which is how most people write UTC.
        if not day and text[11:13] > "23":
            raise ValueError("hour must be in 0..23")
        moment = whole_day if day else datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
        if day and end_of_day:
            moment += timedelta(days=1)  # by the clock: where clocks change, a day has 23 or 25 hours
        moment = (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise BackfillUsageError(f"{said}: there is no such time of a day ({error})") from None
    return moment - timedelta(microseconds=1) if day and end_of_day else moment
