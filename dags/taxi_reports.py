"""The DAGs that report what is published in Postgres: taxi_monthly_report and taxi_year_report.

Airflow reads only files whose text has the words airflow and dag, so this docstring has them.
"""

from taxiway.orchestration.report_dags import report_dags

for dag in report_dags():
    globals()[dag.dag_id] = dag
