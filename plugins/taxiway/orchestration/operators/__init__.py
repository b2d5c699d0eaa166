"""Airflow operators: one class a file, one step of a load each, for every warehouse.

- step_operator: what the operators of steps have in common
- file_step: what those have in common whose step reads the downloaded file
- download_month, upload_month, create_main_table, stage_month, hash_rows, check_month, merge_month, drop_staging: the
  steps
- choose_warehouse: chooses whose steps a run of the DAG taxi goes on with
- clean_metadata: deletes old runs from Airflow's metadata
- compare_months: compares Postgres and BigQuery
- download_file: downloads a month's file, for a DAG of your own
- gcp_create: creates the bucket, the dataset and the ledger in Google Cloud
- summarize_months: writes the summary of published months
- trim_cache, trim_warehouse: delete what nobody needs any more
- write_month_reports, write_year_reports: write reports from the summary
- watch_files: asks mirrors which files they have, and decides which months are loaded
"""
