"""The connection to the warehouse, as the operators use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk.exceptions import AirflowFailException

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
"""What libpq is told where the connection's extra says nothing else: seconds, but the last one in milliseconds."""
# A server, or a network between, that is gone without a word is noticed within a minute: the operating system's own
# defaults take two hours, and the task would wait as long for its try to end.


class WarehouseHook(PostgresHook):
    """Connects to Postgres with psycopg 3, and notices when the server is gone."""

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Return Airflow's connection, its extra filled up with :data:`CONNECTION_DEFAULTS`."""
        connection: Connection = super().get_connection(conn_id)
        connection.extra = json.dumps({**CONNECTION_DEFAULTS, **connection.extra_dejson})
        return connection

    def get_conn(self) -> psycopg.Connection[Any]:
        """Connect.

        :raises AirflowFailException: the driver isn't psycopg 3
        """
        connection = super().get_conn()
        if not isinstance(connection, psycopg.Connection):
            raise AirflowFailException(
                f"connection {self.get_conn_id()}: found the driver {type(connection).__module__}, expected psycopg 3: "
                f"install the project's requirements.txt"
            )
        return connection
