"""Airflow operators, one step of a load each."""
