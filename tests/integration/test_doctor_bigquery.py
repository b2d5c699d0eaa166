"""The checks of BigQuery find what is broken, on the stand-ins, and what they advise mends it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from google.api_core.exceptions import NotFound

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.cli.doctor import warehouses
from taxiway.doctor.check import FAIL, OK, SKIP, WARN, Finding, examine
from taxiway.warehouses.bigquery import doctor
from taxiway.warehouses.bigquery.ledger import create_ledger
from tests.cloud_loading import SETTINGS, Cloud
from tests.conftest import PostgresServer
from tests.integration.gcp_airflow import gcp_airflow, gcp_variables, stand_ins


@pytest.fixture
def cloud(bigquery: StandIn, cloud_storage: CloudStorage, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A project with a bucket, a dataset and the ledger, which Airflow's Variables and connection name."""
    for name, value in {**gcp_variables(SETTINGS), **stand_ins(bigquery, cloud_storage)}.items():
        monkeypatch.setenv(name, value)
    made = Cloud.connect().set_up()
    create_ledger(made.jobs())
    return made


def found(name: str) -> Finding:
    """Make one of the checks, as the command does."""
    (check,) = [check for check in warehouses.CHECKS["bigquery"] if check.name == f"BigQuery {name}"]
    ((_, finding),) = examine([check])
    return finding


def test_a_sound_project(cloud: Cloud, bigquery: StandIn) -> None:
    bigquery.forget_requests()

    findings = {name: found(name) for name in doctor.CHECKS}

    assert {name: finding.state for name, finding in findings.items()} == dict.fromkeys(doctor.CHECKS, OK)
    assert findings["settings"].found.endswith("a query may bill 1.0 GB")
    asked = [(request.method, request.path.rpartition("/")[2]) for request in bigquery.requests]
    assert {path for method, path in asked if method == "POST"} <= {"token", "jobs", "load_events:testIamPermissions"}


def test_bigquery_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in gcp_variables(SETTINGS):
        monkeypatch.delenv(name, raising=False)

    states = [(name, finding.state) for name, finding in examine(warehouses.CHECKS["bigquery"])]

    assert states == [("BigQuery settings", SKIP)]


def test_settings_that_are_wrong(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_GCP_MAXIMUM_BYTES_BILLED", "1 MB")
    limit = found("settings")
    monkeypatch.delenv("AIRFLOW_VAR_GCP_DATASET")
    unset = found("settings")

    monkeypatch.setenv("AIRFLOW_VAR_GCP_MAXIMUM_BYTES_BILLED", "10 MiB")
    monkeypatch.setenv("AIRFLOW_VAR_GCP_DATASET", SETTINGS.dataset)
    assert found("settings").state == OK
    assert (limit.state, "expected at least 10 MiB" in limit.found) == (FAIL, True)
    assert (unset.state, "the Variable GCP_DATASET is not set" in unset.found) == (FAIL, True)


def test_a_connection_that_is_not_there(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_TAXI_GCP")

    finding = found("bucket")

    assert (finding.state, "connections add taxi_gcp" in finding.found) == (FAIL, True)


def test_what_gcp_setup_creates(
    cloud: Cloud, bigquery: StandIn, cloud_storage: CloudStorage, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    assert found("dataset").state == OK
    cloud.bigquery.delete_table(f"{SETTINGS.dataset_name}.load_events")
    ledger = found("dataset")
    cloud.bigquery.delete_dataset(SETTINGS.dataset_name, delete_contents=True)
    dataset = found("dataset")
    cloud_storage.reset()
    bucket = found("bucket")

    for finding, said in ((ledger, "has no ledger"), (dataset, "isn't there"), (bucket, "isn't there")):
        assert (finding.state, said in finding.found) == (FAIL, True)
        assert finding.mend.endswith(" dags test gcp_setup")
    with pytest.raises(NotFound):
        cloud.bigquery.get_dataset(SETTINGS.dataset_name)  # nothing was changed

    taxi = gcp_airflow(postgres_server, tmp_path / "home", "http://127.0.0.1:9", stand_ins(bigquery, cloud_storage))
    try:
        done = taxi.airflow.run(*shlex.split(dataset.mend)[1:], timeout=300)
    finally:
        taxi.close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert {found(name).state for name in doctor.CHECKS} == {OK}


def test_a_bucket_of_someone_else_and_one_without_its_rule(cloud: Cloud, cloud_storage: CloudStorage) -> None:
    bucket = cloud.storage.get_bucket(SETTINGS.bucket)
    bucket.lifecycle_rules = []
    bucket.patch()
    ruleless = found("bucket")
    rules = json.loads(ruleless.mend.split("echo '")[1].split("'")[0])["rule"]
    bucket.lifecycle_rules = rules
    bucket.patch()
    mended = found("bucket")
    cloud_storage.own_elsewhere(SETTINGS.bucket)
    foreign = found("bucket")

    assert (ruleless.state, "has no lifecycle rule" in ruleless.found, mended.state) == (WARN, True, OK)
    assert (foreign.state, "belongs to someone else" in foreign.found) == (FAIL, True)


def test_a_dataset_that_drops_its_tables(cloud: Cloud) -> None:
    dataset = cloud.bigquery.get_dataset(SETTINGS.dataset_name)
    dataset.default_table_expiration_ms = 86_400_000
    cloud.bigquery.update_dataset(dataset, ["default_table_expiration_ms"])

    finding = found("dataset")

    assert (finding.state, "bq update --default_table_expiration=0" in finding.found) == (FAIL, True)


def test_roles_that_are_missing(cloud: Cloud, bigquery: StandIn, cloud_storage: CloudStorage) -> None:
    cloud_storage.denied.add("storage.objects.delete")
    bigquery.faults.denied.add("bigquery.tables.updateData")
    bigquery.faults.fail_next_job("accessDenied", at_insert=True)

    finding = found("roles")

    assert finding == Finding(
        FAIL,
        "the account may not storage.objects.delete, bigquery.tables.updateData, bigquery.jobs.create",
        "give it Storage Object User, BigQuery Data Editor, BigQuery Job User: docs/bigquery.md has the commands",
    )
    cloud_storage.denied.clear()
    bigquery.faults.denied.clear()
    assert found("roles").state == OK
