"""What a connection must be before anything is asked of it: readable, and of the right type."""

from __future__ import annotations

import os

from airflow.sdk import Connection

from taxiway.errors import SettingError
from taxiway.program import airflow_command


def require_readable(conn_id: str) -> None:
    """Make sure that Airflow can read a connection's variable, if there is one.

    Airflow silently ignores a variable that it can't read, and takes the stored connection of the same id. The month
    would be loaded into another warehouse, or from another mirror.

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


def require_type(connection: Connection, *types: str, add: str) -> None:
    """Make sure that a connection is of the type that is expected; one that names none is taken as it is.

    So is one of the type ``generic``: ``airflow connections add`` stores it in place of a type that it doesn't know,
    such as ``postgresql``.

    :param connection: as Airflow has it
    :param types: those that will do, the usual one first
    :param add: options of ``airflow connections add`` besides the type
    :raises SettingError: names the connection, its type, what was expected, and the command that corrects it
    """
    found = (connection.conn_type or "").lower()
    if found in ("", "generic", *types):
        return
    conn_id = connection.conn_id
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    if name in os.environ:
        correct = f"correct the variable {name} in .env, as .env.example shows it, or in the shell"
    else:
        delete = airflow_command("connections", "delete", conn_id)
        again = airflow_command("connections", "add", conn_id, "--conn-type", types[0], *add.split())
        correct = f"correct it under Admin, Connections in the web UI, or by: {delete}; {again}"
    raise SettingError(
        f"the connection {conn_id} can't be used: found the type {found}, expected {' or '.join(types)}: "
        f"{correct}. Then run the month again"
    )
