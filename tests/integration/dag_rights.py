"""An auth manager whose users may see one DAG each: Airflow's simple one has no rights on single DAGs."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

ONLY = "only_"


class DagRights(SimpleAuthManager):
    """The simple auth manager, but a user named ``only_<DAG id>`` has rights on that DAG alone."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **asked: Any) -> bool:
        """Say whether a user may do something with a DAG; without a DAG, whether with any."""
        allowed = super().is_authorized_dag(user=user, details=details, **asked)
        if user.username.startswith(ONLY) and details is not None and details.id is not None:
            return allowed and bool(details.id == user.username.removeprefix(ONLY))
        return allowed
