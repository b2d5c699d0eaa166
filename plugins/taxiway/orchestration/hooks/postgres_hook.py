"""The connection to the warehouse, as the operators use it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk.exceptions import AirflowNotFoundException

from taxiway.errors import SettingError
from taxiway.orchestration.hooks.connection_variable import require_readable, require_type
from taxiway.program import airflow_command
from taxiway.warehouses.postgres.errors import is_unknown_host
from taxiway.warehouses.postgres.refusals import with_sqlstate
from taxiway.warehouses.postgres.session import keep_alive

if TYPE_CHECKING:
    from airflow.sdk import Connection

CONNECTION_DEFAULTS = {
    "application_name": "taxiway",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""What libpq is told unless the connection's extra says something else: seconds, but the last one in milliseconds."""
# If the server or the network disappears, the session notices within a minute. With the operating system's defaults it
# takes two hours, and the task would wait as long.

_FIELDS = "--conn-host HOST --conn-login LOGIN --conn-password PASSWORD --conn-schema DATABASE"

UNKNOWN_HOST_PAUSES = (1.0, 3.0, 6.0)
"""Seconds between the looks for a host that nobody knows: a container that starts again has no name for a moment."""


class WarehouseHook(PostgresHook):
    """Connects to Postgres with psycopg 3, and notices when the server is gone."""

    pauses: Sequence[float] = UNKNOWN_HOST_PAUSES
    limits: Mapping[str, int] = {}

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Return Airflow's connection, its extra filled up with :data:`CONNECTION_DEFAULTS`.

        :raises SettingError: there is none, it can't be read, or is of another type
        """
        require_readable(conn_id)
        try:
            connection: Connection = super().get_connection(conn_id)
        except AirflowNotFoundException as error:
            add = airflow_command("connections", "add", conn_id, "--conn-type", "postgres", *_FIELDS.split())
            raise SettingError(
                f"the connection {conn_id} isn't there, or can't be read: expected one of the type postgres, in the "
                f"variable AIRFLOW_CONN_{conn_id.upper()} as .env.example shows it, or in Airflow: {add}"
            ) from error
        require_type(connection, "postgres", add=_FIELDS)
        connection.extra = json.dumps({**CONNECTION_DEFAULTS, **_extra(connection), **cls.limits})
        return connection

    def get_conn(self) -> psycopg.Connection[Any]:
        """Connect.

        :raises SettingError: there is no such connection, it can't be read, or the driver isn't psycopg 3
        :raises psycopg.Error: the server can't be reached, or refuses
        """
        for pause in self.pauses:
            try:
                return self._connect()
            except psycopg.OperationalError as error:
                if not is_unknown_host(error):
                    raise
            time.sleep(pause)
        return self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        with with_sqlstate():
            connection = super().get_conn()
        if not isinstance(connection, psycopg.Connection):
            raise SettingError(
                f"connection {self.get_conn_id()}: found the driver {type(connection).__module__}, expected psycopg 3: "
                f"install the project's requirements.txt"
            )
        self.prepare(connection)
        return connection

    def prepare(self, connection: psycopg.Connection[Any]) -> None:
        """Set what holds for the session."""
        keep_alive(connection)


class QuickWarehouseHook(WarehouseHook):
    """Connects for a page that somebody waits for: gives up within seconds, whatever the connection's extra says."""

    pauses = ()
    limits = {"connect_timeout": 3, "tcp_user_timeout": 5_000, "keepalives_idle": 5, "keepalives_interval": 2}  # noqa: RUF012

    def prepare(self, connection: psycopg.Connection[Any]) -> None:
        """Ask nothing: the session lasts for seconds, and nobody waits for it longer."""


def _extra(connection: Connection) -> dict[str, Any]:
    """Return a connection's extra, which Airflow leaves out if it isn't JSON."""
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise SettingError(
            f"the connection {connection.conn_id} has an extra that can't be used: expected a JSON object, for example "
            f'{{"sslmode": "require"}}: correct it (AIRFLOW_CONN_{connection.conn_id.upper()} in .env, or Admin, '
            f"Connections in the web UI)"
        )
    return extra
