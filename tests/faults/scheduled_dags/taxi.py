"""The project's DAGs of two sources for Airflow's own scheduler, without catchup: a test un-pauses one."""

from taxiway.orchestration.dags import load_dag
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source

for name in ("green", "yellow"):
    dag = load_dag(load_source(SOURCES_FOLDER / f"{name}.yaml"), "postgres")
    dag.catchup = False
    globals()[dag.dag_id] = dag
