"""Adds the reports to Airflow's web UI: a list in the menu *Browse*, and the pages that runs lead to."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class TaxiwayReports(AirflowPlugin):
    """The reports. Every process of Airflow imports this module; their routes are imported by the API server only."""

    name = "taxiway_reports"
    external_views = [  # noqa: RUF012 - as Airflow reads it
        {
            "name": "Taxi reports",
            "href": "taxiway-reports/",
            "url_route": "taxi-reports",
            "destination": "nav",
            "category": "browse",
        }
    ]

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The routes, which the API server asks for when it starts."""
        from taxiway.orchestration.report_link import ROUTE
        from taxiway.orchestration.report_routes import create_app

        return [{"app": create_app(), "url_prefix": ROUTE, "name": "Taxi reports"}]
