"""``airflow taxi doctor``: what is wrong, and what mends it.

A check is a function that looks at one thing and returns a finding, and a line in a list of its module.

- alerts: who is told if a month fails
- command: the command, and all checks in their order
- dag_files: the sources, the DAG files and the time zones that they name
- metadata: Airflow's metadata database, services, and runs that nobody works on
- mirrors: where files are fetched from, the cache, and the clock
- warehouses: Postgres and BigQuery, over Airflow's connections
"""
