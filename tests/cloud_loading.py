"""Loads months into BigQuery by the project's own steps, without Airflow, on Google's real clients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.loads import month as steps
from taxiway.loads.deletions import DeletionGuard
from taxiway.loads.load import Counts
from taxiway.loads.month import Outputs
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery import publish as publish_month
from taxiway.warehouses.bigquery.bucket import Bucket
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.ledger import Entry, Ledger, find_loads
from taxiway.warehouses.bigquery.provisioning import Provisioner
from taxiway.warehouses.bigquery.publish import Publication
from taxiway.warehouses.bigquery.settings import GcpSettings
from taxiway.warehouses.bigquery.statements import Statement
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.warehouse import BigQueryWarehouse
from tests.loading import downloaded, publish, source_file

SETTINGS = GcpSettings("taxi-project", "europe-west1", "taxi-project-bucket", "taxi", 10**9)


def start_publishing(jobs: Jobs, tables: CloudTables, attempt: Entry) -> Publication:
    """Start the job that publishes the month."""
    return publish_month.start_publishing(jobs, tables, attempt, DeletionGuard(tables, attempt))


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
        provisioner = Provisioner(self.settings, "test")
        provisioner.ensure_bucket(self.storage)
        provisioner.ensure_dataset(self.bigquery)
        return self

    def jobs(self) -> Jobs:
        return Jobs(self.bigquery, self.settings, "test", {"taxiway_step": "test"})

    def bucket(self) -> Bucket:
        return Bucket(self.storage, self.settings, "test")

    def tables(self, source: Source, month: str, run_id: str = "manual__1", **more: Any) -> CloudTables:
        return CloudTables(source, Month.parse(month), run_id, settings=self.settings, **more)

    def opened(self, tables: CloudTables, *, waits: bool = True) -> BigQueryWarehouse:
        """Open BigQuery for a step of a load."""
        return BigQueryWarehouse(self.jobs(), self.bucket, tables, waits=waits)

    def attempt(self, tables: CloudTables) -> Entry:
        """Return the last attempt of a load's run."""
        found = Ledger(self.jobs(), tables).last_attempt()
        assert found is not None
        return found

    def begin(self, tables: CloudTables, path: Path, *, force: bool = False) -> steps.Downloaded:
        """Begin a load of a file."""
        file = source_file(path)
        return steps.download_month(self.opened(tables), lambda: file, force=force)

    def upload(self, tables: CloudTables, begun: steps.Downloaded) -> dict[str, Any]:
        """Upload the file of a load that has begun; return what the steps after it need."""
        outputs = downloaded(begun.file)
        return {**outputs, "upload_month": steps.upload_month(self.opened(tables), outputs)}

    def stage(self, tables: CloudTables, outputs: Outputs) -> dict[str, Any]:
        steps.create_main_table(self.opened(tables), outputs)
        return {**outputs, "stage_month": steps.stage_month(self.opened(tables), outputs)}

    def hash(self, tables: CloudTables, outputs: Outputs) -> None:
        steps.hash_rows(self.opened(tables), outputs)

    def ready(self, tables: CloudTables, path: Path, *, force: bool = True) -> dict[str, Any]:
        """Bring a month to where it can be published."""
        return self.check(tables, self.upload(tables, self.begin(tables, path, force=force)))

    def check(self, tables: CloudTables, outputs: Outputs) -> dict[str, Any]:
        """Run the steps from staging to checking."""
        staged = self.stage(tables, outputs)
        self.hash(tables, staged)
        steps.check_month(self.opened(tables))
        return staged

    def publish(self, tables: CloudTables) -> Counts:
        return publish(self.opened(tables))

    def load(self, source: Source, month: str, path: Path, run_id: str = "manual__1") -> Counts:
        """Run all steps of a load, and drop the staging tables whatever happened."""
        tables = self.tables(source, month, run_id)
        try:
            self.ready(tables, path)
            return self.publish(tables)
        finally:
            self.discard(tables)

    def discard(self, tables: CloudTables) -> None:
        steps.drop_staging(self.opened(tables))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask BigQuery; ``$taxi`` stands for the dataset."""
        statement = Statement("test", sql.replace("$taxi", self.settings.dataset_name))
        return [tuple(row.values()) for row in self.jobs().run(statement)]

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
        return find_loads(self.jobs(), self.tables(source, month))

    def staging_tables(self) -> list[str]:
        """Return the names of tables that runs have left."""
        tables = self.bigquery.list_tables(self.settings.dataset_name)
        return [table.table_id for table in tables if table.table_id.startswith("taxiway_staging_")]
