"""What has been told, so that one cause is one message.

It is kept in an Airflow Variable: it is there if the warehouse isn't, and all workers share it. Workers of one machine
change it one after another, under a lock of its file system; two machines that do so at once may tell a cause twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Variable
from filelock import FileLock, Timeout

from taxiway.orchestration.alerts.alert import Alert

VARIABLE = "taxiway_alerts_told"

DESCRIPTION = "Written by Taxiway: which alerts have been sent. If it is deleted, what is wrong is told again"

PAUSE = timedelta(hours=1)
"""Time in which a cause is told once; months that follow meanwhile are counted."""

AGAIN = timedelta(minutes=5)
"""Time until a message that reached nobody is tried again."""

FORGET = timedelta(days=400)
"""Age at which something that is wrong is forgotten, if nothing has been heard of it."""

MOST_RUNS = 500
"""Runs of a DAG that are remembered to have ended."""

LOCK_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass
class Memory:
    """What has been told.

    :param open: what is wrong: kind, cause, reason and since when, by warehouse, source and month
    :param causes: by :attr:`~taxiway.orchestration.alerts.alert.Alert.cause`: the first alert that nobody was told of,
        with all months; how many of them nobody was told of; and when somebody was told
    :param ended: ids of the runs that have ended while others of their DAG were open, by DAG
    """

    open: dict[str, dict[str, str]] = field(default_factory=dict)
    causes: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: dict[str, list[str]] = field(default_factory=dict)

    def learn(self, alerts: Sequence[Alert], now: datetime) -> list[Alert]:
        """Take in what has happened, and return what is to be told now.

        A month that is wrong for a cause that was told of it isn't told again. Another month with a cause that was
        told within :data:`PAUSE` is counted.
        """
        causes = dict[str, None]()
        for alert in alerts:
            if alert.kind in ("failed", "late", "approval"):
                known = self.open.get(alert.places[0])
                since = known["since"] if known else now.isoformat()
                entry = {"kind": alert.kind, "cause": alert.cause, "reason": alert.said, "since": since}
                self.open[alert.places[0]] = entry
                if known and known["cause"] == alert.cause:
                    continue
            causes[alert.cause] = None
            cause = self.causes.setdefault(alert.cause, {"alert": {"months": []}, "unsaid": 0})
            months = tuple(dict.fromkeys([*cause["alert"]["months"], *alert.months]))
            if not cause["unsaid"]:
                cause["alert"] = asdict(alert)
            cause["alert"]["months"] = months
            cause["unsaid"] += len(alert.months)
        return self._say(causes, now)

    def loaded(self, alert: Alert) -> Alert | None:
        """Take in that a month is loaded, and return the news of that, if it was wrong before.

        :param alert: of the kind ``recovered``; its reason is given here
        """
        before = self.open.pop(alert.places[0], None)
        if before is None:
            return None
        cause = self.causes.get(before["cause"])
        if cause is not None:
            cause["alert"]["months"] = [month for month in cause["alert"]["months"] if month not in alert.months]
            cause["unsaid"] = min(cause["unsaid"], len(cause["alert"]["months"]))
        if before["kind"] == "approval":
            return None
        since = f"{datetime.fromisoformat(before['since']):%Y-%m-%d %H:%M %Z}"
        how = "was late" if before["kind"] == "late" else "failed"
        return replace(alert, reason=f"It is loaded. It {how} since {since}: {before['reason']}")

    def end(self, dag_id: str, run_id: str, open_runs: Callable[[list[str] | None], int], now: datetime) -> list[Alert]:
        """Take in that a run has ended or waits for a person, and return what was only counted, if it is time to tell.

        That is when each open run of the DAG has come this far, or after :data:`PAUSE`.

        :param open_runs: says how many runs of the DAG are open; of some runs, if it is given their ids
        """
        ended = self.ended[dag_id] = [*self.ended.get(dag_id, []), run_id][-MOST_RUNS:]
        if open_runs(None) <= open_runs(ended):
            del self.ended[dag_id]
            for cause in self.causes.values():
                if cause["alert"]["dag_id"] == dag_id and cause["unsaid"]:
                    cause.pop("told_at", None)
        return self._say(list(self.causes), now)

    def unsaid(self, alert: Alert, now: datetime) -> None:
        """Take in that a message reached nobody."""
        cause = self.causes.get(alert.cause)
        if cause is not None:
            cause.update(unsaid=len(alert.months), told_at=(now - PAUSE + AGAIN).isoformat())

    def forget(self, now: datetime) -> None:
        """Forget what is no longer of use."""
        self.causes = {
            name: cause for name, cause in self.causes.items() if cause["unsaid"] or not _is_over(cause, now)
        }
        self.open = {
            place: entry for place, entry in self.open.items() if now - datetime.fromisoformat(entry["since"]) < FORGET
        }

    def _say(self, causes: Any, now: datetime) -> list[Alert]:
        found = []
        for name in causes:
            cause = self.causes[name]
            if cause["unsaid"] and _is_over(cause, now):
                found.append(Alert(**{**cause["alert"], "months": tuple(cause["alert"]["months"])}))
                cause.update(unsaid=0, told_at=now.isoformat())
        return found


def _is_over(cause: dict[str, Any], now: datetime) -> bool:
    """Say whether nobody was told of a cause lately."""
    told_at = cause.get("told_at")
    return told_at is None or now - datetime.fromisoformat(told_at) >= PAUSE


@contextmanager
def memory(folder: Path) -> Iterator[Memory]:
    """Read the memory, and write what has changed in it when the block ends.

    :param folder: for the lock; it is made if it is absent
    """
    with ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(FileLock(folder / "alerts.lock", timeout=LOCK_SECONDS))
        except Timeout:
            log.warning("alerts: another process has kept %s for %.0f s: going on without it", folder, LOCK_SECONDS)
        before = Variable.get(VARIABLE, default=None)
        try:
            found = Memory(**json.loads(before)) if before else Memory()
        except (TypeError, ValueError):
            log.warning("the Variable %s holds what Taxiway hasn't written: it is written anew", VARIABLE)
            found = Memory()
        yield found
        after = json.dumps(asdict(found))
        if after != (before or json.dumps(asdict(Memory()))):
            Variable.set(VARIABLE, after, description=DESCRIPTION)
