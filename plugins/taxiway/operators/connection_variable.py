"""The environment variable of a connection."""

from __future__ import annotations

import os

from airflow.sdk import Connection

from taxiway.core.errors import SettingError


def require_readable(conn_id: str) -> None:
    """Make sure that Airflow can read a connection's variable, if there is one.

    Airflow passes over a variable that it can't read, without a word, and takes the stored connection of the
    same id: the month would be loaded into another warehouse, or from another mirror.

    :param conn_id: the connection's id
    :raises SettingError: names the variable and what is wrong; of an address, which may hold a password, only the kind
    """
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    value = os.environ.get(name, "").strip()
    is_json = value.startswith("{")
    try:
        if is_json:
            Connection.from_json(value, conn_id=conn_id)
        elif value:
            Connection.from_uri(value, conn_id=conn_id)
    except Exception as error:
        found = f"{type(error).__name__}: {error}" if is_json else type(error).__name__
        raise SettingError(
            f"the variable {name} can't be read ({found}); expected a JSON object with Airflow's fields (conn_type, "
            f"host, port, login, password, schema, extra), or an address: correct it in .env, which takes after "
            f".env.example, or in the shell"
        ) from None
