"""The address of a mirror, from what people write into a connection or a command."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from taxiway.errors import SettingError

SCHEMES = ("http", "https")

IN_PASSWORDS = "in a user's name or a password, write %2F for /, %3F for ?, %23 for # and %40 for @"
"""What an address needs whose password ends it early, for errors."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")


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
    except ValueError:
        parts, has_port = None, False
    if parts is None or "@" in f"{parts.path}{parts.query}{parts.fragment}":
        # Python's own words would quote a part of the password.
        raise SettingError(
            f"the mirror's connection has the host {shown_address(host)!r}; expected an address, with a number as its "
            f"port. Correct the connection: {IN_PASSWORDS}"
        )
    netloc = parts.netloc if port is None or has_port else f"{parts.netloc}:{port}"
    path = parts.path.rstrip("/")
    if schema and not scheme_named:
        path = f"{path}/{schema.strip('/')}"
    return urlunsplit((parts.scheme, netloc, path, parts.query, parts.fragment))


def shown_address(address: str) -> str:
    """Return an address fit for a message: without user, password, query and fragment, each of which can be a secret.

    :param address: as somebody has written it; a password in it may have any characters
    """
    scheme, separator, rest = address.partition("://")
    if not _SCHEME.fullmatch(scheme):
        scheme, separator, rest = "", "", address
    # The last @ of all: before it, a slash or a question mark may be a password's.
    host = re.split("[?#]", rest.rpartition("@")[2])[0]
    try:
        urlsplit(f"//{host}").port  # noqa: B018 - raises an error if there is a port that isn't a number
    except ValueError:
        host = re.split("[:/]", host)[0]
    return f"{scheme}{separator}{host}"
