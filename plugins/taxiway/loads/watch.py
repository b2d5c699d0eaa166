"""Decides what becomes of each file that the watch has asked for: loaded, waited for, or only named.

Input: what the ledger and Airflow know of a source's months, and what the mirror says of its files. Output: a decision
for each month. Nothing is locked or changed here. A second look at the same state decides the same.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from taxiway.download.look import FileVersion, Look, Presence
from taxiway.loads.published_months import LastLoad, MonthState
from taxiway.messages import counted
from taxiway.sources.months import Month
from taxiway.sources.source import Source

MOST_RUNS = 3
"""How many runs the watch starts for one version of a file, a look apart, if they fail."""


class Verdict(enum.Enum):
    """What becomes of a file."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    LOADING = "loading"
    FAILED = "failed"
    LATER = "later"
    WAITING = "waiting"
    OVERDUE = "overdue"
    VANISHED = "vanished"
    UNKNOWN = "unknown"
    GAP = "gap"
    BEHIND = "behind"


TO_LOAD = (Verdict.NEW, Verdict.CHANGED)
"""The verdicts whose month is loaded."""

NEEDS_A_LOOK = (Verdict.FAILED, Verdict.OVERDUE, Verdict.VANISHED, Verdict.BEHIND)
"""The verdicts that somebody should know of: warnings."""


@dataclass(frozen=True)
class Decision:
    """What becomes of a month's file, and why.

    :param source: the source
    :param month: the month
    :param verdict: what becomes of it
    :param reason: why, in words
    :param url: the file's address; None if it wasn't asked for
    :param version: which version is there; None if none is
    :param run_id: of the run of ``taxi`` that loads it, or has tried to; None if there is none
    """

    source: Source
    month: Month
    verdict: Verdict
    reason: str
    url: str | None = None
    version: FileVersion | None = None
    run_id: str | None = None

    @property
    def loads(self) -> bool:
        """Whether its run is to be started."""
        return self.verdict in TO_LOAD

    def __str__(self) -> str:
        """Say it in one line of a log."""
        return f"{self.source.name} {self.month}: {self.verdict.value}: {self.reason}"


@dataclass(frozen=True)
class Question:
    """Which months of a source a look asks for.

    :param published: the published months, which may have changed
    :param following: months behind the last published one, which may be there by now
    :param gaps: months between published ones that aren't published
    """

    published: tuple[Month, ...]
    following: tuple[Month, ...]
    gaps: tuple[Month, ...]


def question(source: Source, states: Mapping[Month, MonthState], now: datetime, catch_up: int) -> Question:
    """Choose the months to ask for: of a source that has no published month, none.

    :param source: the source
    :param states: what the ledger knows of its months
    :param now: the moment of the look
    :param catch_up: most months behind the last published one that are loaded; one more is asked for, to know whether
        there are more
    """
    published = sorted(month for month, state in states.items() if state.published_at and _has(source, month))
    if not published or source.stands_alone:
        return Question(tuple(published), (), ())
    gaps, following = list[Month](), list[Month]()
    month = published[0]
    while (month := month.next()) < published[-1]:
        if month not in published and _has(source, month):
            gaps.append(month)
    month, present = published[-1], source.month_of(now)
    while (month := month.next()) < present and _has(source, month) and len(following) <= catch_up:
        following.append(month)
    return Question(tuple(published), tuple(following), tuple(gaps))


def decide(
    source: Source,
    asked: Question,
    states: Mapping[Month, MonthState],
    last: Mapping[Month, LastLoad],
    looks: Mapping[Month, Look],
    now: datetime,
    *,
    warehouse: str,
    catch_up: int,
    state_of: Callable[[str], str | None],
    how_to_load: Callable[[Sequence[Month]], str],
) -> list[Decision]:
    """Decide about a source's months, in their order.

    :param source: the source
    :param asked: the months, from :func:`question`
    :param states: what the ledger knows of them
    :param last: how their last loads have ended
    :param looks: what the mirror says of the published and the following ones
    :param now: the moment of the look
    :param warehouse: that the months are loaded into
    :param catch_up: as for :func:`question`
    :param state_of: says how a run of ``taxi`` stands, by its id; None if there is none
    :param how_to_load: says how months are loaded, in sentences
    """

    def decision(month: Month, verdict: Verdict, reason: str) -> Decision:
        look = looks[month]
        if look.presence is Presence.UNKNOWN:
            verdict, reason = Verdict.UNKNOWN, f"{look.said}. The next look asks again"
        found = Decision(source, month, verdict, reason, look.url, look.version)
        if look.version is None or not found.loads:
            return found
        return _with_run(found, look.version, states.get(month), last.get(month), now, warehouse, state_of)

    decided = [decision(month, *_of_published(looks[month], states[month])) for month in asked.published]
    following = [decision(month, *_of_following(source, month, looks[month], now)) for month in asked.following]
    there = [each for each in following if looks[each.month].presence is Presence.THERE]
    if len(there) > catch_up:  # so all that were asked for
        reason = (
            f"of the months that follow {asked.published[-1]}, more than {catch_up} are there, so none is loaded. "
            f"{how_to_load(_with_due(source, asked.following, now))}"
        )
        following = [
            replace(each, verdict=Verdict.BEHIND, reason=reason, run_id=None) if each.loads else each
            for each in following
        ]
    gaps = [
        Decision(source, month, Verdict.GAP, f"between published months, and not published. {how_to_load([month])}")
        for month in asked.gaps
    ]
    return sorted([*decided, *following, *gaps], key=lambda each: each.month)


def limited(decisions: Sequence[Decision], most: int) -> list[Decision]:
    """Leave all but the first months that would be loaded to the next look: new ones come before changed ones.

    :param decisions: of all sources
    :param most: how many runs may be started
    """
    loads = sorted(
        (each for each in decisions if each.loads), key=lambda each: (each.verdict is Verdict.CHANGED, each.month)
    )
    later = {(each.source.name, each.month) for each in loads[most:]}
    left = f"left to the next look: one look starts {counted(most, 'run')} at most"
    return [
        replace(each, verdict=Verdict.LATER, reason=f"{each.reason}; {left}", run_id=None)
        if (each.source.name, each.month) in later
        else each
        for each in decisions
    ]


def run_id_of(warehouse: str, source: Source, month: Month, version: FileVersion, state: MonthState | None) -> str:
    """Return what the ids of the runs begin with that load one version of a file: no two looks load it twice.

    :param state: what the ledger knows of the month: a file that comes back after another one is loaded again
    """
    published = state.published_at.isoformat() if state and state.published_at else ""
    key = hashlib.sha256(f"{version.key} {published}".encode()).hexdigest()[:12]
    return f"watch__{warehouse}__{source.name}__{month}__{key}"


def verdict_of(version: FileVersion, url: str, state: MonthState) -> tuple[Verdict, str]:
    """Say whether a file is the one that a month was published from: unchanged, changed or unknown; and why.

    :param version: what the mirror says of the file
    :param url: its address
    :param state: what the ledger knows of the month
    """
    versions = [known for at, known in state.files if at in (None, url)]
    # From another address, a file has other tags and times: its size alone tells.
    versions += [FileVersion(size=known.size) for at, known in state.files if at not in (None, url)]
    told = [version.is_same(known) for known in versions]
    if True in told:
        return Verdict.UNCHANGED, f"the published one ({version})"
    if False not in told:
        return Verdict.UNKNOWN, f"nothing tells whether it has changed: the mirror says {version}"
    return Verdict.CHANGED, f"there is another version than the published one: {version}; before: {versions[-1]}"


def _of_published(look: Look, state: MonthState) -> tuple[Verdict, str]:
    if look.version is None:
        return Verdict.VANISHED, f"it was loaded, and {look.said} now ({look.presence.value}); its rows stay"
    return verdict_of(look.version, look.url, state)


def _of_following(source: Source, month: Month, look: Look, now: datetime) -> tuple[Verdict, str]:
    if look.version is not None:
        return Verdict.NEW, f"it is there: {look.version}"
    due = source.due(month)
    if source.today(now) < due:
        return Verdict.WAITING, f"not published yet, expected by {due}: {look.said}"
    return Verdict.OVERDUE, f"it should be there since {due}, and {look.said} ({look.presence.value})"


def _with_run(
    decision: Decision,
    version: FileVersion,
    state: MonthState | None,
    last: LastLoad | None,
    now: datetime,
    warehouse: str,
    state_of: Callable[[str], str | None],
) -> Decision:
    """Give a month that is to be loaded its run, unless one is under way or held back, or several have failed."""
    since = last.loading_since(now) if last else None
    if since is not None:
        return replace(
            decision,
            verdict=Verdict.LOADING,
            reason=f"{decision.reason}; a run that began {since:%Y-%m-%d %H:%M %Z} loads it",
        )
    begins = run_id_of(warehouse, decision.source, decision.month, version, state)
    run_id = ""
    for number in range(1, MOST_RUNS + 1):
        run_id = f"{begins}__{number}"
        how = state_of(run_id)
        if how is None:
            return replace(decision, run_id=run_id)
        decision = replace(decision, run_id=run_id)
        if how not in ("success", "failed"):
            return replace(
                decision, verdict=Verdict.LOADING, reason=f"{decision.reason}; the run {run_id} of taxi is {how}"
            )
        if how == "success" and decision.verdict is Verdict.CHANGED and _has_found_it(last, run_id):
            reason = f"the run {run_id} of taxi has found the published bytes in it ({version})"
            return replace(decision, verdict=Verdict.UNCHANGED, reason=reason)
        if how == "failed" and last is not None and last.is_held_back:
            # Another run would find the same rows.
            reason = (
                f"{decision.reason}. The last load would delete too many published rows, and the run {run_id} of taxi "
                f"has failed: its log has the command that accepts that. The watch starts no other run for this "
                f"version of the file"
            )
            return replace(decision, verdict=Verdict.FAILED, reason=reason)
    reason = (
        f"{decision.reason}. {MOST_RUNS} runs of taxi have not published it, the last one is {run_id}: look at its "
        f"log, and clear its failed tasks. The watch starts no other run for this version of the file"
    )
    return replace(decision, verdict=Verdict.FAILED, reason=reason)


def _has_found_it(last: LastLoad | None, run_id: str) -> bool:
    """Say whether a run of taxi has found the published bytes, by the ledger, which calls it ``taxi`` and its id.

    Airflow also calls a run a success that somebody has ended, unless ``merge_month`` ran.
    """
    return last is not None and last.state == "unchanged" and last.run_id.endswith(run_id)


def _has(source: Source, month: Month) -> bool:
    return source.why_unavailable(month) is None


def _with_due(source: Source, there: Sequence[Month], now: datetime) -> Sequence[Month]:
    """Return months whose files are there, and those behind them that should be there: nobody has asked for these."""
    months = list(there)
    while _has(source, month := months[-1].next()) and source.today(now) >= source.due(month):
        months.append(month)
    return months
