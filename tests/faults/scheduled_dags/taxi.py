"""The project's DAG of green taxis for Airflow's own scheduler, without catchup: a test un-pauses it."""

from taxiway.core.paths import SOURCES_FOLDER
from taxiway.core.sources import load_source
from taxiway.dags import postgres_dag

dag = postgres_dag(load_source(SOURCES_FOLDER / "green.yaml"))
dag.catchup = False
