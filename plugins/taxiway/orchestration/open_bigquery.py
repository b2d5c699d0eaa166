"""Opens BigQuery for a step, over Airflow's connection and Variables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from airflow.sdk import Variable

from taxiway.errors import SettingError
from taxiway.loads.load import Load
from taxiway.loads.step_names import DISCARD
from taxiway.loads.warehouse import Pending
from taxiway.orchestration.hooks.gcp_hooks import bigquery_client, gcp_settings, storage_client
from taxiway.warehouses.bigquery.bucket import Bucket
from taxiway.warehouses.bigquery.jobs import QUICK_RETRY_SECONDS, RETRY_SECONDS, Jobs
from taxiway.warehouses.bigquery.publish import NOTHING
from taxiway.warehouses.bigquery.published_months import BigQueryMonths
from taxiway.warehouses.bigquery.settings import VARIABLES
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upkeep import BigQueryUpkeep
from taxiway.warehouses.bigquery.warehouse import BigQueryWarehouse


@contextmanager
def open_bigquery(load: Load, conn_id: str, step: str, *, waits: bool = True) -> Iterator[BigQueryWarehouse]:
    """Open BigQuery for a step; the bucket is opened when the step needs it.

    :param load: the load
    :param conn_id: Airflow's connection
    :param step: the step's name, for messages
    :param waits: whether the step waits for its job itself
    :raises SettingError: the connection or a Variable is missing, can't be read, or isn't what it should be
    """
    try:
        settings = gcp_settings()
        client = bigquery_client(settings, conn_id)
    except SettingError as error:
        raise SettingError(f"{load.where}: {error}") from error.__cause__
    where = f"{load.where}: {step}"
    outcome = "" if step == DISCARD else NOTHING
    labels = {"taxiway_source": load.source.name, "taxiway_month": str(load.month), "taxiway_step": step}
    yield BigQueryWarehouse(
        Jobs(client, settings, where, labels, outcome),
        lambda: Bucket(storage_client(settings, conn_id), settings, where, outcome),
        CloudTables.of(load, settings=settings),
        waits=waits,
    )


@contextmanager
def bigquery_months(
    conn_id: str, task: str, *, retry_seconds: float = RETRY_SECONDS
) -> Iterator[BigQueryMonths | None]:
    """Open BigQuery to read which months are published; None if no Variable of Google Cloud is set.

    :param conn_id: Airflow's connection
    :param task: the task that asks, for messages
    :param retry_seconds: how long a request that gets no answer is repeated
    :raises SettingError: the connection or a Variable is missing, can't be read, or isn't what it should be
    """
    jobs = _jobs(conn_id, task, "look", retry_seconds)
    yield BigQueryMonths(jobs, purpose=task) if jobs else None


def quick_bigquery_months(conn_id: str, purpose: str) -> AbstractContextManager[BigQueryMonths | None]:
    """Open BigQuery likewise, for somebody who waits: a lost connection is given up within seconds.

    A job that runs is waited for: another question would be billed again.
    """
    return bigquery_months(conn_id, purpose, retry_seconds=QUICK_RETRY_SECONDS)


@contextmanager
def bigquery_upkeep(conn_id: str, task: str) -> Iterator[BigQueryUpkeep | None]:
    """Open BigQuery for maintenance; parameters and errors are those of :func:`bigquery_months`."""
    jobs = _jobs(conn_id, task, "maintenance")
    if jobs is None:
        yield None
    else:
        settings = jobs.settings
        yield BigQueryUpkeep(jobs, lambda: Bucket(storage_client(settings, conn_id), settings, task))


def _jobs(conn_id: str, task: str, step: str, retry_seconds: float = RETRY_SECONDS) -> Jobs | None:
    if all(Variable.get(name, default=None) is None for name in VARIABLES):
        return None
    settings = gcp_settings()
    client = bigquery_client(settings, conn_id)
    return Jobs(client, settings, task, {"taxiway_step": step}, retry_seconds=retry_seconds)


def trigger(pending: Pending, conn_id: str, poll_interval: float) -> Any:
    """Return what waits for a job in the triggerer.

    :param pending: the job; one that is another run's goes on if the task is killed
    :param conn_id: Airflow's connection
    :param poll_interval: seconds between two looks at the job
    """
    from airflow.providers.google.cloud.triggers.bigquery import BigQueryInsertJobTrigger

    settings = gcp_settings()
    return BigQueryInsertJobTrigger(
        conn_id=conn_id,
        job_id=pending.job_id,
        project_id=settings.project,
        location=settings.location,
        poll_interval=poll_interval,
        cancel_on_kill=pending.is_own,
    )
