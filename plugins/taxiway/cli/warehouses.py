"""Opens a warehouse to read its published months."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from taxiway.errors import SettingError
from taxiway.loads.published_months import PublishedMonths
from taxiway.orchestration.warehouses import WAREHOUSES


@contextmanager
def published_months(warehouse: str, purpose: str) -> Iterator[PublishedMonths]:
    """Open a warehouse over Airflow's connection.

    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    :param purpose: what the months are read for, for messages
    :raises SettingError: nobody has set the warehouse up; or its connection or a Variable is missing, can't be read, or
        isn't what it should be
    :raises WarehouseError: the warehouse refuses
    :raises TransientWarehouseError: it can't answer now
    """
    kind = WAREHOUSES[warehouse]
    with kind.months(kind.conn_id, purpose) as opened:
        if opened is None:
            raise SettingError(f"{purpose}: {kind.title} isn't set up: docs/bigquery.md says how")
        yield opened
