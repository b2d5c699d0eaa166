"""Airflow: dags, gcp_dags and compare_dag build the DAGs from dag_template; failures decides between retry and failure;
downloads, assets, month_of_run, known_conf, retry_after. hooks and operators are packages below."""
