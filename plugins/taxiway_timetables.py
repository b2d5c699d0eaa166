"""Tells Airflow the timetable of Taxiway: a scheduler knows those of plugins alone."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from taxiway.orchestration.publication_timetable import PublicationTimetable


class TaxiwayTimetables(AirflowPlugin):
    """The timetable of monthly sources."""

    name = "taxiway_timetables"
    timetables = [PublicationTimetable]  # noqa: RUF012 - as Airflow reads it
