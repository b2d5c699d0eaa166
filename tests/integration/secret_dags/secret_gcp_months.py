"""The project's Airflow DAG of green months into BigQuery, once to succeed and for every way to fail with a key."""

from __future__ import annotations

from dataclasses import replace

from airflow.sdk import get_parsing_context

from taxiway.orchestration.dags import load_dag
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source

CLOUD_CASES = {
    # DAG: the connection to Google Cloud
    "cloud_succeeds": "taxi_gcp",
    "cloud_refused": "taxi_gcp",
    "cloud_without_a_token": "cloud_without_a_token",
    "cloud_with_a_broken_key": "cloud_with_a_broken_key",
}

green = load_source(SOURCES_FOLDER / "green.yaml")
wanted = get_parsing_context().dag_id
for name, connection in CLOUD_CASES.items():
    if wanted not in (None, f"taxi_{name}_gcp"):
        continue  # a task needs its own DAG alone
    dag = load_dag(replace(green, name=name, schedule=None), "bigquery")  # type: ignore[arg-type]  # by hand only
    dag.is_paused_upon_creation = False
    for task in dag.tasks:
        task.source_name = green.name
        task.conn_id = connection
        task.http_conn_id = "mirror_good"
        task.retries = 0
    globals()[dag.dag_id] = dag
