"""Decides whether publishing a file may delete published rows of its month. A warehouse counts them, and asks here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from taxiway.errors import DestructiveCorrectionError
from taxiway.loads.attempts import Attempt
from taxiway.loads.known_samples import is_known_sample
from taxiway.loads.load import Load
from taxiway.loads.publication import Published
from taxiway.messages import WITH_CONF, counted

ACCEPT_DELETIONS = "accept_deletions"
"""The key of a run's conf that lets it delete any number of rows."""

ACCEPTING_CONF = f'{{"{ACCEPT_DELETIONS}": true}}'
"""The conf of a run that may."""

WAITS = "waits for a person to approve: "
"""What the ledger says before the error of a load that waits."""


@dataclass(frozen=True)
class Deletions:
    """What publishing a file would delete.

    :param deleted: published rows that the file lacks
    :param published: rows of the month in the main table
    """

    deleted: int
    published: int


@dataclass(frozen=True)
class ToApprove:
    """A load that waits until a person has approved what it would delete.

    :param load_id: the attempt that waits
    :param deletions: what publishing would delete
    :param said: that, in words, without what else would let the load go on: it waits for the answer
    :param sha256: of the file
    """

    load_id: str
    deletions: Deletions
    said: str
    sha256: str | None = None


@dataclass(frozen=True)
class Answer:
    """What became of a question whether a load may delete rows.

    :param deletions: what it was asked about
    :param approved: whether it may
    :param by: who has said so; None if nobody has in time
    :param sha256: of the file that it was asked about
    """

    deletions: Deletions
    approved: bool
    by: str | None = None
    sha256: str | None = None

    def allows(self, sha256: str | None) -> int:
        """Return how many rows may be deleted for a file: those that were approved for the same bytes."""
        return self.deletions.deleted if self.approved and sha256 == self.sha256 else 0


@dataclass(frozen=True)
class DeletionGuard:
    """Decides whether a load may delete published rows of its month.

    :param load: the load
    :param attempt: that publishes its rows
    :param accepts_all: whether a person has said that it may
    :param approved: how many rows a person has approved
    """

    load: Load
    attempt: Attempt
    accepts_all: bool = False
    approved: int = 0

    def require_few(self, published: Published | None, count: Callable[[], Deletions]) -> None:
        """Make sure that no more published rows are deleted than the source allows.

        The file that is published already may delete any: what it lacks, somebody else has written. Files of two
        layouts give the same rows different ids; then the numbers of their rows are compared. A sample may be replaced
        by any file.

        :param published: what the ledger knows of the published month
        :param count: counts the published rows whose ids the file's rows don't have; only called if that matters
        :raises DestructiveCorrectionError: says how many of how many, the limit, and how to accept
        """
        load, layout = self.load, self.attempt.layout
        if self.accepts_all or (published is not None and published.is_from(self.attempt.sha256 or "")):
            return
        if published is not None and published.layout is not None and layout not in (None, published.layout):
            staged = self.attempt.rows_staged or 0
            found = Deletions(max(0, published.rows_staged - staged), published.rows_staged)
        else:
            found = count()
        # Divided, not multiplied: 0.29 * 100 is less than 29.
        if found.deleted <= self.approved or found.deleted / found.published <= load.source.max_deleted_share:
            return
        if published is not None and is_known_sample(load.source, load.month, published.sha256, published.rows_read):
            return
        limit = (
            f"expected at most {load.source.max_deleted_share:.2%} (max_deleted_share in "
            f"include/sources/{load.source.name}.yaml)"
        )
        raise _held_back(load, found, limit)


def is_held_back(state: str, error: str | None) -> bool:
    """Say whether an attempt has failed because it would delete too many published rows.

    :param state: of the attempt, as the ledger has it
    :param error: likewise
    """
    return state == "failed" and ACCEPTING_CONF in (error or "")


def require_approval(load: Load, answer: Answer) -> None:
    """Make sure that a person has approved what a load would delete.

    :param answer: to the question
    :raises DestructiveCorrectionError: nobody has; says who has rejected it, and how to accept
    """
    if not answer.approved:
        found = f"{answer.by} has rejected that" if answer.by else "nobody has approved that in time"
        raise _held_back(load, answer.deletions, found)


def _held_back(load: Load, found: Deletions, why: str) -> DestructiveCorrectionError:
    rows = counted(found.published, "published row")
    return DestructiveCorrectionError(
        f"{load.where}: {load.filename} would delete {found.deleted} of the {rows}, {why}",
        f"Nothing was published, and the published rows stay. If the file is right, load the month again "
        f"{WITH_CONF}{ACCEPTING_CONF}",
        deleted=found.deleted,
        published=found.published,
    )
