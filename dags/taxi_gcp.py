"""The DAGs of Google Cloud besides its loads: gcp_setup and taxi_compare.

Airflow reads only files whose text has the words airflow and dag, so this docstring has them.
"""

from taxiway.orchestration.gcp_dags import gcp_dags

for dag in gcp_dags():
    globals()[dag.dag_id] = dag
