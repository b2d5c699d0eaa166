"""What a step does with the ledger's attempts: goes on with one, or begins another.

An attempt is ``running`` until it ends as ``published``, ``unchanged``, ``skipped``, ``failed`` or ``abandoned``. One
that has ended is never reopened: if its run goes on, the next step begins another attempt, with what the one before
has found. ``abandoned`` is an attempt whose worker ended without a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from taxiway.loads.steps import FETCH

LONGEST_RUN = timedelta(hours=24)
"""Age at which an attempt that hasn't ended is over all the same: twice what Airflow gives a run."""

LONGEST_PAUSE = timedelta(hours=8)
"""Time after a failure in which its run may come back: three more tries, each of two hours at the most, that don't get
as far as the ledger, and the waits between."""


@dataclass(frozen=True)
class Decision:
    """What a step does with its run's last attempt.

    :param begins: whether it begins another attempt; else it goes on with the last one
    :param abandons: whether the last one is marked abandoned
    :param takes_over: whether the new attempt goes on with the file, the counts and the rejected rows of the last one
    """

    begins: bool
    abandons: bool = False
    takes_over: bool = False


def decide(last_state: str | None, step: str, *, begun: bool) -> Decision:
    """Decide what a step does with its run's last attempt.

    :param last_state: how the run's last attempt stands; None if the run has none
    :param step: the step that begins
    :param begun: whether the step, or a later one, has begun in that attempt already: it failed, or its worker is gone
    """
    if last_state == "running" and not begun:
        return Decision(begins=False)
    return Decision(begins=True, abandons=last_state == "running", takes_over=last_state is not None and step != FETCH)


def is_over(state: str, started_at: datetime, now: datetime) -> bool:
    """Say whether an attempt of another run can't be at work any more, though it hasn't ended.

    :param started_at: when it began
    :param now: the time, with the same offset
    """
    return state == "running" and now - started_at > LONGEST_RUN


def lost_worker(step: str) -> str:
    """Return what the ledger says of an attempt whose worker ended without a word.

    :param step: the last step that is known to have begun
    """
    return f"{step}: its worker ended without a word"
