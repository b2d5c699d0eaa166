"""What in Airflow's configuration may be why nothing works, in words."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from airflow.configuration import conf
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from taxiway.messages import one_line
from taxiway.program import airflow_command
from taxiway_local.env_file import SERVICES_ENVIRONMENT, read_assignments


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
    return (
        f"\nThe environment, or .env, sets {', '.join(names)}: check whether they are meant for here" if names else ""
    )


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


def executor_problem() -> str | None:
    """Say that an executor of the configuration can't be loaded; None if all can."""
    from airflow.exceptions import AirflowConfigException, UnknownExecutorException
    from airflow.executors.executor_loader import ExecutorLoader

    try:
        ExecutorLoader.init_executors()
    except (AirflowConfigException, UnknownExecutorException, ImportError) as error:
        return (
            f"Airflow's executor can't be loaded: {conf.get('core', 'executor')}{named_by('core', 'executor')}: "
            f"{one_line(str(error.__context__ or error), 300)}. Nothing was changed. Set [core] executor to one "
            "that is installed, such as LocalExecutor, or install its provider"
        )
    return None


def database_silence(error: BaseException) -> str | None:
    """Return the first line of what was said when the metadata database stopped answering; None for other errors.

    :param error: the error that ended the command; another error may have caused it
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, DBAPIError):
            code = getattr(cause.orig, "pgcode", None)
            if cause.connection_invalidated or _is_silence(cause, code):
                return one_line((str(cause.orig).strip() or type(cause.orig).__name__).splitlines()[0], 300)
        cause = cause.__cause__ or cause.__context__
    return None


def _is_silence(error: DBAPIError, code: str | None) -> bool:
    """Tell a server that is gone, starts or stops (classes 08 and 57P of SQLSTATE) from one that refuses a statement.

    Errors of connecting have no code.
    """
    return code.startswith(("08", "57P")) if code else isinstance(error, (OperationalError, InterfaceError))
