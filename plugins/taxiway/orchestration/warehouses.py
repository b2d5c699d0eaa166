"""The warehouses that months can be loaded into. A new one needs its folder and an entry here.

What a warehouse needs is imported when a step opens it: each task imports its DAG's file, and needs one warehouse.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from taxiway.loads.load import Load
from taxiway.loads.warehouse import Pending, Warehouse
from taxiway.warehouses.postgres.tables import WITHOUT


@dataclass(frozen=True)
class Kind:
    """A kind of warehouse.

    :param conn_id: Airflow's connection, unless an operator is given another one
    :param color: of its tasks in the web UI
    :param open: opens it for one step: given the load, the connection's id, the step's name and whether the step
        waits for its job itself
    :param trigger: makes the trigger that waits for a job, from the job, the connection's id and the seconds between
        two looks; None if no step has jobs to wait for
    :param prepare: imports what every step needs to open it
    :param without: names of the steps that it doesn't have
    """

    conn_id: str
    color: str
    open: Callable[[Load, str, str, bool], AbstractContextManager[Warehouse]]
    prepare: Callable[[], None]
    trigger: Callable[[Pending, str, float], Any] | None = None
    without: tuple[str, ...] = ()


def _open_postgres(load: Load, conn_id: str, step: str, waits: bool) -> AbstractContextManager[Warehouse]:
    from taxiway.orchestration.open_postgres import open_postgres

    return open_postgres(load, conn_id, step)


def _open_bigquery(load: Load, conn_id: str, step: str, waits: bool) -> AbstractContextManager[Warehouse]:
    from taxiway.orchestration.open_bigquery import open_bigquery

    return open_bigquery(load, conn_id, step, waits=waits)


def _prepare_postgres() -> None:
    import taxiway.orchestration.open_postgres  # noqa: F401 - tasks need it


def _prepare_bigquery() -> None:
    # Google's libraries take longer than a step of a small month.
    import airflow.providers.google.cloud.hooks.bigquery
    import airflow.providers.google.cloud.hooks.gcs  # noqa: F401 - tasks need them

    import taxiway.orchestration.open_bigquery  # noqa: F401


def _bigquery_trigger(pending: Pending, conn_id: str, poll_interval: float) -> Any:
    from taxiway.orchestration.open_bigquery import trigger

    return trigger(pending, conn_id, poll_interval)


WAREHOUSES = {
    "postgres": Kind("taxi_postgres", "#f6d55c", _open_postgres, _prepare_postgres, without=WITHOUT),
    "bigquery": Kind("taxi_gcp", "#8ab4f8", _open_bigquery, _prepare_bigquery, _bigquery_trigger),
}
"""All of them, by the names that DAGs and the ledger have."""


def prepare_tasks(dag_id: str) -> None:
    """Import what the tasks of a DAG of ours need, in the process that they are forked from.

    :param dag_id: the DAG; nothing is imported for a DAG of another name
    """
    if dag_id.startswith("taxi_"):
        WAREHOUSES["bigquery" if dag_id.endswith("_gcp") else "postgres"].prepare()
