"""What has been told, so that one cause is one message.

It is kept in an Airflow Variable: it is there if the warehouse isn't, and all workers share it. Workers of one machine
change it one after another, under a lock of its file system; two machines that do so at once may tell a cause twice.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import Variable
from filelock import FileLock
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from taxiway.orchestration.alerts.alert import Alert
from taxiway.paths import ROOT

VARIABLE = "taxiway_alerts_told"

DESCRIPTION = "Written by Taxiway: which alerts have been sent. If it is deleted, what is wrong is told again"

PAUSE = timedelta(hours=1)
"""Longest time in which months of a cause that was told are only counted, while other runs of their DAG are open."""

AGAIN = timedelta(minutes=5)
"""Time until a message that reached nobody is tried again, while other runs of its DAG are open."""

FORGET = timedelta(days=400)
"""Age at which something that is wrong is forgotten, if nothing has been heard of it."""

MOST_RUNS = 500
"""Runs of a DAG that are remembered to have ended."""

LOCK = Path(os.environ.get("AIRFLOW_HOME") or ROOT) / ".taxiway" / "alerts.lock"
"""Locked while the memory changes. It isn't in the folder of the cache, which may be what is broken."""

LOCK_SECONDS = 10.0

WRONG = ("failed", "late", "approval")
"""Kinds of what is wrong until the month is loaded."""

log = logging.getLogger(__name__)


@dataclass
class Wrong:
    """What is wrong with a month.

    :param kind: of the alert; likewise
    :param cause: its cause
    :param reason: its reason
    :param run: its DAG and its run
    :param since: when it was heard of first
    :param heard_at: when it was heard of last
    """

    kind: str
    cause: str
    reason: str
    run: str
    since: AwareDatetime
    heard_at: AwareDatetime


@dataclass
class Cause:
    """What was told of a cause.

    :param untold: what nobody was told of yet
    :param told_at: when somebody was told
    """

    untold: list[Alert] = field(default_factory=list)
    told_at: AwareDatetime | None = None


@dataclass
class Memory:
    """What has been told.

    :param open: what is wrong, by warehouse, source and month
    :param causes: by :attr:`~taxiway.orchestration.alerts.alert.Alert.cause`
    :param ended: ids of the runs that have ended while others of their DAG were open, by DAG
    """

    open: dict[str, Wrong] = field(default_factory=dict)
    causes: dict[str, Cause] = field(default_factory=dict)
    ended: dict[str, list[str]] = field(default_factory=dict)

    def learn(self, alerts: Sequence[Alert], now: datetime) -> list[Alert]:
        """Take in what has happened, and return what is to be told now.

        A month that is wrong for a cause that was told of it isn't told again; a run that waits for approval, and one
        of a DAG that loads no month, is. Another month with a cause that was told within :data:`PAUSE` is counted.
        """
        causes = dict[str, None]()
        for alert in alerts:
            if alert.kind in WRONG and self._knows(alert, now):
                continue
            causes[alert.cause] = None
            self.causes.setdefault(alert.cause, Cause()).untold.append(alert)
        return self._say(causes, now)

    def has_told(self, alert: Alert, since: datetime) -> bool:
        """Say whether a month was heard of since a moment: that it has failed, or that it waits for approval.

        A run that has waited may fail because somebody has cancelled it: nothing tells that from a killed process.
        """
        known = self.open.get(alert.places[0])
        return known is not None and known.kind in ("failed", "approval") and known.heard_at >= since

    def loaded(self, alert: Alert) -> Alert | None:
        """Take in that a month is loaded, and return the news of that, if it was wrong before.

        :param alert: of the kind ``recovered``; its reason is given here
        """
        before = self.open.pop(alert.places[0], None)
        if before is None:
            return None
        self._withdraw(alert)
        if before.kind == "approval":
            return None
        how = "was late" if before.kind == "late" else "failed"
        return replace(alert, reason=f"It is loaded. It {how} since {before.since:%Y-%m-%d %H:%M %Z}: {before.reason}")

    def end(self, dag_id: str, run_id: str, open_runs: Callable[[list[str] | None], int], now: datetime) -> list[Alert]:
        """Take in that a run has ended or waits for a person, and return what was only counted, if it is time to tell.

        That is when each open run of the DAG has come this far, or after :data:`PAUSE`.

        :param open_runs: says how many runs of the DAG, or tasks of them, are open; of some runs, if it is given their
            ids
        """
        ended = self.ended[dag_id] = [*dict.fromkeys([*self.ended.get(dag_id, []), run_id])][-MOST_RUNS:]
        if open_runs(None) <= open_runs(ended):
            del self.ended[dag_id]
            for cause in self.causes.values():
                if any(alert.dag_id == dag_id for alert in cause.untold):
                    cause.told_at = None
        return self._say(self.causes, now)

    def lost(self, alert: Alert, now: datetime) -> None:
        """Take in that a message reached nobody: it is told later, but for months that are well meanwhile."""
        months = [
            month
            for month, place in zip(alert.months, alert.places, strict=True)
            if alert.kind not in WRONG or ((known := self.open.get(place)) and known.cause == alert.cause)
        ]
        cause = self.causes.get(alert.cause)
        if cause is not None and months:
            cause.untold.insert(0, replace(alert, months=tuple(months)))
            cause.told_at = now - PAUSE + AGAIN

    def forget(self, now: datetime) -> None:
        """Forget what is no longer of use."""
        self.causes = {name: cause for name, cause in self.causes.items() if cause.untold or not _is_over(cause, now)}
        self.open = {place: wrong for place, wrong in self.open.items() if now - wrong.heard_at < FORGET}

    def _knows(self, alert: Alert, now: datetime) -> bool:
        """Note what is wrong, and say whether it is known already."""
        place, run = alert.places[0], f"{alert.dag_id} {alert.run}"
        known = self.open.get(place)
        if alert.source and alert.kind != "approval":
            is_known = known is not None and known.cause == alert.cause
        else:
            # The run may have been cancelled with its question, or the next one have been well: nobody says so.
            is_known = any((wrong.cause, wrong.run) == (alert.cause, run) for wrong in self.open.values())
        since = known.since if known and known.kind == alert.kind else now
        self.open[place] = Wrong(alert.kind, alert.cause, alert.said, run, since, now)
        if not is_known:
            self._withdraw(alert)
        return is_known

    def _withdraw(self, alert: Alert) -> None:
        """Don't tell any more what nobody was told of a month yet: something else has become of it."""
        for cause in self.causes.values():
            cause.untold = [left for each in cause.untold if (left := _without(each, alert))]

    def _say(self, causes: Iterable[str], now: datetime) -> list[Alert]:
        found = []
        for name in causes:
            cause = self.causes[name]
            if cause.untold and _is_over(cause, now):
                months = dict.fromkeys(month for alert in cause.untold for month in alert.months)
                found.append(replace(cause.untold[0], months=tuple(months)))
                cause.untold, cause.told_at = [], now
        return found


def _without(untold: Alert, alert: Alert) -> Alert | None:
    """Return what is left to tell if something else has become of a month."""
    if untold.kind == "warnings":
        return untold
    months = [month for month, place in zip(untold.months, untold.places, strict=True) if place not in alert.places]
    return replace(untold, months=tuple(months)) if months else None


def _is_over(cause: Cause, now: datetime) -> bool:
    """Say whether nobody was told of a cause lately."""
    return cause.told_at is None or now - cause.told_at >= PAUSE


_MEMORY = TypeAdapter(Memory)


@contextmanager
def memory() -> Iterator[Memory]:
    """Read the memory, and write what has changed in it when the block ends."""
    with ExitStack() as stack:
        try:
            LOCK.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(LOCK, timeout=LOCK_SECONDS))
        except (OSError, NotImplementedError) as error:
            log.warning("alerts: %s can't be locked: %s. Going on without it", LOCK, error)
        before = Variable.get(VARIABLE, default=None)
        try:
            found = _MEMORY.validate_json(before) if before else Memory()
        except ValidationError:
            log.warning("the Variable %s holds what Taxiway hasn't written: it is written anew", VARIABLE)
            found = Memory()
        yield found
        after = _MEMORY.dump_json(found).decode()
        if after != (before or _MEMORY.dump_json(Memory()).decode()):
            Variable.set(VARIABLE, after, description=DESCRIPTION)
