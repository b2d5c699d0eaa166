"""The DAG taxi_watch, which asks each day which files there are, and has new and changed months loaded.

Airflow reads only files whose text has the words airflow and dag, so this docstring has them.
"""

from taxiway.orchestration.watch_dag import watch_dag

dag = watch_dag()
