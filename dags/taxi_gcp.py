"""The DAGs of Google Cloud: taxi_green_gcp and so on, one for each source, gcp_setup and taxi_compare.

Airflow reads only files whose text has the words airflow and dag, so this docstring has them.
"""

from taxiway.orchestration.gcp_dags import gcp_dags

for dag in gcp_dags():
    globals()[dag.dag_id] = dag
