"""Which load: one month of one source, loaded by one run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from taxiway.loads import row_identity
from taxiway.sources.months import Month
from taxiway.sources.source import Source


@dataclass(frozen=True)
class Load:
    """One month of one source, loaded by one run into one warehouse.

    A warehouse derives the names of its tables from this alone: every step of a run finds them
    by itself, and two runs never share a staging table.

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
    def where(self) -> str:
        """Source and month, for messages: ``green 2019-01``."""
        return f"{self.source.name} {self.month}"

    @property
    def name(self) -> str:
        """What other sessions call the load, for example the one that waits for its lock."""
        return f"taxiway {self.where} {self.run_id}"

    @property
    def filename(self) -> str:
        """The file's name, as the column ``filename`` has it."""
        return self.source.filename(self.month)

    @property
    def rules(self) -> dict[str, Any]:
        """What its rows and their ids are made by, as columns of the ledger."""
        return {
            "layout": row_identity.layout_key(self.source.columns),
            "row_id_version": row_identity.VERSION,
            "yaml_sha256": self.source.yaml_sha256,
        }

    @property
    def month_name(self) -> str:
        """Source and month, as names of tables and jobs have them: ``green_2019_01``."""
        return f"{self.source.name}_{self.month.year:04d}_{self.month.number:02d}"

    @property
    def run_key(self) -> str:
        """A short key of the run, of letters and digits."""
        return hashlib.sha256(self.run_id.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Counts:
    """What publishing a month changed.

    :param inserted: rows that the month did not hold before; in BigQuery, a row whose values somebody had changed
        counts as one deleted and one inserted
    :param deleted: rows that the month held before and the file no longer has
    :param unchanged: rows that stayed
    """

    inserted: int
    deleted: int
    unchanged: int
