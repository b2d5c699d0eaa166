"""Airflow's connections, checked before they are used: Postgres, the mirror, Google Cloud."""
