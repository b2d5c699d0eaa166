"""Keeps traffic within this machine away from the proxy that the environment names.

Tasks, services and the sample mirror talk over the loopback interface, which no proxy can reach on behalf of this
machine. Everything else goes to the proxy, as the environment says.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")

API_VARIABLE = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
"""Where tasks report to. Between containers its host is a name of Compose's network, which no proxy knows."""


def spare_loopback(environment: MutableMapping[str, str]) -> None:
    """Add this machine's own names to ``no_proxy`` and ``NO_PROXY``, if the environment names a proxy.

    Without a proxy nothing is set: on macOS that would hide the proxies of the system's settings.

    :param environment: usually ``os.environ``; child processes inherit it
    """
    proxies = {name for name, value in environment.items() if name.lower().endswith("_proxy") and value}
    if not proxies - {"no_proxy", "NO_PROXY"}:
        return
    host = urlsplit(environment.get(API_VARIABLE, "")).hostname or ""
    own = [*LOOPBACK, host] if host and "." not in host and ":" not in host else LOOPBACK
    # Programs differ in which of the two they read first; one that is absent gets what the other says.
    given = {name: environment.get(name) for name in ("no_proxy", "NO_PROXY")}
    for name, other in (("no_proxy", "NO_PROXY"), ("NO_PROXY", "no_proxy")):
        hosts = [host.strip() for host in (given[name] or given[other] or "").split(",") if host.strip()]
        if "*" not in hosts:
            environment[name] = ",".join([*hosts, *(host for host in dict.fromkeys(own) if host not in hosts)])
