"""Compares the published months of two warehouses: comparison. It knows no Airflow, and no warehouse."""
