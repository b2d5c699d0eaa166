"""Operator: create what BigQuery's loads need once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator

from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.hooks.gcp_hooks import CONNECTION, bigquery_client, gcp_settings, storage_client
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.ledger import absent_parts, create_ledger
from taxiway.warehouses.bigquery.provisioning import Provisioner

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpCreateOperator(BaseOperator):
    """Create the bucket, the dataset, or the ledger's tables and views in the dataset, if it is absent.

    Google's ``GCSCreateBucketOperator`` and ``BigQueryCreateEmptyDatasetOperator`` accept what exists already: another
    owner's bucket, another location, a dataset that deletes its tables after a time. Here these are errors.

    :param what: ``bucket``, ``dataset`` or ``ledger``
    :param gcp_conn_id: the connection to Google Cloud
    """

    def __init__(
        self, *, what: Literal["bucket", "dataset", "ledger"], gcp_conn_id: str = CONNECTION, **kwargs: Any
    ) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.what = what
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: Context) -> bool:
        """Create it; the Variables have its name.

        :return: whether it, or a part of the ledger, was absent
        :raises AirflowFailException: an error that a retry can't fix
        """
        with retry_or_fail(context):
            settings = gcp_settings()
            provisioner = Provisioner(settings, self.task_id)
            if self.what == "bucket":
                created = provisioner.ensure_bucket(storage_client(settings, self.gcp_conn_id))
            else:
                client = bigquery_client(settings, self.gcp_conn_id)
                if self.what == "dataset":
                    created = provisioner.ensure_dataset(client)
                else:
                    jobs = Jobs(client, settings, self.task_id, {"taxiway_step": self.task_id})
                    created = bool(absent_parts(jobs))
                    create_ledger(jobs)
        name = f"gs://{settings.bucket}" if self.what == "bucket" else f"the {self.what} of {settings.dataset_name}"
        self.log.info("%s: %s", name, "created" if created else "is there")
        return created
