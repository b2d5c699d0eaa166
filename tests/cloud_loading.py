"""Loads months into BigQuery by the project's own steps, without Airflow, on Google's real clients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taxiway.loads.load import Counts
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery.check import check_month
from taxiway.warehouses.bigquery.cleanup import drop_staging
from taxiway.warehouses.bigquery.fetch import Fetched, fetch_month
from taxiway.warehouses.bigquery.hash import finish_hashing, start_hashing
from taxiway.warehouses.bigquery.ledger import Entry, find_loads
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.main_table import ensure_main_table
from taxiway.warehouses.bigquery.places import Places
from taxiway.warehouses.bigquery.publish import finish_publishing, start_publishing
from taxiway.warehouses.bigquery.send import send_month
from taxiway.warehouses.bigquery.settings import GcpSettings
from taxiway.warehouses.bigquery.stage import finish_staging, start_staging
from taxiway.warehouses.bigquery.statements import Statement
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upload import Lake
from taxiway.warehouses.bigquery.warehouse import Warehouse
from tests.loading import source_file

SETTINGS = GcpSettings("taxi-project", "europe-west1", "taxi-project-lake", "taxi", 10**9)


@dataclass
class Cloud:
    """A project on the stand-ins, or a real one, with its bucket and dataset.

    :param bigquery: Google's client of BigQuery
    :param storage: Google's client of Cloud Storage
    :param settings: project, bucket and dataset
    """

    bigquery: Any
    storage: Any
    settings: GcpSettings = SETTINGS

    @classmethod
    def connect(cls, settings: GcpSettings = SETTINGS) -> Cloud:
        """Connect to the stand-ins that the environment names."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery, storage

        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        return cls(
            bigquery.Client(project=settings.project, credentials=credentials, location=settings.location),
            storage.Client(project=settings.project, credentials=credentials),
            settings,
        )

    def set_up(self) -> Cloud:
        """Create the bucket and the dataset."""
        places = Places(self.settings, "test")
        places.ensure_bucket(self.storage)
        places.ensure_dataset(self.bigquery)
        return self

    def warehouse(self, where: str = "test") -> Warehouse:
        return Warehouse(self.bigquery, self.settings, where, {"taxiway_step": "test"})

    def lake(self) -> Lake:
        return Lake(self.storage, self.settings, "test")

    def tables(self, source: Source, month: str, run_id: str = "manual__1") -> CloudTables:
        return CloudTables(source, Month.parse(month), run_id, settings=self.settings)

    def fetch(self, tables: CloudTables, path: Path, *, force: bool = False) -> Fetched:
        file = source_file(path)
        return fetch_month(self.warehouse(), self.lake, tables, lambda: file, lambda load: None, force=force)

    def upload(self, tables: CloudTables, load: Load) -> Load:
        return send_month(self.warehouse(), self.lake(), tables, load, lambda load: None)[0]

    def stage(self, tables: CloudTables, load: Load) -> Load:
        warehouse = self.warehouse()
        ensure_main_table(warehouse, tables)
        job = warehouse.wait(start_staging(warehouse, tables, load))
        finish_staging(warehouse, self.lake(), tables, load, job)
        return replace(load, staged_by=job.job_id)

    def hash(self, tables: CloudTables, load: Load) -> Load:
        warehouse = self.warehouse()
        job = warehouse.wait(start_hashing(warehouse, tables, load))
        return replace(finish_hashing(warehouse, tables, load, job), hashed_by=job.job_id)

    def ready(self, tables: CloudTables, path: Path, *, force: bool = True) -> Load:
        """Bring a month to where it can be published."""
        load = self.upload(tables, self.fetch(tables, path, force=force).load)
        return check_month(self.warehouse(), tables, self.hash(tables, self.stage(tables, load)))

    def publish(self, tables: CloudTables, load: Load) -> Counts:
        warehouse = self.warehouse()
        while not (found := start_publishing(warehouse, tables, load)).own:
            warehouse.wait(found.job)
        job = warehouse.wait(found.job)
        return finish_publishing(warehouse, tables, load, job)

    def load(self, source: Source, month: str, path: Path, run_id: str = "manual__1") -> Counts:
        """Run all steps of a load, and drop the staging tables whatever happened."""
        tables = self.tables(source, month, run_id)
        try:
            return self.publish(tables, self.ready(tables, path))
        finally:
            drop_staging(self.warehouse(), self.lake(), tables)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask BigQuery; ``$taxi`` stands for the dataset."""
        statement = Statement("test", sql.replace("$taxi", self.settings.dataset_name))
        return [tuple(row.values()) for row in self.warehouse().run(statement)]

    def bytes_read_by(self, statement: Statement) -> int:
        """Say how many bytes a statement would read, by a dry run, which costs nothing."""
        from google.cloud.bigquery import QueryJobConfig

        resource = {**statement.configuration(self.settings.maximum_bytes_billed, {}), "dryRun": True}
        config = QueryJobConfig.from_api_repr(resource)
        return int(self.bigquery.query(statement.sql, job_config=config, job_retry=None).total_bytes_processed)

    def ids(self, source: Source, month: str) -> list[str]:
        """Return the ids of a published month."""
        day = Month.parse(month).first_day
        return [
            row[0]
            for row in self.query(
                f"SELECT unique_row_id FROM `$taxi.{source.main_table}` WHERE source_month = DATE '{day}'"
            )
        ]

    def loads(self, source: Source, month: str) -> list[Entry]:
        """Return the ledger's attempts of a month."""
        return find_loads(self.warehouse(), self.tables(source, month))

    def staging_tables(self) -> list[str]:
        """Return the names of tables that runs have left."""
        tables = self.bigquery.list_tables(self.settings.dataset_name)
        return [table.table_id for table in tables if table.table_id.startswith("taxiway_staging_")]
