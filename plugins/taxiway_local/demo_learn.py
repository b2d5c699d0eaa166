"""The demo of the learning DAGs: runs each by ``airflow dags test``. What they ask on the web is a stand-in here."""

from __future__ import annotations

import argparse
import sys

from taxiway.paths import ROOT
from taxiway_local import database, demo
from taxiway_local.exits import end
from taxiway_local.home import Home
from taxiway_local.setup import airflow_command, airflow_environment, is_migrated

DAGS = ("hello_world", "docker_pulls", "getting_started")

SHOWN = r"\[airflow\.task\.operators\.|^[┌│├└]"
"""What an operator logs, and the lines of a table that a task prints."""


def main() -> int:
    """Run the demo from the command line.

    :return: the exit code of the command that failed, 0, or 2 where the demo could not begin
    """
    argparse.ArgumentParser(prog="make demo-learn", description=__doc__).parse_args()
    console = demo.line_console()
    home = Home.current()
    sys.path.insert(0, str(ROOT))  # the stand-ins lie beside plugins/, wherever the command was called
    from stand_ins.web_apis import WebApis

    try:
        if (server := database.find(home)) and is_migrated(server):
            for dag_id in DAGS:
                demo.refuse_while_scheduled(server, dag_id, "run the demo's tasks, too")
    except demo.DemoError as error:
        console.print(f"The demo stops: {error}", style="red", markup=False)
        return 2
    with WebApis() as apis:
        console.print(f"Stand-in for Docker Hub and the products' REST API: {apis.url}")
        environment = {**airflow_environment(home), **apis.connections}
        for dag_id in DAGS:
            command = ["dags", "test", dag_id]
            console.print(f"\n$ airflow {' '.join(command)}\n", style="bold", markup=False)
            if code := demo.dags_test([*airflow_command(), *command], environment, SHOWN):
                return code
    console.print("\nWhat each of them shows, and more to try: docs/learn.md")
    return 0


if __name__ == "__main__":
    end(main, "make demo-learn")
