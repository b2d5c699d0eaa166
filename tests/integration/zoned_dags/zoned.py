"""DAGs of time zones, at times that a change of clocks skips or repeats, or on another day in UTC."""

from __future__ import annotations

from datetime import datetime

import pendulum
from airflow.sdk import DAG, task

for dag_id, zone, schedule in (
    ("march", "America/New_York", "30 2 10 * *"),  # on 2019-03-10, clocks went from 02:00 to 03:00
    ("november", "America/New_York", "30 1 3 * *"),  # on 2019-11-03, clocks went from 02:00 back to 01:00
    ("tokyo", "Asia/Tokyo", "0 0 1 * *"),  # on the last day of the month before, in UTC
    ("hourly", "America/New_York", "0 * * * *"),
):
    with DAG(
        dag_id, schedule=schedule, start_date=datetime(2019, 1, 1, tzinfo=pendulum.timezone(zone)), catchup=True
    ) as dag:

        @task
        def month(logical_date: datetime | None = None) -> None:
            """Say nothing."""

        month()
    globals()[dag_id] = dag
