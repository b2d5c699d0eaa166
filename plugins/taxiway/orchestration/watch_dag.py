"""Builds the DAG that watches the mirrors: it asks each day which files there are, and has new and changed ones loaded.

While it is parsed, no connection is opened.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, TaskGroup

from taxiway.orchestration.alerts.taxi_alert import TaxiAlert
from taxiway.orchestration.dag_template import param, service_dag
from taxiway.orchestration.operators.watch_files import WatchFilesOperator
from taxiway.orchestration.retry_after import RetryAfterPolicy
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID
from taxiway.orchestration.warehouses import WAREHOUSES

WATCH_DAG_ID = "taxi_watch"

CATCH_UP = 6
"""Months behind the last published one that are loaded, unless the form says otherwise."""

MOST_RUNS = 10
"""Runs that one look starts for a warehouse, unless the form says otherwise."""

_DOC = """\
## New and changed files, each day

Asks the mirrors by `HEAD` which files they have, of the sources that you have loaded months of. A month that follows
your last one and is there, or whose file has changed since it was loaded, is loaded by a run of `taxi`. No file is
downloaded to find that out.

| | |
|---|---|
| what it decided, and why | the log of `look`, and `SELECT * FROM taxiway.watched_files` |
| what it started | the runs of `taxi` whose ids begin with `watch__` |
| only look | `airflow dags trigger taxi_watch -c '{"only_look": true}'` |
| more | docs/watch.md |

A month that isn't published yet is waited for: `waiting` in the table, and no failure. Paused at first: unpause it to
watch each day.
"""


def watch_dag() -> DAG:
    """Build the DAG."""
    with service_dag(
        WATCH_DAG_ID,
        "Asks each day which files there are, and has new and changed months loaded",
        _DOC,
        schedule="0 12 * * *",
        tags=[*WAREHOUSES],
        dagrun_timeout=timedelta(hours=6),
        params={
            "only_look": param(
                False,
                type="boolean",
                title="Only look",
                description="Say and record what would be loaded, and start no run.",
            ),
            "most_runs": param(
                MOST_RUNS,
                type="integer",
                minimum=1,
                maximum=1000,
                title="Most runs",
                description="How many runs one look starts for a warehouse. The next look starts others.",
            ),
            "catch_up": param(
                CATCH_UP,
                type="integer",
                minimum=0,
                maximum=1200,
                title="Months to catch up with",
                description="If more months follow the last published one, none of them is loaded: a backfill is for "
                "them. 0: only changed files are loaded.",
            ),
        },
    ) as dag:
        for warehouse in WAREHOUSES:
            with TaskGroup(group_id=warehouse):
                look = WatchFilesOperator(
                    task_id="look",
                    warehouse=warehouse,
                    only_look="{{ params.only_look }}",
                    most_runs="{{ params.most_runs }}",
                    catch_up="{{ params.catch_up }}",
                    retry_policy=RetryAfterPolicy(),
                    on_success_callback=TaxiAlert("late"),
                )
                TriggerDagRunOperator.partial(
                    task_id="trigger",
                    trigger_dag_id=TAXI_DAG_ID,
                    # A run of taxi has no logical date: its conf says what it loads.
                    logical_date=None,
                    # A try that was cut off has started it.
                    skip_when_already_exists=True,
                    # It would add a key to the conf.
                    openlineage_inject_parent_info=False,
                    map_index_template="{{ task.trigger_run_id }}",
                ).expand_kwargs(look.output)
    return dag
