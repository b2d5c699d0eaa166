"""The project's Airflow DAGs of green and yellow taxis alone: those of all sources take longer to build than a load."""

from taxiway.orchestration.dags import load_dag
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source

for name in ("green", "yellow"):
    for warehouse in ("postgres", "bigquery"):
        dag = load_dag(load_source(SOURCES_FOLDER / f"{name}.yaml"), warehouse)
        globals()[dag.dag_id] = dag
