"""Names of what a load works on: tables, objects and jobs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery.settings import GcpSettings

STAGING_FOLDER = "taxiway_staging"
"""Folder of the bucket for objects that live only as long as a run; the bucket's lifecycle rule empties it."""


@dataclass(frozen=True)
class CloudTables:
    """The tables and objects of one load: one source, one month, one run.

    The names depend on nothing but source, month and run, so every step of the run finds them by
    itself, and two runs never share a staging table.

    :param source: the source
    :param month: the month
    :param run_id: Airflow's run id
    :param settings: project, bucket and dataset
    :param try_number: which try of Airflow's task is at work, for the ledger
    """

    source: Source
    month: Month
    run_id: str
    settings: GcpSettings
    try_number: int = 1

    @property
    def where(self) -> str:
        """Source and month, for messages."""
        return f"{self.source.name} {self.month}"

    @property
    def filename(self) -> str:
        """The file's name, as the column ``filename`` has it."""
        return self.source.filename(self.month)

    @property
    def dataset(self) -> str:
        """The dataset with its project."""
        return self.settings.dataset_name

    @property
    def main_table(self) -> str:
        """The main table with its project and dataset."""
        return f"{self.dataset}.{self.source.main_table}"

    @property
    def month_name(self) -> str:
        """Source and month, as they stand in names of tables and jobs."""
        return f"{self.source.name}_{self.month.year:04d}_{self.month.number:02d}"

    @property
    def run_key(self) -> str:
        """A short key of the run."""
        return hashlib.sha256(self.run_id.encode()).hexdigest()[:12]

    @property
    def staging_table(self) -> str:
        """The file's fields as text."""
        return f"{self.dataset}.taxiway_staging_{self.month_name}_{self.run_key}"

    @property
    def rows_table(self) -> str:
        """The typed rows."""
        return f"{self.staging_table}_rows"

    @property
    def object_name(self) -> str:
        """The file's object in the bucket, below which the lake keeps it as it is."""
        return f"{self.source.name}/{self.filename}"

    @property
    def clean_object_name(self) -> str:
        """The object that stands in for a file with lines that can't be read."""
        return f"{STAGING_FOLDER}/{self.month_name}_{self.run_key}/{self.filename}"

    def uri(self, object_name: str) -> str:
        """Return an object's address, as jobs name it."""
        return f"gs://{self.settings.bucket}/{object_name}"
