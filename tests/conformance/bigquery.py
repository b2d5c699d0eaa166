"""BigQuery and Cloud Storage for the conformance tests: a dataset and a bucket on the stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from taxiway.loads.load import Load
from taxiway.sources.source import Source
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upkeep import BigQueryUpkeep
from taxiway.warehouses.bigquery.warehouse import BigQueryWarehouse
from tests.cloud_loading import SETTINGS, Cloud
from tests.conformance.harness import Harness

if TYPE_CHECKING:
    from stand_ins.bigquery import StandIn
    from stand_ins.cloud_storage import CloudStorage


class BigQueryHarness(Harness):
    """A dataset and a bucket.

    :param cloud: where they are
    """

    name = "bigquery"
    load_order = "load_number"

    def __init__(self, cloud: Cloud) -> None:
        """Assign the parameters."""
        super().__init__()
        self.cloud = cloud

    @classmethod
    @contextmanager
    def made(cls, request: pytest.FixtureRequest) -> Iterator[BigQueryHarness]:
        """Make a dataset and a bucket."""
        storage: CloudStorage = request.getfixturevalue("_cloud_storage_server")
        bigquery: StandIn = request.getfixturevalue("_bigquery_server")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STORAGE_EMULATOR_HOST", storage.url)
            patch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
            storage.reset()
            bigquery.reset()
            yield cls(Cloud.connect(replace(SETTINGS, dataset="conformance", bucket="conformance-bucket")).set_up())
            storage.reset()
            bigquery.reset()

    @contextmanager
    def open(self, load: Load) -> Iterator[BigQueryWarehouse]:
        """Open the warehouse for one step."""
        yield Cloud.connect(self.cloud.settings).opened(self._tables(load))

    @contextmanager
    def upkeep(self) -> Iterator[BigQueryUpkeep]:
        """Open the warehouse for maintenance."""
        yield BigQueryUpkeep(self.cloud.jobs(), self.cloud.bucket)

    def ask(self, statement: str) -> list[Any]:
        """Return the rows of a statement."""
        return self.cloud.query(statement.replace("$taxi.", f"{self.cloud.settings.dataset}."))

    def do(self, statement: str) -> None:
        """Run a statement."""
        self.ask(statement)

    def main_table(self, source: Source) -> str:
        """The main table."""
        return f"`{self.cloud.settings.dataset_name}.{source.main_table}`"

    def ready_table(self, load: Load) -> str:
        """The rows that are ready to be published."""
        return f"`{self._tables(load).rows_table}`"

    def of_month(self, load: Load) -> str:
        """A condition on the main table's rows of a month."""
        return f"source_month = DATE '{load.month.first_day}'"

    def columns_of(self, table: str) -> list[str]:
        """The columns of a table."""
        return [field.name for field in self.cloud.bigquery.get_table(table.strip("`")).schema]

    def has_table(self, table: str) -> bool:
        """Say whether there is a table."""
        return self.cloud.jobs().find_table(table.strip("`")) is not None

    def left_behind(self, load: Load) -> list[str]:
        """Tables of the dataset, and copies of files in the bucket."""
        tables = [name for name in self.cloud.staging_tables() if load.month_name in name]
        objects = self.cloud.storage.list_blobs(self.cloud.settings.bucket, prefix="taxiway_staging/")
        return [*tables, *(found.name for found in objects if load.month_name in found.name)]

    def make_old(self, load: Load) -> None:
        """Let the attempts of a run have begun 25 hours earlier."""
        self.do(
            f"UPDATE {self.cloud.settings.dataset}.load_events "
            "SET started_at = TIMESTAMP_ADD(started_at, INTERVAL -25 HOUR) "
            f"WHERE {self._of_ledger(load)} AND run_id = '{load.run_id}'"
        )

    def create_table(self, table: str) -> None:
        """Create a table of somebody else's."""
        self.do(f"CREATE TABLE {table} (unique_row_id INT64, mine INT64)")

    def end_session(self, warehouse: Any) -> None:
        """Nothing to end: each request is one of its own."""

    def _tables(self, load: Load) -> CloudTables:
        return CloudTables.of(load, settings=self.cloud.settings)
