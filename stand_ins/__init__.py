"""What Taxiway talks to in the cloud and on the web, on this machine: for tests and offline demos.

- bigquery: a package, the stand-in for BigQuery
- cloud_storage: Cloud Storage, on gcp-storage-emulator
- web_apis: Docker Hub and the products' REST API, which the learning DAGs ask
- zetasql_analyzer, zetasql_values: Google's own analyzer and evaluator of BigQuery's SQL
"""
