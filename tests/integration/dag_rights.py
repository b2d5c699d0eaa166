"""An auth manager whose users have single rights: Airflow's simple one has neither rights on a DAG nor on its parts."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

ONLY = "only_"

READS = ("GET", DagAccessEntity.RUN)
LOGS = "logs"
NO_LOGS, EDITS, DELETES, CANCELS, STARTS, UNPAUSES = "no_logs", "edits", "deletes", "cancels", "starts", "unpauses"

RIGHTS: dict[str, set[tuple[str, DagAccessEntity | None]]] = {
    LOGS: {("GET", DagAccessEntity.TASK_LOGS)},
    NO_LOGS: {READS},
    EDITS: {READS, ("PUT", DagAccessEntity.RUN)},
    DELETES: {READS, ("DELETE", DagAccessEntity.RUN)},
    CANCELS: {READS, ("PUT", DagAccessEntity.RUN), ("DELETE", DagAccessEntity.RUN)},
    STARTS: {READS, ("POST", DagAccessEntity.RUN)},
    UNPAUSES: {READS, ("PUT", None)},
}
"""What some users may do with DAGs, by their names: each of these rights, and no other one."""


class DagRights(SimpleAuthManager):
    """The simple auth manager, but a user named ``only_<DAG id>`` has rights on that DAG alone, one of RIGHTS those."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: DagAccessEntity | None = None, details: Any = None
    ) -> bool:
        """Say whether a user may do something with a DAG; without a DAG, whether with any."""
        if user.username in RIGHTS:
            return (method, access_entity) in RIGHTS[user.username]
        allowed = super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
        if user.username.startswith(ONLY) and details is not None and details.id is not None:
            return allowed and bool(details.id == user.username.removeprefix(ONLY))
        return allowed
