"""The DAGs of Google Cloud: taxi_green_gcp, taxi_yellow_gcp and whatever include/sources adds, gcp_setup, taxi_compare.

Airflow looks only into files whose text has the words airflow and dag: these are they.
"""

from taxiway.core.paths import SOURCES_FOLDER
from taxiway.core.sources import load_sources
from taxiway.gcp_dags import compare_dag, gcp_dag, setup_dag

sources = load_sources(SOURCES_FOLDER)
for dag in (*map(gcp_dag, sources), setup_dag(), compare_dag(sources)):
    globals()[dag.dag_id] = dag
