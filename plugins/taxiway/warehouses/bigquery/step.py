"""What a step of a load works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upload import Lake
from taxiway.warehouses.bigquery.warehouse import Warehouse


@dataclass
class Step:
    """What a step of a load works with.

    :param warehouse: BigQuery
    :param open_lake: connects to the bucket, which few steps need
    :param tables: the load's tables and objects
    :param known_load: the attempt, as soon as there is one
    """

    warehouse: Warehouse
    open_lake: Callable[[], Lake]
    tables: CloudTables
    known_load: Load | None = None

    @cached_property
    def lake(self) -> Lake:
        """The bucket."""
        return self.open_lake()

    @property
    def load(self) -> Load:
        """The attempt.

        :raises ValueError: the ledger has none yet
        """
        if self.known_load is None:
            raise ValueError(f"{self.tables.where}: the ledger has no attempt yet")
        return self.known_load
