"""The HTTP connection of a mirror."""

from __future__ import annotations

import os

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import Connection

from taxiway.download.mirror_address import SCHEMES, mirror_address
from taxiway.orchestration.hooks.connection_variable import require_readable, require_type


class MirrorHook(HttpHook):
    """The provider's HTTP hook, for a connection that is written as the mirror's address alone.

    The provider reads the path of ``https://example.com/files`` as a scheme, and
    puts a port behind a path; here both stay where they belong.
    """

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Return the connection with its whole address, scheme and path included, as its host.

        :param conn_id: its id
        :raises SettingError: the connection's variable can't be read, or it is of another type
        """
        require_readable(conn_id)
        connection = super().get_connection(conn_id)
        host = connection.host
        written = os.environ.get(f"AIRFLOW_CONN_{conn_id.upper()}", "").strip()
        if not host and written and not written.startswith(("{", *(f"{scheme}:" for scheme in SCHEMES))):
            # An address without a scheme, of which Airflow has taken the first letter, or more, for something else.
            connection, host = Connection(conn_id=conn_id), written
        require_type(connection, *SCHEMES, add="--conn-host https://HOST/PATH")
        return Connection(
            conn_id=conn_id,
            conn_type="http",
            host=mirror_address(connection.conn_type, host, connection.port, connection.schema),
            login=connection.login,
            password=connection.password,
            extra=connection.extra,
        )
