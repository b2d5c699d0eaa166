"""The conf of a run of the DAG ``taxi``, which says what it loads; and the command with such a conf."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from taxiway.program import airflow_command
from taxiway.sources.months import Month
from taxiway.sources.source import Source

TAXI_DAG_ID = "taxi"
"""The DAG that loads any month of any source, without a schedule."""


LONGEST_RUN_ID = 240
"""Characters of a run's id: Airflow's table takes 250, and the folder of its logs is ``run_id=`` and the id, in 255."""


def fitting_run_id(name: str) -> str:
    """Return an id for a run: the name, or what it begins with and a hash of all of it, if it is too long.

    :param name: another one for each run
    """
    if len(name) <= LONGEST_RUN_ID:
        return name
    return f"{name[: LONGEST_RUN_ID - 18]}__{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def taxi_conf(source: Source, month: Month, warehouse: str, **more: Any) -> str:
    """Return the conf of the run that loads a month, as JSON.

    :param source: the source; one that stands alone needs no month
    :param month: the month
    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    :param more: other keys
    """
    year_and_month = {} if source.stands_alone else {"year": f"{month.year:04d}", "month": f"{month.number:02d}"}
    return json.dumps({"taxi": source.name, **year_and_month, "warehouse": warehouse, **more})


def taxi_command(command: str, source: Source, month: Month, warehouse: str, **more: Any) -> str:
    """Return the call of ``airflow dags`` that loads a month with the DAG ``taxi``.

    :param command: ``trigger`` or ``test``
    :param more: other keys of the conf
    """
    return airflow_command("dags", command, TAXI_DAG_ID, "-c", taxi_conf(source, month, warehouse, **more))
