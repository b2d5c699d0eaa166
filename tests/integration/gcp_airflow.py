"""A real Airflow with the project's own DAGs, on Google Cloud or on the stand-ins for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from stand_ins.bigquery import StandIn, service_account_key
from stand_ins.cloud_storage import CloudStorage
from taxiway.warehouses.bigquery.settings import GcpSettings
from tests.cloud_loading import SETTINGS
from tests.conftest import PostgresServer
from tests.integration.taxi_airflow import TaxiAirflow


def google_connection(**extra: str) -> str:
    """The value of ``AIRFLOW_CONN_TAXI_GCP``: with nothing extra, application default credentials."""
    return json.dumps({"conn_type": "google_cloud_platform", "extra": extra})


def stand_ins(bigquery: StandIn, storage: CloudStorage, settings: GcpSettings = SETTINGS) -> dict[str, str]:
    """What leads Airflow's processes to the stand-ins, with a key as Google gives one."""
    key = service_account_key(bigquery.url, settings.project)
    return {
        "BIGQUERY_EMULATOR_HOST": bigquery.url,
        "STORAGE_EMULATOR_HOST": storage.url,
        "AIRFLOW_CONN_TAXI_GCP": google_connection(keyfile_dict=json.dumps(key)),
    }


def gcp_variables(settings: GcpSettings) -> dict[str, str]:
    """The settings as Airflow's Variables, in the environment."""
    return {
        "AIRFLOW_VAR_GCP_PROJECT_ID": settings.project,
        "AIRFLOW_VAR_GCP_LOCATION": settings.location,
        "AIRFLOW_VAR_GCP_BUCKET_NAME": settings.bucket,
        "AIRFLOW_VAR_GCP_DATASET": settings.dataset,
        "AIRFLOW_VAR_GCP_MAXIMUM_BYTES_BILLED": str(settings.maximum_bytes_billed),
    }


def gcp_airflow(
    server: PostgresServer,
    home: Path,
    mirror: str,
    cloud: Mapping[str, str],
    *,
    deferrable: bool = False,
    settings: GcpSettings = SETTINGS,
) -> TaxiAirflow:
    """Lay out a home whose Variables and connections name a cloud.

    :param mirror: address of the mirror
    :param cloud: the environment variables that say where the cloud is, and with which credentials
    :param deferrable: whether operators wait in the triggerer
    :param settings: project, location, bucket and dataset
    """
    taxi = TaxiAirflow.create(server, home, mirror)
    # As long as it has Airflow's own default, the environment is that of other tests: Airflow is imported once.
    waiting = {"AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True"} if deferrable else {}
    taxi.airflow.variables.update({**gcp_variables(settings), **waiting, **cloud})
    return taxi


def logs_of(taxi: TaxiAirflow) -> str:
    """Everything that the tasks, the triggerer and the commands of a home have logged."""
    files = [path for path in taxi.airflow.home.rglob("*.log") if path.is_file() and not path.is_symlink()]
    return "\n".join(path.read_text(errors="replace") for path in files)
