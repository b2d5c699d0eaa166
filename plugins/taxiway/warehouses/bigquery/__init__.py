"""The steps of a load on Cloud Storage and BigQuery, on Google's own clients. They know no Airflow."""
