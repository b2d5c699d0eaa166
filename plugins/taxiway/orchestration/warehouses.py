"""The warehouses that months can be loaded into. A new one needs its folder and an entry here.

What a warehouse needs is imported when a step opens it: each task imports its DAG's file, and needs one warehouse.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taxiway.loads.load import Load
from taxiway.loads.warehouse import Pending, Warehouse
from taxiway.warehouses.postgres.tables import WITHOUT

if TYPE_CHECKING:
    from taxiway.loads.maintenance import Upkeep
    from taxiway.loads.published_months import PublishedMonths

_POSTGRES_DOC = """\
## {title}

Each run loads {of} into `public.{table}`, in the warehouse of the connection `taxi_postgres`.

| | |
|---|---|
{rows}
| what is loaded | `SELECT * FROM taxiway.months WHERE source = '{source}'` |
| every attempt | `SELECT * FROM taxiway.loads WHERE source = '{source}'` |

Steps: download → stage → row id → check → publish. Loading {it} again changes nothing. If the
file was corrected, the {the} becomes what the file says. It is published whole or not at all.
Rows that can't be read are kept in `taxiway.rejected_rows`. The staging tables of the run are dropped
at its end. If the run is cut off, the next run of {it} drops them.
"""

_BIGQUERY_DOC = """\
## {title}, into BigQuery

Each run loads {of}. Its file goes to the bucket as it is (`gs://<GCP_BUCKET_NAME>/{source}/…`). BigQuery loads
and transforms it into `<GCP_DATASET>.{table}`.

| | |
|---|---|
{rows}
| before the first run | the DAG `gcp_setup`; the Variables `GCP_PROJECT_ID`, `GCP_LOCATION`, `GCP_BUCKET_NAME`, `GCP_DATASET` and the connection `taxi_gcp`: docs/bigquery.md |
| what is loaded | ``SELECT * FROM `<GCP_DATASET>.months` WHERE source = '{source}'`` |
| every attempt | ``SELECT * FROM `<GCP_DATASET>.loads` WHERE source = '{source}'`` |

Steps: download → upload → stage → row id → check → publish. Loading {it} again changes nothing. If the file
was corrected, the {the} becomes what the file says. It is published whole or not at all, in one statement
that touches its own partition only. Rows that can't be read are kept in `rejected_rows`.
"""  # noqa: E501 - a table's row is one line


@dataclass(frozen=True)
class Kind:
    """A kind of warehouse.

    :param title: what people call it
    :param into: what the descriptions of its DAGs call it
    :param doc: of its DAGs, in Markdown, with the names of :func:`str.format` that
        :func:`~taxiway.orchestration.dag_template.month_dag` knows
    :param conn_id: Airflow's connection, unless an operator is given another one
    :param color: of its tasks in the web UI
    :param open: opens it for one step: given the load, the connection's id, the step's name and whether the step
        waits for its job itself
    :param trigger: makes the trigger that waits for a job, from the job, the connection's id and the seconds between
        two looks; None if no step has jobs to wait for
    :param months: opens it to read its published months, given the connection's id and the task that asks; opens None
        if nobody has set the warehouse up
    :param quick_months: opens it likewise, for somebody who waits: one that isn't reached is given up within seconds
    :param upkeep: opens it for maintenance, given the same; likewise
    :param prepare: imports what every step needs to open it
    :param without: names of the steps that it doesn't have
    :param dag_suffix: what the ids of its DAGs end with
    """

    title: str
    into: str
    doc: str
    conn_id: str
    color: str
    open: Callable[[Load, str, str, bool], AbstractContextManager[Warehouse]]
    months: Callable[[str, str], AbstractContextManager[PublishedMonths | None]]
    quick_months: Callable[[str, str], AbstractContextManager[PublishedMonths | None]]
    upkeep: Callable[[str, str], AbstractContextManager[Upkeep | None]]
    prepare: Callable[[], None]
    trigger: Callable[[Pending, str, float], Any] | None = None
    without: tuple[str, ...] = ()
    dag_suffix: str = ""


def _open_postgres(load: Load, conn_id: str, step: str, waits: bool) -> AbstractContextManager[Warehouse]:
    from taxiway.orchestration.open_postgres import open_postgres

    return open_postgres(load, conn_id, step)


def _open_bigquery(load: Load, conn_id: str, step: str, waits: bool) -> AbstractContextManager[Warehouse]:
    from taxiway.orchestration.open_bigquery import open_bigquery

    return open_bigquery(load, conn_id, step, waits=waits)


def _postgres_months(conn_id: str, task: str) -> AbstractContextManager[PublishedMonths | None]:
    from taxiway.orchestration.open_postgres import postgres_months

    return postgres_months(conn_id, task)


def _bigquery_months(conn_id: str, task: str) -> AbstractContextManager[PublishedMonths | None]:
    from taxiway.orchestration.open_bigquery import bigquery_months

    return bigquery_months(conn_id, task)


def _quick_postgres_months(conn_id: str, purpose: str) -> AbstractContextManager[PublishedMonths | None]:
    from taxiway.orchestration.open_postgres import quick_postgres_months

    return quick_postgres_months(conn_id, purpose)


def _quick_bigquery_months(conn_id: str, purpose: str) -> AbstractContextManager[PublishedMonths | None]:
    from taxiway.orchestration.open_bigquery import quick_bigquery_months

    return quick_bigquery_months(conn_id, purpose)


def _postgres_upkeep(conn_id: str, task: str) -> AbstractContextManager[Upkeep | None]:
    from taxiway.orchestration.open_postgres import postgres_upkeep

    return postgres_upkeep(conn_id, task)


def _bigquery_upkeep(conn_id: str, task: str) -> AbstractContextManager[Upkeep | None]:
    from taxiway.orchestration.open_bigquery import bigquery_upkeep

    return bigquery_upkeep(conn_id, task)


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
    "postgres": Kind(
        "Postgres",
        "Postgres",
        _POSTGRES_DOC,
        "taxi_postgres",
        "#f6d55c",
        _open_postgres,
        _postgres_months,
        _quick_postgres_months,
        _postgres_upkeep,
        _prepare_postgres,
        without=WITHOUT,
    ),
    "bigquery": Kind(
        "BigQuery",
        "BigQuery, through Cloud Storage",
        _BIGQUERY_DOC,
        "taxi_gcp",
        "#8ab4f8",
        _open_bigquery,
        _bigquery_months,
        _quick_bigquery_months,
        _bigquery_upkeep,
        _prepare_bigquery,
        _bigquery_trigger,
        dag_suffix="_gcp",
    ),
}
"""All of them, by the names that DAGs and the ledger have."""


def dag_id_of(warehouse: str, source_name: str) -> str:
    """Return the id of the DAG that loads a source into a warehouse."""
    return f"taxi_{source_name}{WAREHOUSES[warehouse].dag_suffix}"


def prepare_tasks(dag_id: str) -> None:
    """Import what the tasks of a DAG of ours need, in the process that they are forked from.

    :param dag_id: the DAG; nothing is imported for a DAG of another name
    """
    if dag_id.startswith("taxi_"):
        fitting = [kind for kind in WAREHOUSES.values() if dag_id.endswith(kind.dag_suffix)]
        max(fitting, key=lambda kind: len(kind.dag_suffix)).prepare()
