"""Compares the published months of two warehouses. It knows no Airflow."""
