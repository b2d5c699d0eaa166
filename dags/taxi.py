"""The DAGs of Taxiway, one for each source: taxi_green, taxi_yellow and whatever include/sources adds.

Airflow looks only into files whose text has the words airflow and dag: these are they.
"""

from taxiway.orchestration.dags import postgres_dags

for dag in postgres_dags():
    globals()[dag.dag_id] = dag
