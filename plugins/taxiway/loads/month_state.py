"""How a month stands in a warehouse: one answer for the board and for ``airflow taxi status``.

Input: what the ledger says of a month, its source, and what the watch has seen at the publisher. Output: a state.
Nothing is asked or changed here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from taxiway.loads.published_months import LastLoad
from taxiway.loads.watch import Verdict
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source

STATES = (PUBLISHED, WARNED, CHANGED, RUNNING, FAILED, SKIPPED, MISSING, NOT_DUE, NO_FILE) = (
    "published",
    "with warnings",
    "changed at the source",
    "running",
    "failed",
    "skipped",
    "missing",
    "not due",
    "no such month",
)
"""All of them; docs/board.md says what each means."""


@dataclass(frozen=True)
class Watched:
    """What the watch has seen of a month's file.

    :param decision: a value of :class:`~taxiway.loads.watch.Verdict`
    :param reason: why, in words
    :param checked_at: when it looked
    """

    decision: str
    reason: str
    checked_at: datetime


def state_of(
    source: Source, month: Month, found: LastLoad | None, seen: Watched | None = None, today: date | None = None
) -> str:
    """Say how a month stands.

    :param source: the source
    :param month: the month
    :param found: what the ledger says of it; None if nobody has tried to load it
    :param seen: what the watch has seen of its file; None if it hasn't looked
    :param today: in the source's time zone; today unless given
    :return: one of :data:`STATES`
    """
    if found is None:
        if source.why_unavailable(month):
            return NO_FILE
        due = source.stands_alone or (source.is_due(month) if today is None else today >= source.due(month))
        return MISSING if due or is_new(seen) else NOT_DUE
    if found.state in ("failed", "abandoned"):
        return FAILED
    if found.state == "running" and (found.rows is None or found.error):
        return RUNNING
    if found.state == "skipped" and found.rows is None:
        return SKIPPED
    if is_changed(found, seen):
        return CHANGED
    return WARNED if found.warnings else PUBLISHED


def is_changed(found: LastLoad, seen: Watched | None) -> bool:
    """Say whether the watch has seen another version of a published file since a load found the published bytes."""
    return (
        seen is not None
        and found.confirmed_at is not None
        and seen.checked_at > found.confirmed_at
        and seen.decision in (Verdict.CHANGED.value, Verdict.LATER.value, Verdict.LOADING.value, Verdict.FAILED.value)
    )


def is_new(seen: Watched | None) -> bool:
    """Say whether the watch has seen the file of a month that isn't published."""
    return seen is not None and seen.decision in (Verdict.NEW.value, Verdict.LATER.value, Verdict.BEHIND.value)


def months_up_to_now(source: Source, tried: Collection[Month], today: date | None = None) -> list[Month]:
    """Return a source's months in their order: all that are due, and those after that somebody has tried to load.

    :param source: the source
    :param tried: months that somebody has tried to load
    :param today: in the source's time zone; today unless given
    """
    if source.stands_alone:
        return [WHOLE]
    months, month = list[Month](), source.first_month
    while source.why_unavailable(month) is None and (
        source.is_due(month) if today is None else today >= source.due(month)
    ):
        months.append(month)
        month = month.next()
    return [*months, *sorted(each for each in tried if each >= month and source.why_unavailable(each) is None)]
