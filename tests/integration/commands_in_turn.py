"""Runs ``airflow`` commands one after another in one process, as a JSON list of lists of arguments gives them."""

from __future__ import annotations

import json
import sys


def main() -> int:
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    for arguments in json.loads(sys.argv[1]):
        print("COMMAND", *arguments, flush=True)
        options = parser.parse_args(arguments)
        options.func(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
