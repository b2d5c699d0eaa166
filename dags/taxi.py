"""The DAGs that load: taxi_green and so on into Postgres, taxi_green_gcp and so on into BigQuery, one for each source.

The DAG taxi loads any month of any source, as its form asks. Airflow reads only files whose text has the words airflow
and dag, so this docstring has them.
"""

from taxiway.orchestration.dags import load_dags

for dag in load_dags():
    globals()[dag.dag_id] = dag
