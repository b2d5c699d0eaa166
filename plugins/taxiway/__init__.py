"""Taxiway: New York taxi months into a warehouse, on Apache Airflow.

sources: what is loaded. files: how a file is read. download: how it gets here. loads: what a load is, in no
warehouse's words. warehouses: how each does it. compare: two warehouses. orchestration: Airflow.
"""
