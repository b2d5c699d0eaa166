"""Opens a warehouse to read its published months."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from taxiway.loads.published_months import PublishedMonths
from taxiway.orchestration.warehouses import WAREHOUSES


@contextmanager
def published_months(warehouse: str, purpose: str) -> Iterator[PublishedMonths]:
    """Open a warehouse over Airflow's connection.

    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    :param purpose: what the months are read for, for messages
    :raises SettingError: the connection is missing, can't be read, or is of another type
    :raises WarehouseError: the warehouse refuses
    :raises TransientWarehouseError: it can't answer now
    """
    conn_id = WAREHOUSES[warehouse].conn_id
    if warehouse == "bigquery":
        from taxiway.orchestration.hooks.gcp_hooks import bigquery_client, gcp_settings
        from taxiway.warehouses.bigquery.jobs import Jobs
        from taxiway.warehouses.bigquery.published_months import BigQueryMonths

        settings = gcp_settings()
        jobs = Jobs(bigquery_client(settings, conn_id), settings, purpose, {"taxiway_step": purpose})
        yield BigQueryMonths(jobs, purpose=purpose)
        return

    from taxiway.orchestration.hooks.postgres_hook import WarehouseHook
    from taxiway.warehouses.postgres.published_months import PostgresMonths, in_our_words

    with in_our_words(purpose, conn_id, connecting=True):
        connection = WarehouseHook(postgres_conn_id=conn_id).get_conn()
    with closing(connection):
        yield PostgresMonths(connection, conn_id, purpose=purpose)
