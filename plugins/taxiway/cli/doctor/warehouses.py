"""The checks of the warehouses, over Airflow's connections; what is looked at is the warehouses' own."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from taxiway.cli.doctor.dag_files import METADATA
from taxiway.cli.doctor.mirrors import stored_in
from taxiway.doctor.check import Check, Finding, hangs, skip
from taxiway.errors import SourceConfigError
from taxiway.orchestration.load_command import how_to_load
from taxiway.orchestration.month_of_run import run_of_name
from taxiway.orchestration.warehouses import WAREHOUSES, dag_id_of
from taxiway.paths import SOURCES_FOLDER
from taxiway.program import airflow_command
from taxiway.sources.months import Month
from taxiway.sources.source import find_source
from taxiway.warehouses.bigquery import doctor as bigquery
from taxiway.warehouses.bigquery.settings import VARIABLES
from taxiway.warehouses.postgres import doctor as postgres

POSTGRES, GCP = (WAREHOUSES[name].conn_id for name in ("postgres", "bigquery"))


def postgres_finds(name: str) -> Finding:
    """Make a check of Postgres.

    :param name: one of :data:`taxiway.warehouses.postgres.doctor.CHECKS`
    """
    from taxiway.orchestration.hooks.postgres_hook import WarehouseHook

    server = postgres.Server(
        WarehouseHook(postgres_conn_id=POSTGRES).get_conn,
        POSTGRES,
        _load_again,
        partial(_ended, before=datetime.now(timezone.utc)),
    )
    return server.ask(postgres.CHECKS[name])


def _load_again(source: str, month: Month) -> str:
    try:
        return how_to_load(find_source(SOURCES_FOLDER, source), [month], "postgres")
    except SourceConfigError as error:
        return f"nothing loads it: {error}"


def _ended(runs: Collection[tuple[str, str]], before: datetime) -> Collection[tuple[str, str]]:
    """Return those of some runs that had ended; none if Airflow can't be asked, of which :data:`METADATA` tells."""
    if hangs(METADATA):
        return []
    from taxiway.orchestration.standing import runs_ended

    names = {run_of_name(name, dag_id_of("postgres", source)): (source, name) for source, name in runs}
    try:
        return [names[run] for run in runs_ended(names, before)]
    except SQLAlchemyError:
        return []


def bigquery_finds(name: str) -> Finding:
    """Make a check of BigQuery, if one of its Variables is set.

    :param name: one of :data:`taxiway.warehouses.bigquery.doctor.CHECKS`
    """
    from airflow.sdk import Variable

    from taxiway.orchestration.hooks.gcp_hooks import bigquery_client, gcp_settings, storage_client

    if all(Variable.get(variable, default=None) is None for variable in VARIABLES):
        return skip(f"none of its Variables is set ({', '.join(VARIABLES)}): docs/bigquery.md")
    settings = gcp_settings()
    project = bigquery.Project(
        settings,
        lambda: bigquery_client(settings, GCP),
        lambda: storage_client(settings, GCP),
        airflow_command("dags", "test", "gcp_setup"),
    )
    return project.ask(bigquery.CHECKS[name])


def _of(
    title: str, names: Iterable[str], find: Callable[[str], Finding], needs: str, mend: str, seconds: float
) -> Sequence[Check]:
    """Return the checks of a warehouse: without the first, the others can't look."""
    first, *others = names
    return [
        Check(f"{title} {first}", partial(find, first), mend, needs=needs, seconds=seconds),
        *(
            Check(f"{title} {name}", partial(find, name), mend, needs=f"{title} {first}", seconds=seconds)
            for name in others
        ),
    ]


CHECKS: Mapping[str, Sequence[Check]] = {
    "postgres": _of(
        "Postgres",
        postgres.CHECKS,
        postgres_finds,
        stored_in(POSTGRES),
        f"correct the connection {POSTGRES} (AIRFLOW_CONN_{POSTGRES.upper()} in .env, or Admin, Connections in the web "
        f"UI); make setup adds the one to embedded Postgres",
        30.0,
    ),
    "bigquery": _of(
        "BigQuery",
        bigquery.CHECKS,
        bigquery_finds,
        # Variables, and a connection: one of them suffices to know that the environment has them.
        "" if "AIRFLOW_VAR_GCP_PROJECT_ID" in os.environ else METADATA,
        f"correct the Variables GCP_… or the connection {GCP}: docs/bigquery.md",
        90.0,
    ),
}
"""All of them, by warehouse."""
