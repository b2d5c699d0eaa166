"""The steps of a load on Cloud Storage and BigQuery, on Google's own clients. They know no Airflow.

- bucket: the objects in Cloud Storage
- cleanup: drops what a run has left
- doctor: what ``airflow taxi doctor`` looks at
- errors: what Google Cloud refused, and whether a retry may help
- file_order: which of two files of a month is the later one
- hash: types and ids of the staged rows
- jobs: BigQuery's jobs, each found again by its id
- ledger: the attempts, as events
- main_table: creates the main table, and brings an earlier version's over
- measure: counts and measures before a month is published
- month_file: checks every line of a file before the upload
- provisioning: creates bucket and dataset
- publication_jobs: the publications of a month, as numbered jobs
- publish: publishes a month
- published: whether the main table still holds what the ledger says
- published_months: published months, for the comparison and the watch
- rejects: rows that can't be read
- settings: project, location, bucket, dataset, and what a query may bill
- stage: stages an object's rows
- statements: SQL files, rendered and with their values bound
- tables: names of tables, objects and jobs
- upkeep: what maintenance asks for, and deletes
- upload: uploads a month's file
- warehouse: :class:`BigQueryWarehouse`, which the steps call
"""
