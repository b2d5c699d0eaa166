"""The DAGs of Google Cloud: taxi_green_gcp, taxi_yellow_gcp and whatever include/sources adds, gcp_setup, taxi_compare.

Airflow looks only into files whose text has the words airflow and dag: these are they.
"""

from taxiway.orchestration.gcp_dags import gcp_dags

for dag in gcp_dags():
    globals()[dag.dag_id] = dag
