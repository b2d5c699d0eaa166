"""Builds the DAG ``taxi``: one month of any source into any warehouse, as a form asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from airflow.sdk import DAG, TaskGroup

from taxiway.loads.steps import STEPS
from taxiway.orchestration.dag_template import (
    DAGRUN_TIMEOUT,
    MAX_ACTIVE_RUNS,
    RUN_FAILED,
    default_args,
    load_params,
    param,
)
from taxiway.orchestration.load_tasks import FAILED, add_tasks
from taxiway.orchestration.operators.choose_warehouse import ChooseWarehouseOperator
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID
from taxiway.orchestration.warehouses import WAREHOUSES

SOURCE = "{{ params.taxi }}"
MONTH = "{{ params.year }}-{{ params.month }}"
"""Of a file that stands alone, :func:`~taxiway.orchestration.month_of_run.source_and_month` takes no notice of it."""

YEARS = ("2019", "2020", "2021", "2022", "2023", "2024", "2025")
"""Years that the form suggests."""

MONTHS = tuple(f"{number:02d}" for number in range(1, 13))

_DOC = """\
## One month of any taxi

Choose *Trigger*: the form asks for the taxi, the year, the month and the warehouse, and the run loads that file. It
has the same steps, ledger and locks as the DAGs with a schedule, `taxi_green` and so on.

| | |
|---|---|
| on the command line | `airflow dags trigger taxi -c '{"taxi": "green", "year": "2019", "month": "03"}'` |
| into BigQuery | add `"warehouse": "bigquery"`; what it needs first: docs/bigquery.md |
| a file of no month | `-c '{"taxi": "zones"}'`; year and month don't matter |
| a month that is loaded | the run succeeds and does nothing, unless the file has changed or `force` is on |
| a month that there isn't | the run fails, and its first failed task says why |
| many months | `airflow dags backfill -s 2019-01-01 -e 2019-12-31 taxi_green` |

It has no schedule: unpausing it starts nothing. `choose_warehouse` skips the tasks of the other warehouse.
"""


def taxi_dag(titles: Mapping[str, str]) -> DAG:
    """Build the DAG.

    :param titles: the sources that the form offers: their names, with what it calls them
    """
    names = sorted(titles)
    with DAG(
        dag_id=TAXI_DAG_ID,
        description="One month of any taxi, as its form asks for it, into Postgres or BigQuery",
        doc_md=_DOC,
        schedule=None,
        start_date=datetime(2019, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        # Nothing starts it but people and other DAGs: their runs needn't wait until somebody unpauses it.
        is_paused_upon_creation=False,
        max_active_runs=MAX_ACTIVE_RUNS,
        dagrun_timeout=DAGRUN_TIMEOUT,
        on_failure_callback=RUN_FAILED,
        tags=["taxi", *WAREHOUSES],
        params={
            "taxi": param(
                "green" if "green" in names else names[0],
                type="string",
                enum=names,
                values_display=dict(titles),
                title="Taxi",
                description="What to load.",
            ),
            "year": param(
                YEARS[0],
                type=["string", "integer"],
                pattern=r"^[12][0-9]{3}(?!\n)$",
                minimum=1000,
                maximum=2999,
                examples=list(YEARS),
                title="Year, as YYYY",
                description="Choose one, or write another one. A file of no month, such as zones, needs none.",
            ),
            "month": param(
                MONTHS[0],
                type="string",
                enum=list(MONTHS),
                title="Month, as MM",
                description="If the source doesn't have the month, the run fails and says which months there are.",
            ),
            "warehouse": param(
                "postgres",
                type="string",
                enum=list(WAREHOUSES),
                values_display={name: kind.title for name, kind in WAREHOUSES.items()},
                title="Warehouse",
                description="Where to. BigQuery needs a project of yours, and gcp_setup before the first month.",
            ),
            **load_params(),
        },
        default_args=default_args("taxiway"),
    ) as dag:
        choose = ChooseWarehouseOperator(
            task_id="choose_warehouse",
            source_name=SOURCE,
            month=MONTH,
            warehouse="{{ params.warehouse }}",
            on_failure_callback=FAILED,
        )
        for warehouse in WAREHOUSES:
            with TaskGroup(group_id=warehouse) as group:
                add_tasks(
                    warehouse,
                    STEPS,
                    source_name=SOURCE,
                    month=MONTH,
                    outlets=(),
                    must_exist=True,
                )
            choose >> group
    return dag
