"""Names of the tables that a load works on."""

from __future__ import annotations

from dataclasses import dataclass

from taxiway.loads.load import Load
from taxiway.loads.step_names import CREATE, STEP_NAMES, UPLOAD

DESTINATION = "postgres"
"""What the ledger calls this warehouse."""

STAGING_SCHEMA = "taxiway_staging"
"""Schema of the tables that live only as long as a run."""

WITHOUT = (UPLOAD, CREATE)
"""Steps that Postgres does without: the first one creates the main table, and the file is read from the disk."""

STEPS = tuple(name for name in STEP_NAMES if name not in WITHOUT)
"""The steps of a load into Postgres."""


@dataclass(frozen=True)
class LoadTables(Load):
    """The tables of one load."""

    steps: tuple[str, ...] = STEPS

    @property
    def month_prefix(self) -> str:
        """What the names of all runs' tables of this month begin with, without a schema."""
        return f"{self.month_name}_"

    @property
    def _run_name(self) -> str:
        return self.month_prefix + self.run_key

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
        return f"{self.source.main_table}_{self.month.in_names}"

    @property
    def partition_index(self) -> str:
        """The unique index of the partition."""
        return f"{self.partition_name}_unique_row_id"
