"""Compares published months: with those of another warehouse, and with known figures. No Airflow, no warehouse here.

- comparison: rows, sums and ids of a month in two warehouses
- known_figures: rows and bytes that the course and the TLC have counted
"""
