"""Builds the DAGs of Google Cloud besides its loads: one that sets up, and one that compares."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, get_parsing_context

from taxiway.orchestration.compare_dag import COMPARE_DAG_ID, compare_dag
from taxiway.orchestration.dag_template import service_dag
from taxiway.orchestration.operators.gcp_create import GcpCreateOperator
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import read_sources

_SETUP_DOC = """\
## Google Cloud, once

Creates the bucket of the Variable `GCP_BUCKET_NAME`, the dataset of `GCP_DATASET` and the ledger in it. The bucket is
in `GCP_LOCATION`, closed to the public, and has a lifecycle rule for what runs leave behind. What exists already stays
as it is. Run this DAG by hand before the first month: `airflow dags trigger gcp_setup`. You may run it again at any
time. docs/bigquery.md lists the roles that it needs.
"""

SETUP_DAG_ID = "gcp_setup"


def gcp_dags() -> tuple[DAG, ...]:
    """Build the DAG that sets up Google Cloud, and the one that compares; in a task's process, only that task's."""
    wanted = get_parsing_context().dag_id
    if wanted == SETUP_DAG_ID:
        return (setup_dag(),)
    sources, _ = read_sources(SOURCES_FOLDER)
    comparison = (compare_dag(sources),) if sources else ()  # without a source there is nothing to compare
    return comparison if wanted == COMPARE_DAG_ID else (setup_dag(), *comparison)


def setup_dag() -> DAG:
    """Build the DAG that creates the bucket, the dataset and the ledger."""
    with service_dag(
        SETUP_DAG_ID,
        "Creates the bucket, the dataset and the ledger that the taxi months go to, if they are absent",
        _SETUP_DOC,
        schedule=None,
        tags=["bigquery"],
        dagrun_timeout=timedelta(hours=1),
    ) as dag:
        GcpCreateOperator(task_id="create_bucket", what="bucket")
        dataset = GcpCreateOperator(task_id="create_dataset", what="dataset")
        dataset >> GcpCreateOperator(task_id="create_ledger", what="ledger")
    return dag
