"""What in Airflow's configuration may be why nothing works, in words."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from taxiway.core.env_file import SERVICES_ENVIRONMENT, read_assignments
from taxiway.core.program import airflow_command


def named_by(section: str, key: str) -> str:
    """Say which variable of the environment sets an option, as part of a sentence; empty if none does."""
    name = f"AIRFLOW__{section.upper()}__{key.upper()}"
    return f" (named by {name})" if name in os.environ else ""


def given_settings() -> str:
    """Name Airflow's settings that the user's environment sets, as a line of its own; empty if there are none.

    Those of the services that ``make up`` has started are in the environment as well, and are not the user's.
    """
    ours = read_assignments(Path(os.environ.get("AIRFLOW_HOME", "")) / SERVICES_ENVIRONMENT)
    names = sorted(
        name for name, value in os.environ.items() if name.startswith("AIRFLOW__") and ours.get(name) != value
    )
    return f"\nThe environment, or .env, sets {', '.join(names)}: look whether they are meant for here" if names else ""


def metadata_problem() -> str | None:
    """Say that the metadata database isn't migrated; None if it is, or can't be asked."""
    from airflow import settings
    from airflow.utils.db import _configured_alembic_environment

    with contextlib.suppress(Exception), _configured_alembic_environment() as environment:
        found = set(environment.get_context().get_current_heads())
        if found == set(environment.script.get_heads()):
            return None
        url = settings.get_engine().url.render_as_string(hide_password=True)
        state = "is of another version of Airflow" if found else "has no tables of Airflow yet"
        return (
            f"Airflow's metadata database {url}{named_by('database', 'sql_alchemy_conn')} {state}. "
            f"Run '{airflow_command('db', 'migrate')}' and try again"
        )
    return None
