"""Adds the board to Airflow's web UI: a page of all taxi months, and a tab of each DAG's own ones."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class TaxiwayBoard(AirflowPlugin):
    """The board. Every process of Airflow imports this module; the board itself is imported by the API server only."""

    name = "taxiway_board"
    external_views = [  # noqa: RUF012 - as Airflow reads it
        {
            "name": "Taxiway",
            "href": "taxiway/board",
            "url_route": "taxi-months",
            "destination": "nav",
            "nav_top_level": True,
            "icon": "taxiway/static/icon.svg",
            "icon_dark_mode": "taxiway/static/icon_dark.svg",
        },
        {
            "name": "Months",
            "href": "taxiway/board?dag_id={DAG_ID}",
            "url_route": "taxi-dag-months",
            "destination": "dag",
            "icon": "taxiway/static/icon.svg",
            "icon_dark_mode": "taxiway/static/icon_dark.svg",
        },
    ]

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The board's routes, which the API server asks for when it starts."""
        from taxiway.board.app import create_app

        return [{"app": create_app(), "url_prefix": "/taxiway", "name": "Taxiway"}]
