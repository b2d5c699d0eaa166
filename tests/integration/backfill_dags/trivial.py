"""DAGs whose tasks do nothing, but for the record that Airflow keeps of them."""

import pendulum
from airflow.sdk import DAG, Param, task

for dag_id, catchup in (("trivial", True), ("other_trivial", False)):
    with DAG(
        dag_id,
        schedule="0 9 1 * *",
        start_date=pendulum.datetime(2019, 1, 1, tz="UTC"),
        catchup=catchup,
        max_active_runs=16,
        params={
            "month": Param(None, type=["null", "string"], not_for_backfills=True),
            "why": Param("", type="string"),
        },
    ):

        @task
        def first() -> str:
            """Return something for the next task."""
            return "seen"

        @task
        def second(text: str) -> None:
            """Take what the first task returned."""
            assert text == "seen"

        second(first())
