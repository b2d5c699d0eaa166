LEARNING = {"hello_world", "hello_world_daily", "docker_pulls", "getting_started", "loop"}
"""The DAGs of ``dags/learn``."""

REPORTS = {"taxi_monthly_report", "taxi_year_report"}
"""The DAGs of ``dags/taxi_reports.py``."""
