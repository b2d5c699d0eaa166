"""The project's DAGs and sources."""

from __future__ import annotations

from typing import Any

import pytest

from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.source import Source, load_sources


@pytest.fixture(scope="session")
def bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(ROOT / "dags"), collect_dags=True)


@pytest.fixture(params=load_sources(SOURCES_FOLDER), ids=lambda source: source.name)
def source(request: pytest.FixtureRequest) -> Source:
    found: Source = request.param
    return found
