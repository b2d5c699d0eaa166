"""Says what a load of each month would do, how long it may take and what it takes up. Nothing is locked or changed."""

from __future__ import annotations

import enum
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from taxiway.download.look import FileVersion, Look, Presence
from taxiway.loads.publication import difference_of_layout
from taxiway.loads.published_months import LastLoad, MonthState, PastLoad, Recorded
from taxiway.loads.watch import Verdict, verdict_of
from taxiway.sources.months import Month
from taxiway.sources.source import Source

ALIKE = 10
"""How many times as large as another file one may be whose load says how long that of the other takes."""


class Outcome(enum.Enum):
    """What a load of a month would do."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    LOADING = "loading"
    EARLY = "early"
    NOT_PUBLISHED = "not published"
    OUT_OF_RANGE = "out of range"
    ABSENT = "absent"
    UNTOLD = "to be compared"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rates:
    """What loads of files have taken, as the medians of past ones.

    :param count: how many loads
    :param size: bytes of a file
    :param seconds_per_byte: from the beginning of a load to its end, for each byte of its file
    :param rows_per_byte: rows that were published, for each byte of the file
    """

    count: int
    size: int
    seconds_per_byte: float
    rows_per_byte: float

    @classmethod
    def of(cls, loads: Sequence[PastLoad], source: Source, month: Month, size: int | None) -> Rates | None:
        """Return the rates of a month's file: of loads of its source and format; if there are none, of its format.

        Only loads of files count that are at most :data:`ALIKE` times as large or as small: of a small file, such as a
        sample, most of the time goes into starting the tasks.

        :param loads: of every source
        :param size: bytes of the file; None if nobody knows
        :return: None if no such file has been loaded
        """
        ending = f".{source.release_of(month).format}"
        alike = [
            each
            for each in loads
            if each.url.endswith(ending) and (size is None or size / ALIKE <= each.size <= size * ALIKE)
        ]
        alike = [each for each in alike if each.source == source.name] or alike
        if not alike:
            return None
        return cls(
            len(alike),
            int(statistics.median(each.size for each in alike)),
            statistics.median(each.seconds / each.size for each in alike),
            statistics.median(each.rows / each.size for each in alike),
        )


@dataclass(frozen=True)
class PlannedMonth:
    """What a load of a month would do.

    :param month: the month
    :param outcome: what it would do
    :param reason: why, in words
    :param size: bytes of its file; None if nobody knows
    :param seconds: that the load may take; None if nobody knows, or if it does nothing
    :param rows: that the file may have, as above
    """

    month: Month
    outcome: Outcome
    reason: str
    size: int | None = None
    seconds: float | None = None
    rows: int | None = None

    @property
    def loads(self) -> bool:
        """Whether rows would be loaded."""
        return self.outcome in (Outcome.NEW, Outcome.CHANGED)

    def estimated(self, rates: Rates | None) -> PlannedMonth:
        """Return the same month with what its load may take.

        :param rates: None if nobody knows any
        """
        if not self.loads or rates is None:
            return self
        size = rates.size if self.size is None else self.size
        return replace(self, seconds=size * rates.seconds_per_byte, rows=round(size * rates.rows_per_byte))


def plan_month(
    source: Source,
    month: Month,
    now: datetime,
    look: Look | None,
    state: MonthState | None,
    recorded: Recorded | None,
    last: LastLoad | None = None,
) -> PlannedMonth:
    """Say what a load of a month would do.

    :param now: the moment of the look
    :param look: what the mirror says of its file; None if it wasn't asked
    :param state: what the ledger knows of the month
    :param recorded: what it says of the published rows; None if there are none
    :param last: how the last load has ended; None if there was none
    """
    if (why := source.why_unavailable(month)) is not None:
        return PlannedMonth(month, Outcome.OUT_OF_RANGE, why.partition(": ")[2])
    due, is_due = source.due(month), source.stands_alone or source.today(now) >= source.due(month)
    if look is None:
        return PlannedMonth(month, Outcome.NOT_PUBLISHED, f"the month isn't over; its file is expected by {due}")
    if look.presence is Presence.UNKNOWN:
        return PlannedMonth(month, Outcome.UNKNOWN, look.in_full)
    if look.version is None:
        return _absent(month, look, recorded, f"expected by {due}", is_due=is_due)
    planned = _there(source, month, look.url, look.version, state, recorded)
    if planned.loads and not is_due:
        reason = f"{planned.reason}; a backfill leaves the month out until it is due, on {due}"
        return replace(planned, outcome=Outcome.EARLY, reason=reason)
    since = last.loading_since(now) if last else None
    if planned.loads and since is not None:
        reason = f"{planned.reason}; a run that began {since:%Y-%m-%d %H:%M %Z} loads it"
        return replace(planned, outcome=Outcome.LOADING, reason=reason)
    return planned


def _absent(month: Month, look: Look, recorded: Recorded | None, expected: str, *, is_due: bool) -> PlannedMonth:
    said = f"{look.in_full} ({look.presence.value})"
    if recorded is not None:
        return PlannedMonth(month, Outcome.ABSENT, f"it was loaded, and its file is gone: {said}; its rows stay")
    if is_due:
        return PlannedMonth(month, Outcome.ABSENT, f"{expected}: {said}; its load would fail")
    return PlannedMonth(month, Outcome.NOT_PUBLISHED, f"not published yet, {expected}: {look.said}")


def _there(
    source: Source, month: Month, url: str, version: FileVersion, state: MonthState | None, recorded: Recorded | None
) -> PlannedMonth:
    """Say what a load of a file that is there would do."""
    size = version.size
    if state is None or recorded is None:
        return PlannedMonth(month, Outcome.NEW, f"it is there: {version}", size)
    difference = difference_of_layout(source, month, recorded.layout)
    if difference is not None:
        return PlannedMonth(month, Outcome.CHANGED, difference.said, size)
    verdict, reason = verdict_of(version, url, state)
    if verdict is Verdict.UNKNOWN:
        reason += ". A load downloads the file, and compares its bytes"
        return PlannedMonth(month, Outcome.UNTOLD, reason, size)
    return PlannedMonth(month, Outcome(verdict.value), reason, size)
