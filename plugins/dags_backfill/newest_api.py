"""The execution API without its earlier versions, which Airflow builds for workers that are older than the server.

Building them takes four fifths of the API's start. A process whose tasks are its own children, or itself, never needs
them: they are of the same installation. So are LocalExecutor's workers, if the API server listens on loopback alone.
Any other API server keeps them: workers elsewhere may be older than it.
"""

from __future__ import annotations

import functools
import ipaddress
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.cli.cli_config import ActionCommand

ALONE = ("dag-processor", "triggerer")
"""Commands that have an execution API inside, for their own children alone."""

SERVER = "api-server"
"""The command of Airflow's API server, with the execution API inside."""

GROUPS = ("dags", "tasks")
"""Groups of commands whose ``test`` runs tasks in its own process, with an execution API inside."""


def keep_newest_version() -> None:
    """Leave the routes of earlier versions out of this process's execution API, before it is built."""
    from airflow.api_fastapi.execution_api import versions
    from airflow.api_fastapi.execution_api.routes import execution_api_router
    from airflow.sdk.api.datamodels._generated import API_VERSION
    from cadwyn import HeadVersion, Version, VersionBundle
    from cadwyn.route_generation import _DELETED_ROUTE_TAG

    if str(versions.bundle.versions[0].value) == API_VERSION:
        versions.bundle = VersionBundle(HeadVersion(), Version(API_VERSION))
        routes = execution_api_router.routes
        routes[:] = [route for route in routes if _DELETED_ROUTE_TAG not in getattr(route, "tags", ())]


def shorten_commands() -> None:
    """Let Airflow's commands that run an execution API for themselves alone do with its newest version."""
    from airflow.cli.cli_config import GroupCommand, core_commands

    for position, command in enumerate(core_commands):
        if isinstance(command, GroupCommand) and command.name in GROUPS:
            subcommands = (_shortened(each) if each.name == "test" else each for each in command.subcommands)
            core_commands[position] = command._replace(subcommands=tuple(subcommands))
        elif command.name in ALONE:
            core_commands[position] = _shortened(command)
        elif command.name == SERVER:
            core_commands[position] = _shortened(command, _has_local_workers_only)


def _has_local_workers_only(arguments: Namespace) -> bool:
    """Say whether the API server that these arguments start serves workers of its own machine alone."""
    from airflow.configuration import conf

    host = str(arguments.host)
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    return loopback and bool(conf.get("core", "executor") == "LocalExecutor")


def _shortened(command: Any, applies: Callable[[Namespace], bool] = lambda _: True) -> ActionCommand:
    run = command.func

    @functools.wraps(run)
    def shortened(arguments: Namespace) -> Any:
        if applies(arguments):
            keep_newest_version()
        return run(arguments)

    return command._replace(func=shortened)  # type: ignore[no-any-return]
