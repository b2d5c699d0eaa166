"""The address of a mirror, from what people write into a connection or a command."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from taxiway.core.errors import SettingError

SCHEMES = ("http", "https")


def mirror_address(conn_type: str | None, host: str | None, port: int | None = None, schema: str | None = None) -> str:
    """Put a mirror's address together from the fields of its connection.

    :param conn_type: ``http`` or ``https``; decides if neither the host nor the schema names a scheme
    :param host: a host, or a whole address
    :param port: its port, if the host doesn't name one
    :param schema: ``http`` or ``https``, as in Airflow's form; or the path, as in a connection written as an address
    :return: scheme, host, port and path, without a slash at the end
    :raises SettingError: they make no address
    """
    host = (host or "").strip()
    if not host:
        raise SettingError(
            "the mirror's connection has no host; expected an address that begins with http:// or https://, for "
            "example http://127.0.0.1:8901. Correct the connection"
        )
    scheme_named = schema in SCHEMES
    if "://" not in host:
        scheme = schema if scheme_named else conn_type if conn_type in SCHEMES else "http"
        bare_ipv6 = host.count(":") > 1 and not host.startswith("[") and "@" not in host
        host = f"{scheme}://[{host}]" if bare_ipv6 else f"{scheme}://{host}"
    try:
        parts = urlsplit(host)
        has_port = parts.port is not None
    except ValueError as error:
        raise SettingError(
            f"the mirror's connection has the host {without_user(host)!r}: {error}; expected an address"
        ) from error
    netloc = parts.netloc if port is None or has_port else f"{parts.netloc}:{port}"
    path = parts.path.rstrip("/")
    if schema and not scheme_named:
        path = f"{path}/{schema.strip('/')}"
    return urlunsplit((parts.scheme, netloc, path, parts.query, parts.fragment))


def without_user(address: str) -> str:
    """Return an address fit for a message: without user and password."""
    scheme, separator, rest = address.rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
