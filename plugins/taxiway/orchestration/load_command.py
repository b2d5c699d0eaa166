"""The command line that loads months, as messages advise it: decided here alone, and whether there is one."""

from __future__ import annotations

import calendar
import json
from collections.abc import Sequence
from typing import Any

from taxiway.loads.deletions import ACCEPT_DELETIONS, ACCEPTING_CONF
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID, taxi_command
from taxiway.orchestration.warehouses import dag_id_of
from taxiway.program import airflow_command
from taxiway.sources.months import Month, ranges
from taxiway.sources.source import Source

MOST_RANGES = 3
"""Ranges of months whose commands one sentence gives."""


def load_command(
    source: Source,
    months: Sequence[Month],
    warehouse: str,
    reprocess: str = "failed",
    *,
    dag_id: str = "",
    **conf: Any,
) -> str:
    """Return the command that loads months; several of them, each behind a semicolon, if one doesn't load all.

    :param source: the source, which has the months
    :param months: one at least
    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    :param reprocess: which months that have been run are run again
    :param dag_id: the DAG whose run has failed, if one has: a run of ``taxi`` is followed by another one of it
    :param conf: of the runs
    """
    own = dag_id_of(warehouse, source.name)
    options = ("-c", json.dumps(conf)) if conf else ()
    if source.stands_alone and dag_id != TAXI_DAG_ID:
        return airflow_command("dags", "test", own, *options)
    # The schedule starts their runs later: a backfill leaves them out, and taxi asks for no schedule.
    early = [month for month in months if dag_id == TAXI_DAG_ID or not source.is_due(month)]
    commands = [taxi_command("trigger", source, month, warehouse, **conf) for month in early]
    backfills = []
    for first, last in ranges(month for month in months if month not in early):
        end = last.first_day.replace(day=calendar.monthrange(last.year, last.number)[1])
        days = ("-s", str(first.first_day), "-e", str(end), "--reprocess-behavior", reprocess)
        backfills.append(airflow_command("dags", "backfill", *days, *options, own))
    return "; ".join([*backfills, *commands])


def how_to_load(
    source: Source,
    months: Sequence[Month],
    warehouse: str,
    reprocess: str = "completed",
    *,
    say: str = "To load it again",
    **conf: Any,
) -> str:
    """Return a sentence with the command that loads months, or one that says why nothing loads them.

    :param say: what the sentence begins with
    """
    there = [month for month in months if source.why_unavailable(month) is None]
    if not there:
        return f"Nothing loads it: {source.why_unavailable(months[0])}"
    last = max(there)
    if not source.stands_alone and not source.is_due(last):
        say += f", if the file is there already (expected by {source.due(last)})"
    return f"{say}: {load_command(source, there, warehouse, reprocess, **conf)}"


def how_to_load_again(
    source: Source, months: Sequence[Month], warehouse: str, error: str, *, say: str = "To load it again"
) -> str:
    """Return a sentence with the command that loads months again that aren't loaded.

    It runs them in any case: their own runs may have succeeded, and runs of ``taxi`` have failed after them.

    :param error: why they aren't loaded; if a file was held back, only the conf that it names has it loaded
    :param say: what the sentence begins with
    """
    if len(ranges(months)) > MOST_RANGES:
        options = "--warehouse", warehouse, "--source", source.name
        return f"{say}: {airflow_command('taxi', 'status', *options)} has the command for each month"
    conf: dict[str, Any] = {ACCEPT_DELETIONS: True} if ACCEPTING_CONF in error else {}
    return how_to_load(source, months, warehouse, "completed", say=say, **conf)
