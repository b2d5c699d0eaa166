"""Builds the DAG that clears up: what cut-off runs have left, and what is older than anybody needs.

While it is parsed, no connection is opened.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, TaskGroup

from taxiway.orchestration.dag_template import param, service_dag
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
    with service_dag(
        "taxi_maintenance",
        "Deletes what cut-off runs have left, and what is older than anybody needs",
        _DOC,
        schedule="0 6 1 * *",
        tags=[*WAREHOUSES],
        dagrun_timeout=timedelta(hours=6),
        params={
            "dry_run": param(
                False,
                type="boolean",
                title="Dry run",
                description="Say what would be deleted, and delete nothing.",
            ),
        },
    ) as dag:
        for warehouse in WAREHOUSES:
            with TaskGroup(group_id=warehouse):
                TrimWarehouseOperator(task_id="trim", warehouse=warehouse, is_dry_run=DRY_RUN)
        TrimCacheOperator(task_id="trim_cache", is_dry_run=DRY_RUN)
        CleanMetadataOperator(task_id="clean_metadata", is_dry_run=DRY_RUN)
    return dag
