"""Read by Airflow whenever it starts; what is here runs before its command line is parsed."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from taxiway.proxies import spare_loopback

if TYPE_CHECKING:
    from taxiway.sources.months import Month
    from taxiway.sources.source import Source

# Airflow would make settings of every other name in this module.
__all__: list[str] = []

# For containers, whose Python starts without taxiway_local.environment: their own traffic needs no proxy either.
spare_loopback(os.environ)

# Only the command line needs more commands: tasks and their supervisors start without.
if Path("".join(sys.argv[:1])).name in ("airflow", "__main__.py", "-m"):
    # Airflow warns of what its user can't act on: pictures of DAGs need no graphviz here, and the pattern is its own.
    for message in ("Could not import graphviz", "GitWildMatchPattern"):
        warnings.filterwarnings("ignore", message=message)
    if sys.argv[1:3] == ["dags", "backfill"]:
        # Before anything that takes its time: what Airflow imports from here on takes a second or two.
        from dags_backfill.signals import end_at_once_on_ctrl_c

        end_at_once_on_ctrl_c()

    from airflow.configuration import conf

    from dags_backfill.cli import register
    from dags_backfill.newest_api import shorten_commands
    from taxiway.cli import commands
    from taxiway.errors import ProgramError, TaxiwayError
    from taxiway.warehouses.sql import compile_all
    from taxiway_local.database import ensure_started
    from taxiway_local.home import Home

    # Only of a Python that has started with it: importing it here would change settings that Airflow has read.
    if getattr(sys.modules.get("taxiway_local.environment"), "PROBLEM", None):
        sys.exit(2)  # said when Python started: half of the settings may lead to another warehouse

    def prepare_workers(dag_id: str) -> None:
        from taxiway.orchestration.warehouses import prepare_tasks

        compile_all()
        prepare_tasks(dag_id)

    def is_sample(source: Source, month: Month, sha256: str, rows: int) -> bool:
        from taxiway_local.known_samples import is_sample

        return is_sample(Home.current(), source, month, sha256, rows)

    register(prepare_workers)
    shorten_commands()
    commands.register(is_sample)
    try:
        ensure_started(Home.current(), conf.get("database", "sql_alchemy_conn"))
    except (TaxiwayError, OSError) as error:
        said = error.with_lines if isinstance(error, ProgramError) else str(error)
        if sys.argv[1:3] != ["taxi", "doctor"]:
            sys.exit(f"airflow: {said}")
        commands.start_errors.extend(said.splitlines())
