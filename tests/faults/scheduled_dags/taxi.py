"""The project's DAG of green taxis for Airflow's own scheduler, without catchup: a test un-pauses it."""

from taxiway.orchestration.dags import load_dag
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source

dag = load_dag(load_source(SOURCES_FOLDER / "green.yaml"), "postgres")
dag.catchup = False
