"""The project's Airflow DAGs of green taxis alone: those of all sources take longer to build than many a task."""

from taxiway.orchestration.dags import load_dag
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source

green = load_source(SOURCES_FOLDER / "green.yaml")
into_postgres = load_dag(green, "postgres")
into_bigquery = load_dag(green, "bigquery")
