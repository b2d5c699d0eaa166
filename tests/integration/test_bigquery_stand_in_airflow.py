"""Airflow's hook and trigger on the stand-in, by a service account's key as in production."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from google.api_core.exceptions import Conflict

from stand_ins.bigquery import StandIn, service_account_key

CREATE = {"query": {"query": "CREATE TABLE d.made (a INT64)", "useLegacySql": False}}


@pytest.fixture
def hook(bigquery: StandIn, monkeypatch: pytest.MonkeyPatch) -> Any:
    from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

    key = json.dumps(service_account_key(bigquery.url, "p-1"))
    connection = {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": key, "project": "p-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_GCP", json.dumps(connection))
    made = BigQueryHook(gcp_conn_id="taxi_gcp", use_legacy_sql=False, location="europe-west1")
    made.create_empty_dataset(dataset_id="d", location="europe-west1")
    return made


def events(job_id: str) -> list[Any]:
    from airflow.providers.google.cloud.triggers.bigquery import BigQueryInsertJobTrigger

    async def collect() -> list[Any]:
        trigger = BigQueryInsertJobTrigger("taxi_gcp", job_id, "p-1", "europe-west1", poll_interval=0.01)
        return [event.payload async for event in trigger.run()]

    return asyncio.run(collect())


def test_tables_by_the_hook(hook: Any) -> None:
    hook.create_empty_dataset(dataset_id="d", location="europe-west1", exists_ok=True)
    schema = {"fields": [{"name": "a", "type": "INT64"}]}
    hook.create_table(dataset_id="d", table_id="t", table_resource={"schema": schema}, project_id="p-1")
    assert hook.table_exists(project_id="p-1", dataset_id="d", table_id="t")
    assert not hook.table_exists(project_id="p-1", dataset_id="d", table_id="u")


def test_a_deferred_job(hook: Any, bigquery: StandIn) -> None:
    bigquery.faults.polls_until_done = 3
    job = hook.insert_job(configuration=CREATE, project_id="p-1", job_id="one", nowait=True)
    assert job.running()
    assert events("one") == [{"job_id": "one", "status": "success", "message": "Job completed"}]
    assert hook.table_exists(project_id="p-1", dataset_id="d", table_id="made")
    assert all(request.authorized for request in bigquery.requests)


def test_a_deferred_job_that_fails(hook: Any, bigquery: StandIn) -> None:
    bigquery.faults.polls_until_done = 1
    bigquery.faults.fail_next_job("quotaExceeded", "Quota exceeded: out of luck")
    hook.insert_job(configuration=CREATE, project_id="p-1", job_id="one", nowait=True)
    assert events("one") == [{"status": "error", "message": "Quota exceeded: out of luck"}]


def test_an_id_is_taken_once(hook: Any) -> None:
    hook.insert_job(configuration=CREATE, project_id="p-1", job_id="one")
    with pytest.raises(Conflict):
        hook.insert_job(configuration=CREATE, project_id="p-1", job_id="one", nowait=True)
