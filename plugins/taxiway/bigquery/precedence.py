"""Which of two files of a month is the later one: that of the attempt that began later to fetch it.

A step that is tried again belongs to another attempt, with a higher number, but goes on with the file that was
fetched before. So it is the number of the attempt that fetched the file that counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from taxiway.bigquery import ledger
from taxiway.bigquery.ledger import Entry
from taxiway.bigquery.load import Load
from taxiway.bigquery.tables import CloudTables
from taxiway.core.errors import OvertakenError, StagingMissingError


def require_latest(tables: CloudTables, load: Load, entries: Sequence[Entry]) -> int:
    """Make sure that no later file of the month is published.

    :param entries: the month's attempts
    :return: the number of the load's file
    :raises OvertakenError: one is, with other bytes
    :raises StagingMissingError: the attempt that fetched the file is gone from the ledger
    """
    own = _number(load.fetched_load_id, entries)
    if own is None:
        raise StagingMissingError(
            f"{tables.where}: the attempt {load.fetched_load_id} is gone from {tables.dataset}.load_events, expected "
            f"what download_month entered there: clear that task with its downstream tasks"
        )
    before = ledger.published(entries)
    if before and before[-1].sha256 != load.download.sha256:
        theirs = _number(before[-1].fetched_load_id or before[-1].load_id, entries)
        if theirs is not None and theirs > own:
            raise overtaken(
                tables, load, f"published the month meanwhile, from another file (SHA-256 {before[-1].sha256})"
            )
    return own


def is_later(load: Load, fetched_load_id: str, entries: Sequence[Entry]) -> bool:
    """Say whether an attempt began later than the one that fetched a load's file; one that nobody knows did not.

    :param fetched_load_id: the attempt
    :param entries: the month's attempts
    """
    own, theirs = _number(load.fetched_load_id, entries), _number(fetched_load_id, entries)
    return own is not None and theirs is not None and theirs > own


def overtaken(tables: CloudTables, load: Load, found: str) -> OvertakenError:
    """Make the error.

    :param found: what the later run has done
    """
    return OvertakenError(
        f"{tables.where}: a run that began later has {found}; expected to load {load.download.sha256}. Nothing was "
        f"changed: run the month again if this file is the right one"
    )


def _number(load_id: str, entries: Sequence[Entry]) -> int | None:
    return next((entry.load_number for entry in entries if entry.load_id == load_id), None)
