"""Runs several Airflow commands in one process: loading Airflow takes longer than most commands do.

``python -m taxiway_local.airflow_commands '[["db", "migrate"], …]'`` ends at the first command that fails.
"""

from __future__ import annotations

import json
import sys

if __name__ == "__main__":
    # Airflow wants its configuration to be the first that is imported of it.
    from airflow import configuration  # noqa: F401
    from airflow.cli import cli_parser

    parser = cli_parser.get_parser()
    for words in json.loads(sys.argv[1]):
        arguments = parser.parse_args(words)
        arguments.func(arguments)
