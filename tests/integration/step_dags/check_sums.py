"""The project's Airflow DAGs of green months with one step more, which fails a month in which the fares sum to zero.

Of another month it has to ask twice, as of a server that doesn't answer at once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from taxiway.errors import CheckFailedError, TransientWarehouseError
from taxiway.loads.steps import Step, before_publishing
from taxiway.loads.warehouse import Warehouse
from taxiway.orchestration.dags import load_dag
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source


def check_sums(warehouse: Warehouse, outputs: Any = None, resumed: Any = None) -> None:
    """Fail a month in which all fares together are zero."""
    with warehouse.step("check_sums"):
        if warehouse.evaluate("sum(fare_amount)") == 0:
            raise CheckFailedError(f"{warehouse.load.where}: fare_amount sums to zero. Nothing was published")
        if not warehouse.load.is_retry:
            raise TransientWarehouseError(f"{warehouse.load.where}: no answer. The task is tried again")


green = load_source(SOURCES_FOLDER / "green.yaml")
steps = before_publishing(Step("check_sums", check_sums))
into_postgres = load_dag(green, "postgres", steps=steps)
into_bigquery = load_dag(green, "bigquery", steps=steps)
for dag in (into_postgres, into_bigquery):
    dag.task_dict["check_sums"].retry_delay = timedelta(seconds=1)
