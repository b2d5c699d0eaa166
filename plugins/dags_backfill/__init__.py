"""The command ``airflow dags backfill``."""
