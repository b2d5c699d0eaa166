"""The DAG that clears up each month: an airflow dag."""

from taxiway.orchestration.maintenance_dag import maintenance_dag

taxi_maintenance = maintenance_dag()
