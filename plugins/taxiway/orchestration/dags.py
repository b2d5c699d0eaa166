"""Builds the DAGs that load months: one template, which a source and a warehouse fill in."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import DAG, get_parsing_context

from taxiway.loads.steps import STEPS, Step
from taxiway.orchestration.assets import asset_of
from taxiway.orchestration.dag_template import MUST_EXIST, how, month_dag, month_of_runs
from taxiway.orchestration.load_tasks import add_tasks
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID
from taxiway.orchestration.taxi_dag import taxi_dag
from taxiway.orchestration.warehouses import WAREHOUSES, dag_id_of
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import Source, load_source, read_sources


def load_dags() -> tuple[DAG, ...]:
    """Build the DAGs of all sources for all warehouses, and ``taxi``; in a task's process, only that task's.

    A task needs its own DAG only, and building the others would take longer than many a task does. A source whose
    file is wrong has no DAG, and the others have theirs:
    :func:`~taxiway.orchestration.dag_template.require_sound_sources` says what is wrong.

    :raises SourceConfigError: the file of the only source that is wanted is wrong
    """
    wanted = get_parsing_context().dag_id
    if wanted == TAXI_DAG_ID:
        # Its tasks read the source that their run names: here, names are enough.
        return (taxi_dag({path.stem: path.stem for path in SOURCES_FOLDER.glob("*.yaml")}),)
    for path in SOURCES_FOLDER.glob("*.yaml"):
        for warehouse in WAREHOUSES:
            if dag_id_of(warehouse, path.stem) == wanted:
                return (load_dag(load_source(path), warehouse),)
    sources, _ = read_sources(SOURCES_FOLDER)
    any_source = (taxi_dag({source.name: source.title for source in sources}),) if sources else ()
    return (*any_source, *(load_dag(source, warehouse) for warehouse in WAREHOUSES for source in sources))


def load_dag(source: Source, warehouse: str, steps: Sequence[Step] = STEPS) -> DAG:
    """Build the DAG that loads a source into a warehouse, one month a run.

    :param source: the source, from its YAML file
    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    :param steps: the load's steps; see :func:`taxiway.loads.steps.before_publishing`
    """
    kind = WAREHOUSES[warehouse]
    with month_dag(
        source,
        dag_id_of(warehouse, source.name),
        warehouse=warehouse,
        description=f"{source.title} into {kind.into}{how(source)}",
        doc=kind.doc,
    ) as dag:
        add_tasks(
            warehouse,
            steps,
            source_name=source.name,
            month=month_of_runs(source),
            outlets=[asset_of(warehouse, source)],
            must_exist=MUST_EXIST,
        )
    return dag
