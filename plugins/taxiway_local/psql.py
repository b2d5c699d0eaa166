"""Opens ``psql`` on the warehouse: ``make psql``."""

from __future__ import annotations

import argparse

from taxiway_local import database
from taxiway_local.exits import end
from taxiway_local.home import Home


def main() -> int:
    """Become ``psql``; doesn't return."""
    parser = argparse.ArgumentParser(prog="make psql", description=__doc__)
    parser.add_argument("--as", dest="role", default=database.DATABASES["taxi"], help="the role to be there")
    arguments, others = parser.parse_known_args()
    database.psql(Home.current(), others, role=arguments.role)


if __name__ == "__main__":
    end(main, "make psql")
