"""Airflow's connections, checked before they are used.

- connection_variable: whether a connection can be read, and has the right type
- gcp_hooks: Google Cloud, and its settings
- mirror_hook: the mirror
- postgres_hook: the warehouse in Postgres
"""
