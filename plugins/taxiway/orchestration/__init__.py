"""Airflow: builds the DAGs and runs the steps of a load as tasks.

Packages:

- alerts: tells people what has become of a month
- hooks: Airflow's connections, checked
- operators: one class a step

Modules:

- assets: what the loads update, for DAGs that follow them
- compare_dag: builds the DAG that compares both warehouses
- dag_template: what the DAGs have in common
- dags: builds the DAGs that load, for every warehouse
- downloads: downloads with the connection and the settings in force
- failures: decides between retry and failure
- gcp_dags: builds the DAGs of Google Cloud that set up and compare
- json_variable: reads the JSON of a Variable, and says what is wrong with it
- known_conf: which keys the conf of a run may have
- load_command: the command line that loads months
- load_tasks: makes the tasks of a load
- login: leads whoever isn't logged in to Airflow's login
- maintenance_dag: builds the DAG that clears up
- mirrors: asks which files the mirrors have
- month_of_run: which source and month a run loads
- open_bigquery: opens BigQuery for a step
- open_postgres: opens Postgres for a step
- publication_timetable: when the runs of a monthly source start
- report_dags: builds the DAGs that report months and years
- report_link: leads from a task to the report that it has written
- report_routes: the reports in the web UI
- reporting: what the tasks of reports have in common
- retention: how long what no month needs is kept
- retry_after: when a download is tried again
- standing: what tells how months stand besides the ledger
- taxi_conf: which keys a run of the DAG taxi has, and the commands with them
- taxi_dag: builds the DAG taxi, whose form asks for any month of any source
- warehouses: the warehouses that months can be loaded into
- watch_dag: builds the DAG that asks which files are new or changed
"""
