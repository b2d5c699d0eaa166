"""Operator: create the bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.hooks.gcp_hooks import CONNECTION, gcp_settings, storage_client
from taxiway.warehouses.bigquery.provisioning import Provisioner

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpCreateBucketOperator(BaseOperator):
    """Create the bucket of the Variable ``GCP_BUCKET_NAME``, unless it is there.

    :param gcp_conn_id: the connection to Google Cloud
    """

    def __init__(self, *, gcp_conn_id: str = CONNECTION, **kwargs: Any) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: Context) -> bool:
        """Create the bucket.

        :return: whether it was created
        :raises AirflowFailException: an error that a retry can't fix
        """
        with retry_or_fail(context):
            settings = gcp_settings()
            created = Provisioner(settings, self.task_id).ensure_bucket(storage_client(settings, self.gcp_conn_id))
        self.log.info("gs://%s %s", settings.bucket, "created" if created else "is there already")
        return created
