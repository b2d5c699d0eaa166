"""Builds the DAG that clears up: what cut-off runs have left, and what is older than anybody needs.

While it is parsed, no connection is opened.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Param, TaskGroup

from taxiway.orchestration.alerts.taxi_alert import TaxiAlert
from taxiway.orchestration.dag_template import TIMED_OUT, default_args
from taxiway.orchestration.operators.clean_metadata import CleanMetadataOperator
from taxiway.orchestration.operators.trim_cache import TrimCacheOperator
from taxiway.orchestration.operators.trim_warehouse import TrimWarehouseOperator
from taxiway.orchestration.warehouses import WAREHOUSES

_DOC = """\
## Clears up, each month

| task | deletes |
|---|---|
| `postgres.trim`, `bigquery.trim` | what cut-off runs have left in the staging area; rejected rows and attempts that no month needs |
| `trim_cache` | files in the cache that nobody has used for long |
| `clean_metadata` | old runs in Airflow's metadata, by `airflow db clean` |

Published rows, what a running load needs, and the published attempt of each month stay.

| | |
|---|---|
| only say what would be deleted | `airflow dags trigger taxi_maintenance -c '{"dry_run": true}'` |
| how long what is kept | the Variable `taxiway_retention` |
| more | docs/maintenance.md |
"""  # noqa: E501 - a table's row is one line

DRY_RUN = "{{ params.dry_run }}"


def maintenance_dag() -> DAG:
    """Build the DAG."""
    with DAG(
        dag_id="taxi_maintenance",
        description="Deletes what cut-off runs have left, and what is older than anybody needs",
        doc_md=_DOC,
        schedule="0 6 1 * *",
        start_date=datetime(2019, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=6),
        on_failure_callback=TIMED_OUT,
        tags=["taxi", *WAREHOUSES],
        params={
            "dry_run": Param(
                False,
                type="boolean",
                title="Dry run",
                description="Say what would be deleted, and delete nothing.",
            ),
        },
        default_args={**default_args("taxiway"), "on_failure_callback": TaxiAlert("failed")},
    ) as dag:
        for warehouse in WAREHOUSES:
            with TaskGroup(group_id=warehouse):
                TrimWarehouseOperator(task_id="trim", warehouse=warehouse, is_dry_run=DRY_RUN)
        TrimCacheOperator(task_id="trim_cache", is_dry_run=DRY_RUN)
        CleanMetadataOperator(task_id="clean_metadata", is_dry_run=DRY_RUN)
    return dag
