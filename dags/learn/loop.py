"""## Many months by one run

Stands for the challenge of the course's homework: one flow that loops over taxis and months, and calls the flow that
loads one month. A run starts a run of the DAG `taxi` for each combination.

| the course's word | here |
|---|---|
| `ForEach` | a mapped task: `load_month` has a copy for each combination that `list_months` returns |
| `Subflow` | `TriggerDagRunOperator`: each copy starts a run of `taxi`, and ends as that run ends |
| wait | deferred: the triggerer waits, and no worker is kept busy |
| label | `map_index_template` names a copy in the grid; the run of `taxi` has a telling run id, and a note |
| concurrency | `max_active_runs` of `taxi`: the runs above it are *queued* |

A month that fails stops no other. `name_failures` names it at the end, and the run is red. Clear the failed tasks to
try only these again; a new run takes all, and ends at once for months that are loaded.

It needs Airflow's services, for `taxi` runs there. Press *Trigger* on the page of `loop`, or run
`airflow dags unpause loop`, then
`airflow dags trigger loop -c '{"taxis": ["green"], "first": "2021-01", "last": "2021-03"}'`.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException

from taxiway.orchestration.dag_template import DAGRUN_TIMEOUT
from taxiway.orchestration.known_conf import refuse_unknown_conf
from taxiway.orchestration.taxi_conf import fitting_run_id
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import MONTH_PATTERN
from taxiway.sources.source import read_sources

TAXIS = [source.name for source in read_sources(SOURCES_FOLDER)[0] if not source.stands_alone]

with DAG(
    "loop",
    description="Loads every month of a range for several taxis, by runs of the DAG taxi",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    tags=["learn"],
    params={
        "taxis": Param(
            ["green", "yellow"],
            type="array",
            items={"type": "string", "enum": TAXIS},
            minItems=1,
            uniqueItems=True,
            examples=TAXIS,
            title="Taxis",
        ),
        "first": Param("2021-01", type="string", pattern=MONTH_PATTERN, title="First month, as YYYY-MM"),
        "last": Param("2021-07", type="string", pattern=MONTH_PATTERN, title="Last month, as YYYY-MM"),
        "warehouse": Param("postgres", type="string", enum=list(WAREHOUSES), title="Warehouse"),
    },
    default_args={
        "owner": "taxiway",
        "retries": 2,
        "retry_delay": timedelta(seconds=5),
        "execution_timeout": timedelta(minutes=5),
        "pre_execute": refuse_unknown_conf,
    },
) as dag:

    @task
    def list_months(params: Any = None, run_id: Any = None) -> list[dict[str, Any]]:
        """List what each run of `taxi` gets."""
        first, last = params["first"], params["last"]
        if first > last:
            raise AirflowFailException(
                f"first is {first}, last is {last}: expected the earlier month as first. Start a new run with them"
            )
        years = range(int(first[:4]), int(last[:4]) + 1)
        months = [f"{year}-{number:02d}" for year in years for number in range(1, 13)]
        return [
            {
                "trigger_run_id": fitting_run_id(f"loop__{taxi}_{month}__{run_id}"),
                "conf": {"taxi": taxi, "year": month[:4], "month": month[5:], "warehouse": params["warehouse"]},
                "note": f"{taxi} {month}",
            }
            for taxi in params["taxis"]
            for month in months
            if first <= month <= last
        ]

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def name_failures(ti: Any = None) -> None:
        """Fail if a month has failed: a run ends as its last task does."""
        months = ti.xcom_pull("list_months")
        if not months:
            raise AirflowFailException("list_months failed: its log says why")
        states = ti.get_task_states("loop", task_ids=["load_month"], run_ids=[ti.run_id])[ti.run_id]
        failed = [month["note"] for index, month in enumerate(months) if states[f"load_month_{index}"] != "success"]
        if failed:
            paused = ti.get_dag("taxi").is_paused
            why = "The DAG taxi is paused: unpause it" if paused else "The logs of their runs of taxi say why: mend it"
            raise AirflowFailException(
                f"{len(failed)} of {len(months)} failed: {', '.join(failed)}. {why}, then clear this run's failed tasks"
            )

    load_month = TriggerDagRunOperator.partial(
        task_id="load_month",
        trigger_dag_id="taxi",
        logical_date=None,
        map_index_template="{{ task.note }}",
        fail_when_dag_is_paused=True,  # in a paused DAG, a run would wait for ever
        wait_for_completion=True,
        deferrable=True,
        poke_interval=5,
        reset_dag_run=True,  # cleared, a copy starts its run of taxi again
        retries=0,  # taxi has retries
        execution_timeout=DAGRUN_TIMEOUT,
    ).expand_kwargs(list_months())

    load_month >> name_failures()
