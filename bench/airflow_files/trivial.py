"""A DAG of four tasks that do nothing: what a run costs on this Airflow, whatever it does."""

from datetime import datetime, timezone

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, chain

start = datetime(2019, 1, 1, tzinfo=timezone.utc)
with DAG("trivial", schedule="0 20 1 * *", start_date=start, catchup=True, max_active_runs=4):
    # Airflow would not run an EmptyOperator.
    chain(*(PythonOperator(task_id=f"nothing_{number}", python_callable=lambda: None) for number in range(4)))
