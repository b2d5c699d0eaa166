"""Names of what a load works on: tables, objects and jobs."""

from __future__ import annotations

from dataclasses import dataclass, field

from taxiway.loads.load import Load
from taxiway.warehouses.bigquery.settings import GcpSettings

STAGING_FOLDER = "taxiway_staging"
"""Folder of the bucket for objects that live only as long as a run; the bucket's lifecycle rule empties it."""


@dataclass(frozen=True)
class CloudTables(Load):
    """The tables and objects of one load.

    :param settings: project, bucket and dataset
    """

    settings: GcpSettings = field(kw_only=True)

    @property
    def dataset(self) -> str:
        """The dataset with its project."""
        return self.settings.dataset_name

    @property
    def rejects_command(self) -> str:
        """The command that shows the lines that could not be read."""
        return f"{super().rejects_command} --warehouse bigquery"

    @property
    def main_table(self) -> str:
        """The main table with its project and dataset."""
        return f"{self.dataset}.{self.source.main_table}"

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
        """The object that keeps the downloaded file as it is."""
        return f"{self.source.name}/{self.download_name}"

    @property
    def clean_object_name(self) -> str:
        """The object that stands in for a file that BigQuery can't read as it is."""
        return f"{self.clean_folder}{self.clean_name}"

    @property
    def clean_folder(self) -> str:
        """Folder of the bucket with what lives as long as the run."""
        return f"{STAGING_FOLDER}/{self.month_name}_{self.run_key}/"

    @property
    def clean_name(self) -> str:
        """Name of a copy that BigQuery can read: CSV in gzip, whatever the file's own format is."""
        return f"{self.download_name.removesuffix(f'.{self.source.release_of(self.month).format}')}.csv.gz"

    def uri(self, object_name: str) -> str:
        """Return an object's address, as jobs name it."""
        return f"gs://{self.settings.bucket}/{object_name}"
