"""The comparison as decision 14 tried it: a run for each month, set off by Airflow when both warehouses have it.

And a year's report as decision 24 tried it.
"""

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    DAG,
    Asset,
    PartitionedAssetTimetable,
    RollupMapper,
    StartOfYearMapper,
    YearWindow,
    task,
)

from taxiway.orchestration.assets import asset_of
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import find_source

GREEN = find_source(SOURCES_FOLDER, "green")
POSTGRES, BIGQUERY = asset_of("postgres", GREEN), asset_of("bigquery", GREEN)

for dag_id, condition in (("when_both", POSTGRES & BIGQUERY), ("when_either", POSTGRES | BIGQUERY)):
    with DAG(
        dag_id,
        schedule=PartitionedAssetTimetable(assets=condition),
        catchup=False,
        is_paused_upon_creation=False,
    ):
        EmptyOperator(task_id="compare")

# The year's report, as decision 24 tried it: a run if Airflow has heard of all twelve months.
with DAG(
    "when_year",
    schedule=PartitionedAssetTimetable(
        assets=Asset("published_month"),
        default_partition_mapper=RollupMapper(
            upstream_mapper=StartOfYearMapper(input_format="%Y-%m"), window=YearWindow()
        ),
    ),
    catchup=False,
    is_paused_upon_creation=False,
):
    EmptyOperator(task_id="report")

with DAG("scheduler_is_awake", schedule=Asset("wake_up"), catchup=False, is_paused_upon_creation=False):
    EmptyOperator(task_id="be_awake")

with DAG("publish_months", schedule=None, is_paused_upon_creation=False):

    @task(outlets=[POSTGRES])
    def publish(**context: Any) -> None:
        """Say which months were published: those of the run's conf, else that of its logical date."""
        months = context["dag_run"].conf.get("months") or [context["logical_date"].strftime("%Y-%m")]
        context["outlet_events"][POSTGRES].add_partitions(months)

    publish()
