"""BigQuery and Cloud Storage on this machine, for tests and the offline demo.

- bigquery: a package, the stand-in for BigQuery
- cloud_storage: Cloud Storage, on gcp-storage-emulator
- zetasql_analyzer, zetasql_values: Google's own analyzer and evaluator of BigQuery's SQL
"""
