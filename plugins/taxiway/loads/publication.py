"""Decides whether a month may be published. A warehouse measures; what its measures mean is decided here."""

from __future__ import annotations

from dataclasses import dataclass

from taxiway.errors import BalanceError, CheckFailedError, SupersededError
from taxiway.loads.load import Load
from taxiway.sources.checks import Verdict


@dataclass(frozen=True)
class Counted:
    """What a warehouse has counted before it publishes a month.

    :param read: rows of the file
    :param rejected: rows that could not be read
    :param ready: typed rows that are ready to be published
    :param of_file: how many of these have the file's name
    :param distinct_ids: how many different ids they have; None if the warehouse's unique index answers that
    """

    read: int
    rejected: int
    ready: int
    of_file: int
    distinct_ids: int | None = None


def require_balance(load: Load, counted: Counted) -> None:
    """Make sure that every row of the file is either ready or rejected, and has its file's name and an id of its own.

    :raises BalanceError: says which numbers disagree
    """
    ready = counted.ready
    distinct = ready if counted.distinct_ids is None else counted.distinct_ids
    if counted.read == ready + counted.rejected and ready == counted.of_file == distinct:
        return
    ids = "" if counted.distinct_ids is None else f", with {distinct} different ids"
    raise BalanceError(
        f"{load.where}: the month doesn't balance: {counted.read} rows read, {ready} ready to be published "
        f"({counted.of_file} of them of {load.filename}{ids}), {counted.rejected} rejected; expected read = ready + "
        f"rejected, and a name and an id for each. Nothing was published: clear the task stage_month with its "
        f"downstream tasks to stage the file again"
    )


def require_checks(load: Load, verdict: Verdict) -> None:
    """Make sure that no check fails the month.

    :raises CheckFailedError: names each check that does
    """
    if verdict.failures:
        raise CheckFailedError(
            f"{load.where}: {load.filename}: {'; '.join(verdict.failures)}. Nothing was published: if the file is "
            f"right, change the check in include/sources/{load.source.name}.yaml and clear the task stage_month with "
            f"its downstream tasks"
        )


def require_latest(load: Load, sha256: str, found: str | None, *, later: bool) -> None:
    """Make sure that the published month isn't that of a later file: of two files, the one fetched later stays.

    A file is as late as the attempt that fetched it, to publish it or to find it published already. Another try of a
    step goes on with the file that was fetched before, which makes it no later.

    :param sha256: of the load's file
    :param found: SHA-256 of the published file; None if none is published
    :param later: whether an attempt that began after the load's own fetched the published file
    :raises SupersededError: it is another file, and later
    """
    if found is not None and found != sha256 and later:
        raise superseded(load, sha256, f"(SHA-256 {found})")


def superseded(load: Load, sha256: str, found: str) -> SupersededError:
    """Return the error of a load whose month a later file holds.

    :param sha256: of the load's file
    :param found: the other file, in words
    """
    return SupersededError(
        f"{load.where}: a run that began later has published the month meanwhile, or found it published, from another "
        f"file {found}; expected to publish {sha256}. Nothing was changed: run the month again if this file is the "
        f"right one"
    )
