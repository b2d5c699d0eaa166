"""Names of the tables that a load works on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from taxiway.sources.months import Month
from taxiway.sources.source import Source

STAGING_SCHEMA = "taxiway_staging"
"""Schema of the tables that live only as long as a run."""


@dataclass(frozen=True)
class LoadTables:
    """The tables of one load: one source, one month, one run.

    The names depend on nothing else, so every step of the run finds them by
    itself, and two runs never share one.

    :param source: the source
    :param month: the month
    :param run_id: Airflow's run id
    :param try_number: Airflow's try of the task at work, from 1; for the ledger only
    """

    source: Source
    month: Month
    run_id: str
    try_number: int = 1

    @property
    def load_name(self) -> str:
        """What messages call the load."""
        return f"taxiway {self.source.name} {self.month} {self.run_id}"

    @property
    def _suffix(self) -> str:
        return f"{self.month.year:04d}_{self.month.number:02d}"

    @property
    def month_prefix(self) -> str:
        """What the names of all runs' tables of this month begin with, without a schema."""
        return f"{self.source.name}_{self._suffix}_"

    @property
    def _run_name(self) -> str:
        return self.month_prefix + hashlib.sha256(self.run_id.encode()).hexdigest()[:12]

    @property
    def staging_table(self) -> str:
        """The file's rows as they were staged, with its schema."""
        return f"{STAGING_SCHEMA}.{self._run_name}"

    @property
    def rows_name(self) -> str:
        """The typed rows, without a schema."""
        return f"{self._run_name}_rows"

    @property
    def rows_table(self) -> str:
        """The typed rows, with their schema."""
        return f"{STAGING_SCHEMA}.{self.rows_name}"

    @property
    def differences_table(self) -> str:
        """Where a published month and the typed rows differ, with its schema."""
        return f"{STAGING_SCHEMA}.{self._run_name}_diff"

    @property
    def index_name(self) -> str:
        """The unique index of the typed rows."""
        return f"{self._run_name}_id"

    @property
    def partition_name(self) -> str:
        """The month's partition of the main table, in the schema public."""
        return f"{self.source.main_table}_{self._suffix}"

    @property
    def partition_index(self) -> str:
        """The unique index of the partition."""
        return f"{self.partition_name}_unique_row_id"
