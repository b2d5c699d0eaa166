"""What `make down` and `make clean` run: what killed runs of the benchmark have left goes, servers included."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench.run_folder import clear_leftovers
from taxiway.paths import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Stop the servers of runs that were killed, and delete their folders.

    :param arguments: what follows the command's name; the process's own where none are given
    :return: the exit code: 0, or 2 where none may go on and one does
    """
    parser = argparse.ArgumentParser(prog="bench.leftovers", description=__doc__)
    parser.add_argument("--none-may-run", action="store_true", help="fail where a benchmark is running")
    options = parser.parse_args(arguments)
    running = clear_leftovers(ROOT / ".taxiway", print)
    if running and options.none_may_run:
        folders = ", ".join(map(str, running))
        print(f"a benchmark is running in {folders}: stop it with Ctrl-C, or wait, then try again", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
