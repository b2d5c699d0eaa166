"""The Airflow DAG of green taxis, as if a person had to approve corrections that delete many rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from taxiway.orchestration import month_of_run
from taxiway.orchestration.dags import load_dag
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import Source, load_source

green = replace(load_source(SOURCES_FOLDER / "green.yaml"), approval=True)


def find_source(folder: Path, name: str) -> Source:
    """Find it in place of the file's."""
    assert name == green.name
    return green


month_of_run.find_source = find_source
dag = load_dag(green, "postgres")
