"""The Airflow DAGs that load, as if a person had to approve corrections of green taxis that delete many rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from taxiway.orchestration import month_of_run
from taxiway.orchestration.dags import load_dags
from taxiway.sources.source import Source
from taxiway.sources.source import find_source as find_any


def find_source(folder: Path, name: str) -> Source:
    """Find a source in place of the file's."""
    source = find_any(folder, name)
    return replace(source, approval=True) if name == "green" else source


month_of_run.find_source = find_source
for dag in load_dags():
    globals()[dag.dag_id] = dag
