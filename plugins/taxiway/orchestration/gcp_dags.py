"""Builds the DAGs of Google Cloud: one that loads a source into BigQuery, one that sets up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, get_parsing_context

from taxiway.loads.steps import STEPS, Step
from taxiway.orchestration.assets import bigquery_asset
from taxiway.orchestration.compare_dag import COMPARE_DAG_ID, compare_dag
from taxiway.orchestration.dag_template import default_args, how, month_dag, sources_to_build
from taxiway.orchestration.load_tasks import add_tasks
from taxiway.orchestration.operators.gcp_create import GcpCreateOperator
from taxiway.sources.source import Source

_DOC = """\
## {title}, into BigQuery

Each run loads {of}. Its file goes to the bucket as it is (`gs://<GCP_BUCKET_NAME>/{source}/…`). BigQuery loads
and transforms it into `<GCP_DATASET>.{table}`.

| | |
|---|---|
{rows}
| before the first run | the DAG `gcp_setup`; the Variables `GCP_PROJECT_ID`, `GCP_LOCATION`, `GCP_BUCKET_NAME`, `GCP_DATASET` and the connection `taxi_gcp`: docs/bigquery.md |
| what is loaded | ``SELECT * FROM `<GCP_DATASET>.months` WHERE source = '{source}'`` |
| every attempt | ``SELECT * FROM `<GCP_DATASET>.loads` WHERE source = '{source}'`` |

Steps: download → upload → stage → row id → check → publish. Loading {it} again changes nothing. If the file
was corrected, the {the} becomes what the file says. It is published whole or not at all, in one statement
that touches its own partition only. Rows that can't be read are kept in `rejected_rows`.
"""  # noqa: E501 - a table's row is one line

_SETUP_DOC = """\
## Google Cloud, once

Creates the bucket of the Variable `GCP_BUCKET_NAME`, the dataset of `GCP_DATASET` and the ledger in it. The bucket is
in `GCP_LOCATION`, closed to the public, and has a lifecycle rule for what runs leave behind. What exists already stays
as it is. Run this DAG by hand before the first month: `airflow dags trigger gcp_setup`. You may run it again at any
time. docs/bigquery.md lists the roles that it needs.
"""

SETUP_DAG_ID = "gcp_setup"


def gcp_dag_id(source_name: str) -> str:
    """Return the id of the DAG that loads a source into BigQuery."""
    return f"taxi_{source_name}_gcp"


def gcp_dags() -> tuple[DAG, ...]:
    """Build the DAGs of Google Cloud; in a task's process, only that task's."""
    wanted = get_parsing_context().dag_id
    if wanted == SETUP_DAG_ID:
        return (setup_dag(),)
    sources = sources_to_build(gcp_dag_id)
    comparison = (compare_dag(sources),) if sources else ()  # without a source there is nothing to compare
    if wanted == COMPARE_DAG_ID:
        return comparison
    dags = tuple(map(gcp_dag, sources))
    if any(dag.dag_id == wanted for dag in dags):
        return dags
    return (*dags, setup_dag(), *comparison)


def gcp_dag(source: Source, steps: Sequence[Step] = STEPS) -> DAG:
    """Build the DAG that loads a source into BigQuery, one month a run.

    :param source: the source, from its YAML file
    :param steps: the load's steps; see :func:`taxiway.loads.steps.before_publishing`
    """
    with month_dag(
        source,
        gcp_dag_id(source.name),
        warehouse="bigquery",
        description=f"{source.title} into BigQuery, through Cloud Storage{how(source)}",
        doc=_DOC,
    ) as dag:
        add_tasks(source, "bigquery", steps, bigquery_asset(source))
    return dag


def setup_dag() -> DAG:
    """Build the DAG that creates the bucket, the dataset and the ledger."""
    with DAG(
        dag_id=SETUP_DAG_ID,
        description="Creates the bucket, the dataset and the ledger that the taxi months go to, if they are absent",
        doc_md=_SETUP_DOC,
        schedule=None,
        start_date=datetime(2019, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=1),
        tags=["taxi", "bigquery"],
        default_args=default_args("taxiway"),
    ) as dag:
        GcpCreateOperator(task_id="create_bucket", what="bucket")
        dataset = GcpCreateOperator(task_id="create_dataset", what="dataset")
        dataset >> GcpCreateOperator(task_id="create_ledger", what="ledger")
    return dag
