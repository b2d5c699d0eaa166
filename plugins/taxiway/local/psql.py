"""Opens ``psql`` on the warehouse: ``make psql``."""

from __future__ import annotations

import sys

from taxiway.local import database
from taxiway.local.home import Home

if __name__ == "__main__":
    database.psql(Home.current(), sys.argv[1:])
