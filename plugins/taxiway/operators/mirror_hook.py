"""The HTTP connection of a mirror."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import Connection

from taxiway.core.errors import SettingError

_SCHEMES = ("http", "https")


class MirrorHook(HttpHook):
    """The provider's HTTP hook, for a connection that is written as the mirror's plain address.

    The provider reads the path of ``https://example.com/files`` as a scheme, and
    puts a port behind a path; here both stay where they belong.
    """

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Return the connection with its whole address, scheme and path included, as its host.

        :param conn_id: its id
        """
        connection = super().get_connection(conn_id)
        return Connection(
            conn_id=conn_id,
            conn_type="http",
            host=mirror_address(connection.conn_type, connection.host, connection.port, connection.schema),
            login=connection.login,
            password=connection.password,
            extra=connection.extra,
        )


def mirror_address(conn_type: str | None, host: str | None, port: int | None, schema: str | None) -> str:
    """Put a mirror's address together from the fields of its connection.

    :param conn_type: ``http`` or ``https``; decides where neither the host nor the schema names a scheme
    :param host: a host, or a whole address
    :param port: its port, where the host doesn't name one
    :param schema: ``http`` or ``https``, as in Airflow's form; or the path, as in a connection written as an address
    :return: scheme, host, port and path, without a slash at the end
    :raises SettingError: where they make no address
    """
    host = (host or "").strip()
    scheme_named = schema in _SCHEMES
    if "://" not in host:
        scheme = schema if scheme_named else conn_type if conn_type in _SCHEMES else "http"
        bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
        host = f"{scheme}://[{host}]" if bare_ipv6 else f"{scheme}://{host}"
    try:
        parts = urlsplit(host)
        has_port = parts.port is not None
    except ValueError as error:
        raise SettingError(f"the mirror's connection has the host {host!r}: {error}; expected an address") from error
    netloc = parts.netloc if port is None or has_port else f"{parts.netloc}:{port}"
    path = parts.path.rstrip("/")
    if schema and not scheme_named:
        path = f"{path}/{schema.strip('/')}"
    return urlunsplit((parts.scheme, netloc, path, parts.query, parts.fragment))
