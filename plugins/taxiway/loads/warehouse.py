"""What the steps of a load ask of a warehouse. A warehouse measures and stores; this package decides what that means.

A warehouse is a class with the methods of :class:`Warehouse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from taxiway.download.download import Download
from taxiway.loads.attempts import Attempt
from taxiway.loads.deletions import DeletionGuard
from taxiway.loads.load import Counts, Load
from taxiway.loads.publication import Difference, Measured, Published


@dataclass(frozen=True)
class Pending:
    """A job that runs in the warehouse, and that a step waits for.

    :param job_id: its key
    :param load_id: the attempt that waits
    :param is_own: whether the step has started it; else it belongs to another run, and the step begins again when it
        has ended
    """

    job_id: str
    load_id: str
    is_own: bool = True


@dataclass(frozen=True)
class Resumed:
    """What a step that has waited goes on with.

    :param job_id: the step's own job, which is done; empty if it waited for another run's
    :param load_id: the attempt that has waited; if empty, the run's last attempt
    """

    job_id: str = ""
    load_id: str = ""


class Warehouse(Protocol):
    """A warehouse, opened for one step of one load.

    If the warehouse was told not to wait, a step that starts a job returns it as :class:`Pending`. When the job is
    done, the step is called again with it as :class:`Resumed`.
    """

    @property
    def load(self) -> Load:
        """The load."""

    @property
    def restages(self) -> bool:
        """Whether :meth:`stage` never waits for a job, so that the next step can call it if the rows are gone."""

    def step(self, name: str, resumed: Resumed | None = None) -> AbstractContextManager[Attempt]:
        """Record a step while it runs: its attempt, and the error if it fails.

        :param name: of the step
        :param resumed: what the step goes on with after waiting
        """

    def record(self, attempt: Attempt, state: str = "running", **values: Any) -> None:
        """Record what a step has counted, or how the attempt ended. An attempt that is published stays published.

        :param values: ``file`` (a :class:`~taxiway.download.download.Download`), ``rows_read``, ``rows_rejected``,
            ``rows_staged``, ``rows_inserted``, ``rows_deleted``, ``rows_unchanged``, ``warnings``, ``error`` and what
            :meth:`confirm` has returned
        """

    def prepare(self) -> None:
        """Create the main table if it is absent. The ledger is created by :meth:`step`.

        :raises MainTableError: another table has the main table's name
        """

    def require_no_obstacle(self, *, if_published: bool) -> bool:
        """Make sure that no object on the main table keeps the month from being published.

        :param if_published: also look if the month is published, though perhaps no row has to change
        :return: whether it has looked
        :raises MainTableError: names it, and what to do
        """

    def find_published(self) -> Published | None:
        """Return what the published rows were loaded from; None if nothing is published."""

    def month_held(self) -> AbstractContextManager[bool]:
        """Keep other runs from publishing the month, if the warehouse can; say whether it does."""

    def difference_to(self, published: Published) -> Difference | None:
        """Say how the main table differs from what the ledger says of the month; None if it doesn't."""

    def confirm(self, attempt: Attempt, file: Download) -> Mapping[str, Any] | None:
        """Note that the published rows come from a file that was downloaded again.

        :return: what the ledger records of this; None if another run may be about to publish other rows
        """

    def stage(
        self, attempt: Attempt, file: Download, uploaded: Mapping[str, Any] | None, resumed: Resumed | None
    ) -> Mapping[str, Any] | Pending:
        """Bring the file's rows into a table of this run, and record how many it has.

        :param uploaded: what :meth:`BucketWarehouse.upload` returned, if the load has that step
        :return: plain values that :meth:`hash` goes on with
        """

    def hash(
        self, attempt: Attempt, file: Download, staged: Mapping[str, Any], resumed: Resumed | None
    ) -> int | Pending:
        """Give the staged rows types and ids, reject those that can't be read, and record how many are left.

        :return: rows that have an id
        """

    def measure(self, attempt: Attempt) -> Measured:
        """Count the rows that are ready to be published, and take the measures of the source's checks."""

    def evaluate(self, expression: str) -> Any:
        """Return the value of an SQL expression over the rows that are ready to be published.

        A step before publishing asks for what it decides on, for example ``sum(fare_amount)``.

        :param expression: an aggregate that every warehouse understands; comes from code, never from users
        :raises MissingInputError: no rows are ready
        """

    def merge(self, attempt: Attempt, resumed: Resumed | None, guard: DeletionGuard) -> Counts | Pending:
        """Publish the month, whole or not at all, and record it.

        Finds out whether a later file is published, and keeps other runs from publishing meanwhile;
        :func:`taxiway.loads.publication.require_latest` decides. Before a row is deleted, the guard is asked, and given
        what counts the published rows that the file lacks.
        """

    def require_published(self, attempt: Attempt) -> None:
        """Make sure that the main table still holds the rows that an attempt has published.

        :raises BalanceError: it doesn't hold them
        """

    def discard(self) -> None:
        """Drop the run's staging tables; having nothing to drop is fine."""

    def cancel(self) -> None:
        """Ask the job that the step waits for to end, because the task is being ended."""

    def give_up(self, step: str, outputs: Mapping[str, Any]) -> str:
        """Ask the step's job to end, because no task waits for it any more; say what was found."""


class BucketWarehouse(Warehouse, Protocol):
    """A warehouse that reads files from a bucket, to which a step uploads them first."""

    def upload(self, attempt: Attempt, file: Download) -> Mapping[str, Any]:
        """Upload the file to the bucket.

        :return: plain values that :meth:`~Warehouse.stage` goes on with
        """
