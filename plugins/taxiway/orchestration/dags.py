"""Builds the DAGs: one template, and a source fills it in."""

from __future__ import annotations

from airflow.sdk import DAG

from taxiway.orchestration.assets import postgres_asset
from taxiway.orchestration.dag_template import MONTH, USE_CACHE, month_dag, sources_to_build
from taxiway.orchestration.operators.check_month import CheckMonthOperator
from taxiway.orchestration.operators.drop_staging import DropStagingOperator
from taxiway.orchestration.operators.fetch_month import FetchMonthOperator
from taxiway.orchestration.operators.hash_rows import HashRowsOperator
from taxiway.orchestration.operators.merge_month import MergeMonthOperator
from taxiway.orchestration.operators.stage_month import StageMonthOperator
from taxiway.orchestration.retry_after import RetryAfterPolicy
from taxiway.sources.source import Source

_DOC = """\
## {title}

Loads one month a run into `public.{table}`: the file `{file}` of the connection `tlc_mirror`,
into the warehouse of the connection `taxi_postgres`.

| | |
|---|---|
| schedule | `{schedule}` (UTC), with catchup, from {first} |
| the month of a run | its logical date's, or the parameter `month` |
| a year | `airflow dags backfill -s 2019-01-01 -e 2019-12-31 {dag_id}` |
| one month | `airflow dags trigger {dag_id} -c '{{"month": "2019-03"}}'` |
| what is loaded | `SELECT * FROM taxiway.months WHERE source = '{source}'` |
| every attempt | `SELECT * FROM taxiway.loads WHERE source = '{source}'` |

Steps: download → stage → row id → check → publish. Loading a month again changes nothing;
loading a corrected file brings the month to the state of the file. A month is published
whole or not at all. Rows that can't be read are kept in `taxiway.rejected_rows`. The staging
tables of the run are dropped at its end, or by the next run of the month where it was cut off.
"""


def postgres_dag_id(source_name: str) -> str:
    """Return the id of the DAG that loads a source into Postgres."""
    return f"taxi_{source_name}"


def postgres_dags() -> tuple[DAG, ...]:
    """Build the DAGs of all sources; in a task's process, only that task's."""
    return tuple(map(postgres_dag, sources_to_build(postgres_dag_id)))


def postgres_dag(source: Source) -> DAG:
    """Build the DAG that loads a source into Postgres, one month a run.

    :param source: the source, from its YAML file
    """
    with month_dag(
        source,
        postgres_dag_id(source.name),
        warehouse="postgres",
        description=f"{source.title} into Postgres, month by month",
        doc=_DOC,
    ) as dag:
        of_month = {"source_name": source.name, "month": MONTH}
        download = FetchMonthOperator(
            task_id="download_month",
            use_cache=USE_CACHE,
            force="{{ params.force }}",
            retry_policy=RetryAfterPolicy(),
            **of_month,
        )
        stage = StageMonthOperator(task_id="stage_month", download=download.output, **of_month)
        hashed = HashRowsOperator(task_id="hash_rows", staged=stage.output, **of_month)
        check = CheckMonthOperator(task_id="check_month", **of_month)
        merge = MergeMonthOperator(task_id="merge_month", outlets=[postgres_asset(source)], **of_month)
        drop = DropStagingOperator(task_id="drop_staging", **of_month)
        download >> stage >> hashed >> check >> merge >> drop.as_teardown(setups=[stage, hashed])
    return dag
