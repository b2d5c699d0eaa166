"""The DAGs of Postgres, one for each source in include/sources: taxi_green, taxi_yellow and so on.

Airflow reads only files whose text has the words airflow and dag, so this docstring has them.
"""

from taxiway.orchestration.dags import postgres_dags

for dag in postgres_dags():
    globals()[dag.dag_id] = dag
