"""Postgres as a load's steps use it: :class:`taxiway.loads.warehouse.Warehouse` on one connection."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg

from taxiway.download.download import Download
from taxiway.loads.attempts import Attempt
from taxiway.loads.deletions import DeletionGuard
from taxiway.loads.load import Counts
from taxiway.loads.publication import Difference, Measured, Published
from taxiway.loads.warehouse import Resumed
from taxiway.messages import counted
from taxiway.warehouses.postgres import cleanup, ledger
from taxiway.warehouses.postgres.hash import hash_rows
from taxiway.warehouses.postgres.main_table import ensure_tables
from taxiway.warehouses.postgres.main_table_objects import require_no_obstacle
from taxiway.warehouses.postgres.measure import evaluate, measure
from taxiway.warehouses.postgres.parallel_copy import default_sessions
from taxiway.warehouses.postgres.partition import find_partition, sum_up
from taxiway.warehouses.postgres.publish import merge_month, require_published
from taxiway.warehouses.postgres.published import counts_alone_agree, difference_to, find_published
from taxiway.warehouses.postgres.session import lock, transaction
from taxiway.warehouses.postgres.stage import Staged, stage_month
from taxiway.warehouses.postgres.tables import LoadTables

log = logging.getLogger(__name__)


class PostgresWarehouse:
    """Postgres, for one step of one load. Every method is a transaction of its own, unless one is open.

    :param connection: with no transaction open
    :param load: the load, with its tables
    :param copy_sessions: returns how many sessions copy a file at once; asked when one is staged
    """

    restages = True

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        load: LoadTables,
        copy_sessions: Callable[[], int] = default_sessions,
    ) -> None:
        """Assign the parameters."""
        self.copy_sessions = copy_sessions
        self.connection = connection
        self.load: LoadTables = load

    def step(self, name: str, resumed: Resumed | None = None) -> AbstractContextManager[Attempt]:
        """Record a step while it runs; it waits outside of the worker for a person only."""
        return ledger.step(self.connection, self.load, name, resumed.load_id if resumed is not None else "")

    def record(self, attempt: Attempt, state: str = "running", **values: Any) -> None:
        """Record what a step has found, or how the attempt ended."""
        with transaction(self.connection) as cursor:
            ledger.record(cursor, attempt, state, **values)

    def prepare(self) -> None:
        """Create the ledger and the main table if they are absent."""
        with transaction(self.connection) as cursor:
            ensure_tables(cursor, self.load.source)

    def require_no_obstacle(self, *, if_published: bool) -> bool:
        """Make sure that nothing that users have defined on the main table keeps the month out."""
        with transaction(self.connection) as cursor:
            if not if_published and find_published(cursor, self.load) and find_partition(cursor, self.load):
                return False
            require_no_obstacle(cursor, self.load)
            return True

    def find_published(self) -> Published | None:
        """Return what the published rows were loaded from; None if nothing is published."""
        with transaction(self.connection) as cursor:
            return find_published(cursor, self.load)

    @contextmanager
    def month_held(self) -> Iterator[bool]:
        """Keep other runs from publishing the month: all that is done meanwhile is one transaction."""
        with transaction(self.connection) as cursor:
            lock(cursor, "month", self.load.source.name, str(self.load.month), holder=self.load.name)
            yield True

    def difference_to(self, published: Published) -> Difference | None:
        """Look at every row of the month's partition, without reading its values."""
        with transaction(self.connection) as cursor:
            partition = find_partition(cursor, self.load)
            layout = self.load.in_layout(published.layout).layout
            state = sum_up(cursor, partition, layout) if partition else None
            said = difference_to(self.load, published, partition, state)
        # If an earlier version published it, perhaps no row has to change: merge_month looks.
        return Difference(said, must_change=not counts_alone_agree(published, state)) if said else None

    def confirm(self, attempt: Attempt, file: Download) -> Mapping[str, Any]:
        """Nothing to note: the month is held."""
        return {}

    def stage(
        self, attempt: Attempt, file: Download, uploaded: Mapping[str, Any] | None, resumed: Resumed | None
    ) -> Mapping[str, Any]:
        """Stream the file into a staging table."""
        staged = stage_month(self.connection, self.load, attempt, file, self.copy_sessions())
        log.info("%s: %s staged", self.load.where, counted(staged.rows_read, "row"))
        return staged.to_dict()

    def hash(self, attempt: Attempt, file: Download, staged: Mapping[str, Any], resumed: Resumed | None) -> int:
        """Give the staged rows types and ids."""
        return hash_rows(self.connection, self.load, attempt, file, Staged.from_dict(staged, self.load.where))

    def measure(self, attempt: Attempt) -> Measured:
        """Count and measure the month's rows."""
        with transaction(self.connection) as cursor:
            return measure(cursor, self.load, attempt)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an SQL expression over the rows that are ready to be published."""
        with transaction(self.connection) as cursor:
            return evaluate(cursor, self.load, expression)

    def merge(self, attempt: Attempt, resumed: Resumed | None, guard: DeletionGuard) -> Counts:
        """Publish the month in one transaction."""
        return merge_month(self.connection, self.load, attempt, guard)

    def require_published(self, attempt: Attempt) -> None:
        """Look at every row of the month's partition, without reading its values."""
        require_published(self.connection, self.load, attempt)

    def discard(self) -> None:
        """Drop the run's staging tables."""
        cleanup.drop_staging(self.connection, self.load)

    def cancel(self) -> None:
        """Nothing to ask: the server sees within a second that the worker is gone."""

    def give_up(self, step: str, outputs: Mapping[str, Any]) -> str:
        """Nothing to ask: no step leaves a job behind."""
        return "no job of this run was found"
