"""Ask the API server whether a part of Airflow is alive: a container's health check.

Runs on the standard library alone, so that it takes a tenth of a second. Exit code 0
stands for healthy, 1 for everything else; what was found is printed, and
``docker inspect`` shows it.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from urllib.parse import urljoin

API_VARIABLE = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
PATH = "/api/v2/monitor/health"
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
TIMEOUT = 8.0
"""Seconds to wait for the answer: less than the health check's own limit, so that the reason gets printed."""


def status(address: str, component: str) -> str:
    """Return a component's status as Airflow's public health endpoint tells it.

    :param address: any address of the API server, for example its execution API's
    :param component: one of :data:`COMPONENTS`
    :return: ``healthy``, ``unhealthy``, or ``never started``
    :raises OSError: if the API server can't be reached or answers with an error
    :raises ValueError: if the answer isn't the health endpoint's
    """
    url = urljoin(address, PATH)
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{API_VARIABLE} is {address!r}: expected an http address")
    # A proxy in the environment is for downloads: the API server is in Compose's own network.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=TIMEOUT) as response:
        answer = json.load(response)
    if not isinstance(answer, dict) or not isinstance(answer.get(component), dict):
        raise ValueError(f"{url} answered without {component!r}")
    return str(answer[component].get("status") or "never started")


def main(arguments: list[str]) -> int:
    """Run the check for the component that the one argument names; return the exit code."""
    if len(arguments) != 1 or arguments[0] not in COMPONENTS:
        print(f"health: expected one of {', '.join(COMPONENTS)}, found {arguments}", file=sys.stderr)
        return 1
    component = arguments[0]
    try:
        found = status(os.environ.get(API_VARIABLE, ""), component)
    except (OSError, ValueError) as error:
        print(f"{component}: {error}", file=sys.stderr)
        return 1
    print(f"{component}: {found}")
    return 0 if found == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
