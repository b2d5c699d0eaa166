"""What the loads update, in Airflow's words: the published months of a source in each warehouse.

Their addresses begin with ``x-``: for any other scheme Airflow asks every provider how to write it, and imports
Google's on the way, which takes each task a second. Name and address go together: an asset whose address changed
under its name stays inactive until a scheduler has run, and a task that updates it fails.
"""

from __future__ import annotations

from airflow.sdk import Asset

from taxiway.core.sources import Source


def postgres_asset(source: Source) -> Asset:
    """Return what the Postgres DAG of a source updates."""
    return _asset("postgres", source)


def bigquery_asset(source: Source) -> Asset:
    """Return what the BigQuery DAG of a source updates."""
    return _asset("bigquery", source)


def _asset(warehouse: str, source: Source) -> Asset:
    return Asset(name=f"{warehouse}_{source.main_table}", uri=f"x-taxiway://{warehouse}/{source.main_table}")
