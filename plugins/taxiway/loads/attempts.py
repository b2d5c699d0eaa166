"""What a step does with the ledger's attempts: goes on with one, or begins another.

An attempt is ``running`` until it ends as ``published``, ``unchanged``, ``skipped``, ``failed`` or ``abandoned``. One
that has ended is never reopened: if its run goes on, the next step begins another attempt, with what the one before
has found. ``abandoned`` is an attempt whose worker ended silently. If ``merge_month`` fails after it has published,
the attempt stays ``published``, and has the error until another try succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from taxiway.loads.load import Counts, Load
from taxiway.loads.step_names import DOWNLOAD, PUBLISH

LONGEST_RUN = timedelta(hours=24)
"""Age at which an attempt that hasn't ended is over all the same: twice what Airflow gives a run."""

LONGEST_PAUSE = timedelta(hours=8)
"""Time after a failure in which its run may continue: three more tries of two hours at most, which may end before they
reach the ledger, and the waits between them."""


@dataclass(frozen=True)
class Attempt:
    """One attempt to load a month, as the ledger has it.

    :param load_id: its key
    :param fetched_load_id: the attempt of the same run that fetched the file, this one or an earlier one
    :param number: which attempt of the run it is, from 1
    :param step: the last step that is known to have begun
    :param state: running, published, unchanged, skipped, failed or abandoned
    :param sha256: of the file, in hexadecimal, if that is known
    :param rows_read: rows in the file, if that is known
    :param rows_rejected: rows that could not be read, if that is known
    :param rows_staged: rows that have an id and are ready to be published, if that is known
    :param published: what publishing has changed, if the month is published
    :param warnings: how the main table differed from the ledger, and what the checks have warned of
    :param layout: name of the file's layout, if that is known
    """

    load_id: str
    fetched_load_id: str
    number: int
    step: str
    state: str
    sha256: str | None = None
    rows_read: int | None = None
    rows_rejected: int | None = None
    rows_staged: int | None = None
    published: Counts | None = None
    warnings: tuple[str, ...] = ()
    layout: str | None = None


class Ledger(Protocol):
    """What a warehouse stores of a load's attempts; what is done with them is decided here."""

    @property
    def load(self) -> Load:
        """The load."""

    def last_attempt(self) -> Attempt | None:
        """Return the run's last attempt; None if it has none."""

    def has_begun(self, attempt: Attempt, step: str) -> bool:
        """Say whether a step, or a later one, has begun in an attempt already."""

    def abandon(self, attempt: Attempt, step: str) -> None:
        """Record that an attempt's worker ended silently.

        :param step: the step that begins now
        """

    def begin(self, step: str, before: Attempt | None, *, takes_over: bool) -> Attempt:
        """Record another attempt, and mark abandoned attempts of other runs of the month.

        :param step: the step that begins it
        :param before: the run's last attempt
        :param takes_over: whether it goes on with the file, the counts and the rejected rows of that one
        """


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
    if last_state == "published" and step == PUBLISH:
        # The worker was lost after publishing, and before it could say so.
        return Decision(begins=False)
    takes_over = last_state is not None and step != DOWNLOAD
    return Decision(begins=True, abandons=last_state == "running", takes_over=takes_over)


def attempt_of(ledger: Ledger, step: str, waited: str = "") -> Attempt:
    """Return the attempt that a step works in: the run's last one, or another one that begins with it.

    :param ledger: of the load
    :param step: the step that begins, or goes on
    :param waited: key of the attempt in which the step has waited outside of a worker; empty if it hasn't
    """
    last = ledger.last_attempt()
    if last is None:
        return ledger.begin(step, None, takes_over=False)
    if last.load_id == waited and last.state == "running":
        return last
    decision = decide(last.state, step, begun=ledger.has_begun(last, step))
    if not decision.begins:
        return last
    if decision.abandons:
        ledger.abandon(last, step)
    return ledger.begin(step, last, takes_over=decision.takes_over)


def is_over(state: str, started_at: datetime, now: datetime) -> bool:
    """Say whether an attempt of another run can't be at work any more, though it hasn't ended.

    :param started_at: when it began
    :param now: the time, with the same offset
    """
    return state == "running" and now - started_at > LONGEST_RUN


def lost_worker(step: str) -> str:
    """Return what the ledger says of an attempt whose worker ended silently.

    :param step: the last step that is known to have begun
    """
    return f"{step}: its worker ended without a word"
