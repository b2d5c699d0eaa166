"""## Hello, Airflow

Stands for the course's flow `01_hello_world`. A run greets `name`, waits 15 seconds and says goodbye.

| the course's word | here |
|---|---|
| input | `params`: the form asks for `name` |
| variable | `WELCOME`: written once, used by two tasks; Airflow fills the name in |
| output | what `make_output` returns; `log_output` takes it from XCom |
| plugin defaults | `default_args`: every `LogMessage` gets its `level` from there |
| sleep | a deferred sensor: the triggerer waits, and no worker is kept busy |
| concurrency 2, behavior `FAIL` | `take_a_place` fails a third run at once |
| concurrency 2, behavior `QUEUE` | Airflow's own `max_active_runs=2`: a third run would wait as *queued* |
| trigger with inputs, disabled | `hello_world_daily`: 10:00 UTC, another name, paused until you unpause it |

Run `airflow dags test hello_world`, or press *Trigger* on the page of `hello_world`.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG, BaseOperator, Param, chain, task
from airflow.sdk.exceptions import AirflowFailException

from taxiway.orchestration.known_conf import refuse_unknown_conf

WELCOME = "Hello, {{ params.name }}!"
IN_15_SECONDS = "{{ macros.datetime.now(dag.timezone) + macros.timedelta(seconds=15) }}"
MOST_RUNS = 2
ENDED = {"success", "failed", "upstream_failed", "skipped", "removed"}


class LogMessage(BaseOperator):
    """Logs a message (templated) at a level."""

    template_fields = ("message",)

    def __init__(self, *, message: str, level: int, **options: Any) -> None:
        """Keep what is given: Airflow fills the template in before it calls :meth:`execute`."""
        super().__init__(**options)
        self.message = message
        self.level = level

    def execute(self, context: Any) -> None:
        """Log the message."""
        self.log.log(self.level, self.message)


def hello(dag_id: str, *, name: str, **when: Any) -> DAG:
    """Build the DAG that greets somebody."""
    with DAG(
        dag_id,
        description=f"Says hello to {name}, waits and says goodbye",
        doc_md=__doc__,
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        tags=["learn"],
        params={"name": Param(name, type="string", minLength=1, title="Name")},
        default_args={
            "owner": "taxiway",
            "level": logging.ERROR,  # of all messages: as in the flow, they stand out in the log
            "retries": 2,
            "retry_delay": timedelta(seconds=5),
            "execution_timeout": timedelta(minutes=5),
            "pre_execute": refuse_unknown_conf,
        },
        **when,
    ) as dag:

        @task(max_active_tis_per_dag=1)  # one run looks at a time, so that runs which start together see each other
        def take_a_place(ti: Any = None) -> int:
            states = ti.get_task_states(dag_id, task_ids=["take_a_place", "say_goodbye"])
            going = [
                run_id
                for run_id, of in states.items()
                if run_id != ti.run_id
                and of.get("take_a_place") == "success"
                and of.get("say_goodbye", "removed") not in ENDED
            ]
            if len(going) >= MOST_RUNS:
                raise AirflowFailException(
                    f"{MOST_RUNS} runs of {dag_id} are going on ({', '.join(sorted(going))}), and a further one fails: "
                    f"start it again when one of them has ended"
                )
            return len(going)

        @task
        def make_output(welcome: str) -> str:
            return f"{welcome!r} has {len(welcome)} characters"

        chain(
            take_a_place(),
            LogMessage(task_id="say_hello", message=WELCOME),
            make_output(WELCOME),
            DateTimeSensorAsync(task_id="wait", target_time=IN_15_SECONDS),
            LogMessage(task_id="log_output", message="An earlier task found: {{ ti.xcom_pull('make_output') }}"),
            LogMessage(task_id="say_goodbye", message="Goodbye, {{ params.name }}!"),
        )
    return dag


hello_world = hello("hello_world", name="Will", schedule=None)
hello_world_daily = hello("hello_world_daily", name="Sarah", schedule="0 10 * * *", is_paused_upon_creation=True)
