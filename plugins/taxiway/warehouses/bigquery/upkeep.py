"""What BigQuery no longer needs: its ledger, copies of files in the bucket and rejected lines.

Staging tables aren't here: they expire by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from taxiway.loads.maintenance import LedgerEntry
from taxiway.sources.months import Month
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.bucket import Bucket
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import STAGING_FOLDER

MOST_IDS = 5000
"""Attempts that one statement names: a query's parameters have a limit."""


@dataclass(frozen=True)
class BigQueryUpkeep:
    """BigQuery, as maintenance asks it.

    :param jobs: BigQuery
    :param open_bucket: opens the bucket
    """

    jobs: Jobs
    open_bucket: Callable[[], Bucket]

    def entries(self) -> Sequence[LedgerEntry]:
        """Return every attempt of the ledger; none without a ledger.

        :raises TransientWarehouseError: BigQuery can't answer now
        :raises WarehouseError: it refuses
        """
        if ledger.find_months(self.jobs) is None:
            return []
        rows = self._run("list_loads", {"destination": ledger.DESTINATION})
        return [LedgerEntry(**{**row, "month": Month.of(row["month"])}) for row in rows]

    def staging(self) -> Collection[str]:
        """Return the runs that have copies of files in the bucket."""
        return {name.split("/")[1] for name in self.open_bucket().names(f"{STAGING_FOLDER}/")}

    def drop(self, name: str) -> str:
        """Delete a run's copies of files; nothing keeps them."""
        bucket = self.open_bucket()
        for each in bucket.names(f"{STAGING_FOLDER}/{name}/"):
            bucket.delete(each)
        return ""

    def count_rejected_rows(self, load_ids: Collection[str]) -> int:
        """Count the rejected lines of attempts."""
        return sum(row["row_count"] for row in self._of_attempts("count_rejects", load_ids))

    def delete_rejected_rows(self, load_ids: Collection[str]) -> None:
        """Delete the rejected lines of attempts."""
        self._of_attempts("delete_rejects", load_ids)

    def delete_attempts(self, load_ids: Collection[str]) -> None:
        """Delete attempts from the ledger."""
        self._of_attempts("delete_loads", load_ids)

    def _of_attempts(self, name: str, load_ids: Collection[str]) -> list[dict[str, Any]]:
        ordered = sorted(load_ids)
        parts = [ordered[start : start + MOST_IDS] for start in range(0, len(ordered), MOST_IDS)]
        return [row for part in parts for row in self._run(name, {"load_ids": part})]

    def _run(self, name: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        return self.jobs.run(statement(name, values, dataset=self.jobs.settings.dataset_name))
