from typing import Any

LEARNING = {"hello_world", "hello_world_daily", "docker_pulls", "getting_started", "loop"}
"""The DAGs of ``dags/learn``."""

REPORTS = {"taxi_monthly_report", "taxi_year_report"}
"""The DAGs of ``dags/taxi_reports.py``."""


def as_stored(dag: Any) -> Any:
    """The DAG as the scheduler and the API server see it."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
