"""Read by Airflow whenever it starts; what is here runs before its command line is parsed."""

import sys
from pathlib import Path

# Airflow would make settings of every other name in this module.
__all__: list[str] = []

# Only the command line needs more commands: tasks and their supervisors start without.
if Path("".join(sys.argv[:1])).name in ("airflow", "__main__.py", "-m"):
    from airflow.configuration import conf

    from taxiway.backfill.cli import register
    from taxiway.local.database import ensure_started
    from taxiway.local.home import Home

    register()
    ensure_started(Home.current(), conf.get("database", "sql_alchemy_conn"))
