"""Says which of two files of a month is the later one: the file whose attempt began its download later.

A step that is tried again belongs to another attempt, with a higher number, but goes on with the downloaded file. So
the number of the attempt that downloaded the file counts. An attempt that found its file published already has
downloaded it, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from taxiway.errors import MissingInputError
from taxiway.loads import publication
from taxiway.loads.attempts import Attempt
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.ledger import Entry
from taxiway.warehouses.bigquery.tables import CloudTables

Rank = tuple[int, str]
"""The rank of a file in its month: the number of the attempt that downloaded it, then a digest of that attempt's key.
Attempts that began at the same moment may share a number."""


def require_latest(tables: CloudTables, attempt: Attempt, entries: Sequence[Entry]) -> Rank:
    """Make sure that no later file of the month is published.

    :param attempt: the step's
    :param entries: the month's attempts
    :return: the rank of the load's file
    :raises SupersededError: a later file with other bytes is published
    :raises MissingInputError: the attempt that downloaded the file is gone from the ledger
    """
    own = rank(attempt.fetched_load_id, entries)
    if own is None:
        raise MissingInputError(
            f"{tables.where}: the attempt {attempt.fetched_load_id} is gone from {tables.dataset}.load_events, "
            f"expected what download_month recorded there: clear that task with its downstream tasks"
        )
    before = ledger.published(entries)
    held = before[-1].sha256 if before else None
    same = [entry for entry in entries if entry.state in ("published", "unchanged") and entry.sha256 == held]
    later = any((rank(entry.fetched_load_id, entries) or own) > own for entry in same)
    publication.require_latest(tables, attempt.sha256 or "", held, later=later)
    return own


def is_later(attempt: Attempt, fetched_load_id: str, entries: Sequence[Entry]) -> bool:
    """Say whether an attempt began later than the attempt that downloaded a load's file; False if the ledger lacks one.

    :param attempt: one of the load
    :param fetched_load_id: the other attempt
    :param entries: the month's attempts
    """
    own, theirs = rank(attempt.fetched_load_id, entries), rank(fetched_load_id, entries)
    return own is not None and theirs is not None and theirs > own


def rank(load_id: str, entries: Sequence[Entry]) -> Rank | None:
    """Return the rank of the file that an attempt downloaded; None if the ledger lacks the attempt."""
    digest = hashlib.sha256(load_id.encode()).hexdigest()[:16]
    return next(((entry.load_number, digest) for entry in entries if entry.load_id == load_id), None)
