"""The connection to Google Cloud, and the settings that go with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowNotFoundException

from taxiway.errors import SettingError, TransientWarehouseError
from taxiway.orchestration.hooks.connection_variable import require_readable, require_type
from taxiway.program import airflow_command
from taxiway.warehouses.bigquery.errors import as_taxiway_error
from taxiway.warehouses.bigquery.settings import GcpSettings, read_settings

if TYPE_CHECKING:
    from google.cloud import bigquery, storage

CONNECTION = "taxi_gcp"
"""Id of the connection, unless an operator is given another one."""

TYPES = ("google_cloud_platform", "gcpbigquery")
"""Airflow's types of a connection to Google Cloud."""


def gcp_settings() -> GcpSettings:
    """Read the settings from Airflow's Variables.

    :raises SettingError: names each that is missing or malformed
    """
    # Not given a default, which Variable.get takes for a secret.
    return read_settings(lambda name: Variable.get(name, default=None))


def bigquery_client(settings: GcpSettings, gcp_conn_id: str) -> bigquery.Client:
    """Return Google's client of BigQuery, with the connection's credentials.

    :raises SettingError: the connection is missing, can't be read, is of another type, or has no usable credentials
    """
    from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

    require_readable(gcp_conn_id)
    try:
        hook = BigQueryHook(gcp_conn_id=gcp_conn_id, location=settings.location, use_legacy_sql=False)
        require_type(hook.get_connection(gcp_conn_id), *TYPES, add="")
        return hook.get_client(project_id=settings.project, location=settings.location)
    except Exception as error:
        raise _unusable(error, settings, gcp_conn_id) from None


def storage_client(settings: GcpSettings, gcp_conn_id: str) -> storage.Client:
    """Return Google's client of Cloud Storage, with the connection's credentials.

    :raises SettingError: the connection is missing, can't be read, is of another type, or has no usable credentials
    """
    from airflow.providers.google.cloud.hooks.gcs import GCSHook
    from google.cloud import storage

    require_readable(gcp_conn_id)
    try:
        hook = GCSHook(gcp_conn_id=gcp_conn_id)
        require_type(hook.get_connection(gcp_conn_id), *TYPES, add="")
        return storage.Client(project=settings.project, credentials=hook.get_credentials())
    except Exception as error:
        raise _unusable(error, settings, gcp_conn_id) from None


def _unusable(error: Exception, settings: GcpSettings, gcp_conn_id: str) -> Exception:
    """Say that a connection can't be used. What a library says of a key may quote it: only the kind is told."""
    if isinstance(error, SettingError):
        return error
    if isinstance(error, AirflowNotFoundException):
        add = airflow_command("connections", "add", gcp_conn_id, "--conn-type", "google_cloud_platform")
        return SettingError(
            f"the connection {gcp_conn_id} isn't there: expected one of the type google_cloud_platform. With "
            f"application default credentials: {add}; all ways: docs/bigquery.md"
        )
    known = as_taxiway_error(error, gcp_conn_id, settings)
    if isinstance(known, TransientWarehouseError):
        return known
    found = type(error).__name__
    if isinstance(error, OSError) and error.filename:
        found = f"{found}: {error.filename}"
    return SettingError(
        f"the connection {gcp_conn_id} can't be used ({found}): expected a key file (key_path) that the "
        f"worker can read, a whole key (keyfile_dict), or neither, for application default credentials "
        f"('gcloud auth application-default login'): docs/bigquery.md"
    )
