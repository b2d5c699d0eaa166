"""Operator: create the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.hooks.gcp_hooks import CONNECTION, bigquery_client, gcp_settings
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.ledger import create_ledger

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpCreateLedgerOperator(BaseOperator):
    """Create the ledger's tables and views in the dataset of the Variable ``GCP_DATASET``; rows that are there stay.

    :param gcp_conn_id: the connection to Google Cloud
    """

    def __init__(self, *, gcp_conn_id: str = CONNECTION, **kwargs: Any) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: Context) -> None:
        """Create what is absent of it.

        :raises AirflowFailException: an error that a retry can't fix
        """
        with retry_or_fail(context):
            settings = gcp_settings()
            client = bigquery_client(settings, self.gcp_conn_id)
            create_ledger(Jobs(client, settings, self.task_id, {"taxiway_step": self.task_id}))
        self.log.info("the ledger of the dataset %s is there", settings.dataset_name)
