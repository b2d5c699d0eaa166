"""The command line that loads months, as messages advise it."""

from __future__ import annotations

import calendar
from collections.abc import Sequence

from taxiway.orchestration.warehouses import dag_id_of
from taxiway.program import airflow_command
from taxiway.sources.months import Month


def load_command(
    source: str, months: Sequence[Month], warehouse: str, reprocess: str = "failed", conf: str | None = None
) -> str:
    """Return the command that loads months.

    :param source: the source's name
    :param reprocess: which months that have been run are run again
    :param conf: conf of the runs
    """
    first, last = min(months), max(months)
    dag_id = dag_id_of(warehouse, source)
    if first.is_whole:
        return airflow_command("dags", "test", dag_id, *(["-c", conf] if conf else []))
    end = last.first_day.replace(day=calendar.monthrange(last.year, last.number)[1])
    days = "-s", str(first.first_day), "-e", str(end), "--reprocess-behavior", reprocess
    return airflow_command("dags", "backfill", *days, *(["-c", conf] if conf else []), dag_id)
