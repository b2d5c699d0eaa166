"""Which DAGs a user may read: Airflow doesn't ask for a plugin's routes, so each of them does."""

from __future__ import annotations

from collections.abc import Iterable

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import select, tuple_

from taxiway.orchestration.warehouses import WAREHOUSES, dag_id_of
from taxiway.paths import SOURCES_FOLDER


def month_dags() -> dict[str, tuple[str, str]]:
    """Return warehouse and source of each DAG that loads months, by its id."""
    names = sorted(path.stem for path in SOURCES_FOLDER.glob("*.yaml"))
    return {dag_id_of(warehouse, name): (warehouse, name) for warehouse in WAREHOUSES for name in names}


def readable(dag_ids: Iterable[str], user: BaseUser) -> frozenset[str]:
    """Return those of some DAGs whose runs a user may read."""
    manager, asked = get_auth_manager(), list(dag_ids)
    teams = DagModel.get_dag_id_to_team_name_mapping(asked)
    return frozenset(
        dag_id
        for dag_id in asked
        if manager.is_authorized_dag(
            method="GET",
            access_entity=DagAccessEntity.RUN,
            details=DagDetails(id=dag_id, team_name=teams.get(dag_id)),
            user=user,
        )
    )


def runs_there(runs: Iterable[tuple[str, str]], user: BaseUser) -> frozenset[tuple[str, str]]:
    """Return those of some runs that Airflow has, and that a user may read.

    :param runs: DAG and id of each
    """
    asked = set(runs)
    allowed = readable({dag_id for dag_id, _ in asked}, user)
    asked = {run for run in asked if run[0] in allowed}
    if not asked:
        return frozenset()
    with create_session() as session:
        found = session.execute(
            select(DagRun.dag_id, DagRun.run_id).where(tuple_(DagRun.dag_id, DagRun.run_id).in_(asked))
        )
        return frozenset((dag_id, run_id) for dag_id, run_id in found)
