"""Compares the published months of two warehouses. It knows no Airflow, and no warehouse.

- comparison: rows, sums and ids of a month
"""
