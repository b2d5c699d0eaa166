"""The checks of what DAGs are made from: the sources, the DAG files and the time zones that they name."""

from __future__ import annotations

import time
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.configuration import conf

from taxiway.doctor.check import Check, Finding, fail, ok
from taxiway.messages import one_line
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_sources, read_sources

METADATA = "metadata"
"""Name of the check of Airflow's metadata database, which many others need."""


def sources() -> Finding:
    """Can every source's YAML file be used?"""
    return ok(", ".join(source.name for source in load_sources(SOURCES_FOLDER)))


def dags() -> Finding:
    """Can every DAG file be imported?"""
    from airflow.dag_processing.dagbag import DagBag

    folder = conf.get("core", "dags_folder")
    bag = DagBag(folder)
    if not bag.import_errors:
        if bag.dags:
            return ok(f"{len(bag.dags)} DAGs in {folder}")
        return fail(f"no DAG in {folder}", "correct [core] dags_folder, or AIRFLOW__CORE__DAGS_FOLDER if it is set")
    found = [f"{Path(path).name}: {_last_line(error)}" for path, error in bag.import_errors.items()]
    more = f"; and {len(found) - 3} more files" if len(found) > 3 else ""
    return fail(
        f"{'; '.join(found[:3])}{more}",
        "correct the file, or what it reads; a running DAG processor imports it again by itself",
    )


def time_zone() -> Finding:
    """Does the machine know the time zones of Airflow and of the sources?"""
    usable, _ = read_sources(SOURCES_FOLDER)
    default = conf.get("core", "default_timezone")
    names = {source.timezone for source in usable} | ({default} - {"utc", "system"})
    for name in sorted(names):
        try:
            ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            return fail(
                f"{name} is not a time zone that this machine knows",
                "set AIRFLOW__CORE__DEFAULT_TIMEZONE to another one, such as utc, or leave it out"
                if name == default
                else "correct timezone in the source's YAML file",
            )
    return ok(f"Airflow's is {default}, the machine's is {time.strftime('%Z')}")


def _last_line(error: str) -> str:
    return one_line((error.strip().splitlines() or [""])[-1], 300)


CHECKS = (
    Check("sources", sources, "correct the file: docs/sources.md"),
    Check("time zone", time_zone, "set AIRFLOW__CORE__DEFAULT_TIMEZONE to utc, or leave it out"),
    Check("DAGs", dags, "look which file takes so long: airflow dags report", seconds=180.0),
)
"""All of them."""
