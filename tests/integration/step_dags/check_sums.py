"""The project's Airflow DAGs of green months with one step more, which fails a month in which the fares sum to zero."""

from __future__ import annotations

from typing import Any

from taxiway.errors import CheckFailedError
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


green = load_source(SOURCES_FOLDER / "green.yaml")
steps = before_publishing(Step("check_sums", check_sums))
into_postgres = load_dag(green, "postgres", steps=steps)
into_bigquery = load_dag(green, "bigquery", steps=steps)
