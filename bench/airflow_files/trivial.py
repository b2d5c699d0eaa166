"""A DAG of four tasks that do nothing: what a run costs on this Airflow, whatever it does."""

from datetime import datetime, timezone

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG


def nothing() -> None:
    """Do nothing."""


with DAG(
    dag_id="trivial",
    schedule="0 20 1 * *",
    start_date=datetime(2019, 1, 1, tzinfo=timezone.utc),
    catchup=True,
    max_active_runs=4,
) as dag:
    first, second, third, fourth = (
        PythonOperator(task_id=name, python_callable=nothing) for name in ("first", "second", "third", "fourth")
    )
    first >> second >> third >> fourth
