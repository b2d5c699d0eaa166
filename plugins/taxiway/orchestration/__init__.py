"""Airflow: dags and gcp_dags build the DAGs from dag_template; assets, month_of_run, known_conf, retry_after."""
