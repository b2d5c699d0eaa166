"""Builds the DAG that compares both warehouses."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import DAG, AssetAny

from taxiway.orchestration.assets import asset_of
from taxiway.orchestration.dag_template import month_param, param, service_dag
from taxiway.orchestration.operators.compare_months import CompareMonthsOperator
from taxiway.sources.source import Source

COMPARE_DAG_ID = "taxi_compare"

_COMPARE_DOC = """\
## Postgres against BigQuery

Compares the published months of both warehouses, month by month: rows, the sum of every numeric column, and a digest
of the row ids. If they differ, the task fails and names the first ids that one of them lacks.

It runs whenever a load into one of them has published a month, and compares that month if both hold it from the
same file. If no month can be compared yet, the task is skipped; the load into the other warehouse starts it again.
Months that are published while this DAG is paused are compared by its next run. To start it by hand:
`airflow dags trigger taxi_compare -c '{"source": "green", "month": "2019-03"}'`. Without a month, every month
that both have is compared; without a source, every source.
"""


def compare_dag(sources: Sequence[Source]) -> DAG:
    """Build the DAG that compares both warehouses.

    :param sources: the sources that both may hold
    """
    # Any of them: a run consumes the events of all Assets, so a run that waits for two of them loses months.
    # Assets partitioned by month would lose months, too: docs/decisions/0014-the-comparison-follows-every-load.md
    assets = [asset_of(warehouse, source) for source in sources for warehouse in ("postgres", "bigquery")]
    with service_dag(
        COMPARE_DAG_ID,
        "Compares the published months of Postgres and of BigQuery",
        _COMPARE_DOC,
        schedule=AssetAny(*assets),
        tags=["postgres", "bigquery"],
        params={
            "source": param(
                None,
                type=["null", "string"],
                enum=[None, *(source.name for source in sources)],
                title="Source",
                description="The source to compare. Empty: every one.",
            ),
            "month": month_param("The month to compare, as YYYY-MM. Empty: every month that both have."),
        },
    ) as dag:
        CompareMonthsOperator(
            task_id="compare",
            source_names=[source.name for source in sources],
            source_name="{{ params.source or '' }}",
            month="{{ params.month or '' }}",
            inlets=assets,
        )
    return dag
