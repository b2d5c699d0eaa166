"""Where people look further: the log of a task, and the months on the board."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.sdk.configuration import conf

from taxiway.orchestration.warehouses import dag_id_of

BOARD = "taxi-dag-months"
"""The board's page of a DAG, as the plugin names its route."""


def board_url(warehouse: str, source: str) -> str:
    """Return the address of the board, at the months of a source in a warehouse.

    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    :param source: its name
    """
    base_url = str(conf.get("api", "base_url", fallback="") or "http://localhost:8080").rstrip("/")
    return f"{base_url}/dags/{quote(dag_id_of(warehouse, source))}/plugin/{BOARD}"


def log_url(ti: Any) -> str:
    """Return the address of a task's log.

    :param ti: Airflow's task instance; None if the run has ended without one
    """
    return str(ti.log_url) if ti is not None else ""
