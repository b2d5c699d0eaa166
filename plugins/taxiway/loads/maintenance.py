"""Decides what a warehouse no longer needs: what cut-off runs have left, old rejected lines, old attempts.

Input: the ledger, and what is in the staging area. Output: what to delete. Nothing is locked here. What is under way,
and what a run may still go on with, stays. Of each month, the ledger keeps what loads decide by: the published attempt,
those with the same bytes, and the last one. A second time finds nothing more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from taxiway.loads.attempts import LONGEST_PAUSE, LONGEST_RUN
from taxiway.loads.load import run_name
from taxiway.sources.months import Month


@dataclass(frozen=True)
class Kept:
    """How long a warehouse keeps what no month needs.

    :param rejected_rows: lines that couldn't be read, of attempts whose rows aren't published any more
    :param attempts: attempts in the ledger
    """

    rejected_rows: timedelta
    attempts: timedelta


@dataclass(frozen=True)
class LedgerEntry:
    """An attempt, as the ledger has it.

    :param load_id: its key
    :param source: name of the source
    :param month: the month
    :param run_id: the run, as the ledger has it
    :param attempt: which attempt of the run it is, from 1
    :param state: as in :mod:`taxiway.loads.attempts`
    :param begun_at: when it began, or its last step
    :param finished_at: when it ended; None while it is under way
    :param sha256: of its file, if that is known
    :param fetched_load_id: the attempt that fetched its file, if another one did
    :param is_last: whether it is the last attempt of its month
    :param is_published: whether the published rows of its month are its own
    """

    load_id: str
    source: str
    month: Month
    run_id: str
    attempt: int
    state: str
    begun_at: datetime
    finished_at: datetime | None = None
    sha256: str | None = None
    fetched_load_id: str | None = None
    is_last: bool = False
    is_published: bool = False


@dataclass(frozen=True)
class Trimmed:
    """What was deleted, or would be.

    :param staging: runs that had left something in the staging area, by what its name begins with
    :param unknown: what is in the staging area of no run that the ledger knows; it stays
    :param kept: runs whose tables can't be dropped, and why
    :param rejected_rows: how many
    :param attempts: how many
    """

    staging: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    rejected_rows: int = 0
    attempts: int = 0


class Upkeep(Protocol):
    """What a warehouse is asked for."""

    def entries(self) -> Sequence[LedgerEntry]:
        """Return every attempt of the ledger; none without a ledger."""

    def staging(self) -> Collection[str]:
        """Return the runs that have something in the staging area, each by what its name begins with."""

    def drop(self, name: str) -> str:
        """Drop what a run has left in the staging area.

        :return: why it stays; empty if it is gone
        """

    def count_rejected_rows(self, load_ids: Collection[str]) -> int:
        """Count the rejected lines of attempts."""

    def delete_rejected_rows(self, load_ids: Collection[str]) -> None:
        """Delete the rejected lines of attempts."""

    def delete_attempts(self, load_ids: Collection[str]) -> None:
        """Delete attempts from the ledger."""


def trim(upkeep: Upkeep, kept: Kept, now: datetime, *, dry_run: bool) -> Trimmed:
    """Delete what a warehouse no longer needs.

    :param upkeep: the warehouse
    :param kept: how long what no month needs is kept
    :param now: the time
    :param dry_run: whether only to say what would be deleted
    """
    # What is in the staging area first: a run that begins afterwards is in the ledger before it has anything there.
    staging, entries = sorted(upkeep.staging()), upkeep.entries()
    last = {run_name(each.source, each.month, each.run_id): each for each in sorted(entries, key=_attempt)}
    over = [name for name in staging if name in last and is_over(last[name], now)]
    undropped = {name: why for name in over if not dry_run and (why := upkeep.drop(name))}
    attempts = expired(entries, now - kept.attempts)
    published = _published(entries)
    rejecting = attempts | {
        each.load_id
        for each in entries
        if _ended_before(each, now - kept.rejected_rows)
        and not (each.state == "published" and each.sha256 == published.get((each.source, each.month)))
    }
    rejected_rows = upkeep.count_rejected_rows(rejecting) if rejecting else 0
    if rejected_rows and not dry_run:
        upkeep.delete_rejected_rows(rejecting)
    if attempts and not dry_run:
        upkeep.delete_attempts(attempts)
    return Trimmed(
        tuple(name for name in over if name not in undropped),
        tuple(name for name in staging if name not in last),
        undropped,
        rejected_rows,
        len(attempts),
    )


def is_over(last: LedgerEntry, now: datetime) -> bool:
    """Say whether a run can't go on any more.

    :param last: its last attempt
    :param now: the time
    """
    return (
        last.state in ("published", "unchanged", "skipped")
        or _ended_before(last, now - LONGEST_PAUSE)
        or last.begun_at < now - LONGEST_RUN
    )


def expired(entries: Sequence[LedgerEntry], before: datetime) -> set[str]:
    """Return the keys of the attempts that the ledger needn't keep.

    :param entries: every attempt of the ledger
    :param before: attempts that ended later are kept
    """
    published = _published(entries)
    found = {
        each.load_id: each
        for each in entries
        if _ended_before(each, before)
        and not each.is_last
        and not each.is_published
        and (each.sha256 is None or each.sha256 != published.get((each.source, each.month)))
    }
    # A kept attempt that went on with another one's file is ordered by that one.
    referred = {each.fetched_load_id for each in entries if each.load_id not in found}
    return set(found) - referred


def _published(entries: Sequence[LedgerEntry]) -> Mapping[tuple[str, Month], str | None]:
    """Return the SHA-256 of the file that each month was published from."""
    return {(each.source, each.month): each.sha256 for each in entries if each.is_published}


def _ended_before(entry: LedgerEntry, moment: datetime) -> bool:
    return entry.state != "running" and entry.finished_at is not None and entry.finished_at < moment


def _attempt(entry: LedgerEntry) -> int:
    return entry.attempt
