"""Builds the DAGs of Postgres: one template, filled in for each source."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import DAG

from taxiway.loads.steps import STEPS, Step
from taxiway.orchestration.assets import postgres_asset
from taxiway.orchestration.dag_template import how, month_dag, sources_to_build
from taxiway.orchestration.load_tasks import add_tasks
from taxiway.sources.source import Source

_DOC = """\
## {title}

Each run loads {of} into `public.{table}`, in the warehouse of the connection `taxi_postgres`.

| | |
|---|---|
{rows}
| what is loaded | `SELECT * FROM taxiway.months WHERE source = '{source}'` |
| every attempt | `SELECT * FROM taxiway.loads WHERE source = '{source}'` |

Steps: download → stage → row id → check → publish. Loading {it} again changes nothing. If the
file was corrected, the {the} becomes what the file says. It is published whole or not at all.
Rows that can't be read are kept in `taxiway.rejected_rows`. The staging tables of the run are dropped
at its end. If the run is cut off, the next run of {it} drops them.
"""


def postgres_dag_id(source_name: str) -> str:
    """Return the id of the DAG that loads a source into Postgres."""
    return f"taxi_{source_name}"


def postgres_dags() -> tuple[DAG, ...]:
    """Build the DAGs of all sources; in a task's process, only that task's."""
    return tuple(map(postgres_dag, sources_to_build(postgres_dag_id)))


def postgres_dag(source: Source, steps: Sequence[Step] = STEPS) -> DAG:
    """Build the DAG that loads a source into Postgres, one month a run.

    :param source: the source, from its YAML file
    :param steps: the load's steps; see :func:`taxiway.loads.steps.before_publishing`
    """
    with month_dag(
        source,
        postgres_dag_id(source.name),
        warehouse="postgres",
        description=f"{source.title} into Postgres{how(source)}",
        doc=_DOC,
    ) as dag:
        add_tasks(source, "postgres", steps, postgres_asset(source))
    return dag
