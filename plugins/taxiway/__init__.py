"""Taxiway: New York taxi months into a warehouse, on Apache Airflow."""
