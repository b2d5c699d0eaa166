"""The DAGs of Taxiway, one for each source: taxi_green, taxi_yellow and whatever include/sources adds.

Airflow looks only into files whose text has the words airflow and dag: these are they.
"""

from taxiway.core.paths import SOURCES_FOLDER
from taxiway.core.sources import load_sources
from taxiway.dags import postgres_dag

for source in load_sources(SOURCES_FOLDER):
    dag = postgres_dag(source)
    globals()[dag.dag_id] = dag
