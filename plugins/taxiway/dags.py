"""Builds the DAGs: one template, and a source fills it in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Param

from taxiway.core.months import MONTH_PATTERN
from taxiway.core.sources import Source
from taxiway.operators.check_month import CheckMonthOperator
from taxiway.operators.drop_staging import DropStagingOperator
from taxiway.operators.fetch_month import FetchMonthOperator
from taxiway.operators.hash_rows import HashRowsOperator
from taxiway.operators.merge_month import MergeMonthOperator
from taxiway.operators.retry_after import RetryAfterPolicy
from taxiway.operators.stage_month import StageMonthOperator

MONTH = "{{ params.month or (dag_run.logical_date.strftime('%Y-%m') if dag_run.logical_date else '') }}"
"""The month of a run: the parameter where a person gave one, else that of the logical date.
Airflow 3 reads a bare cron expression as a point in time, so the data interval has no length."""

USE_CACHE = "{{ '' if params.use_cache else 'false' }}"
"""Off for one run by the parameter; else the Variable taxiway_use_cache decides."""

MAX_ACTIVE_RUNS = 4
"""Months that are loaded side by side."""

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


def postgres_dag_id(source: Source) -> str:
    """Return the id of the DAG that loads a source into Postgres."""
    return f"taxi_{source.name}"


def postgres_dag(source: Source) -> DAG:
    """Build the DAG that loads a source into Postgres, one month a run.

    :param source: the source, from its YAML file
    """
    dag_id = postgres_dag_id(source)
    with DAG(
        dag_id=dag_id,
        dag_display_name=dag_id,
        description=f"{source.title} into Postgres, month by month",
        doc_md=_DOC.format(
            title=source.title,
            table=source.main_table,
            file=source.path,
            schedule=source.schedule,
            first=source.first_month,
            dag_id=dag_id,
            source=source.name,
        ),
        schedule=source.schedule,
        start_date=datetime(source.first_month.year, source.first_month.number, 1, tzinfo=timezone.utc),
        catchup=True,
        max_active_runs=MAX_ACTIVE_RUNS,
        dagrun_timeout=timedelta(hours=12),
        tags=[*source.tags, "postgres"],
        params={
            "month": Param(
                None,
                type=["null", "string"],
                pattern=MONTH_PATTERN,
                title="Month",
                description="The month to load, as YYYY-MM. Empty: the month of the logical date.",
            ),
            "use_cache": Param(
                True,
                type="boolean",
                title="Use the cache",
                description="Take a file that hasn't changed on the mirror from the cache. Off: fetch it again.",
            ),
            "force": Param(
                False,
                type="boolean",
                title="Force",
                description="Load the file even where its bytes are published already.",
            ),
        },
        default_args={
            "owner": source.owner,
            "retries": 3,
            "retry_delay": timedelta(seconds=10),
            "retry_exponential_backoff": 2.0,
            # Airflow counts the tries of earlier reruns, too: without a limit this would grow and grow.
            "max_retry_delay": timedelta(minutes=2),
            "execution_timeout": timedelta(hours=2),
        },
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
        hashed = HashRowsOperator(task_id="hash_rows", staged=stage.output, download=download.output, **of_month)
        check = CheckMonthOperator(task_id="check_month", **of_month)
        merge = MergeMonthOperator(task_id="merge_month", **of_month)
        drop = DropStagingOperator(task_id="drop_staging", **of_month)
        download >> stage >> hashed >> check >> merge >> drop.as_teardown(setups=[stage, hashed])
    return dag
