"""The command line that loads months, as messages advise it: decided here alone, and whether there is one."""

from __future__ import annotations

import calendar
import json
from collections.abc import Collection, Sequence
from typing import Any

from taxiway.loads.deletions import ACCEPT_DELETIONS
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID, taxi_command
from taxiway.orchestration.warehouses import dag_id_of
from taxiway.program import airflow_command
from taxiway.sources.months import Month, in_words, ranges
from taxiway.sources.source import Source


def load_command(
    source: Source,
    months: Sequence[Month],
    warehouse: str,
    *,
    dag_id: str = "",
    **conf: Any,
) -> str:
    """Return the command that loads months; several of them, each behind a semicolon, if one doesn't load all.

    :param source: the source, which has the months
    :param months: one at least
    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
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
    # Their own runs may have succeeded: before there were files, or before a run of taxi was cut off.
    again = ("--reprocess-behavior", "completed")
    backfills = []
    for first, last in ranges(month for month in months if month not in early):
        end = last.first_day.replace(day=calendar.monthrange(last.year, last.number)[1])
        days = ("-s", str(first.first_day), "-e", str(end))
        backfills.append(airflow_command("dags", "backfill", *days, *again, *options, own))
    return "; ".join([*backfills, *commands])


def how_to_load(
    source: Source,
    months: Sequence[Month],
    warehouse: str,
    *,
    say: str = "To load it again",
    held_back: Collection[Month] = (),
    is_there: bool = False,
    **conf: Any,
) -> str:
    """Return sentences with the commands that load months, or one that says why nothing loads them.

    :param say: what the first one begins with
    :param held_back: months whose last load has failed because it would delete too many published rows: only a command
        that accepts this loads them
    :param is_there: whether the mirror has their files now
    """
    there = [month for month in months if source.why_unavailable(month) is None]
    if not there:
        return f"Nothing loads it: {source.why_unavailable(months[0])}"
    refused = [month for month in there if month in held_back]
    said = []
    if others := [month for month in there if month not in held_back]:
        last = max(others)
        if not (is_there or source.stands_alone or source.is_due(last)):
            say += f", if the file is there already (expected by {source.due(last)})"
        said.append(f"{say}: {load_command(source, others, warehouse, **conf)}")
    if refused:
        files, are_right = ("files", "they are") if refused[1:] else ("file", "it is")
        conf |= {ACCEPT_DELETIONS: True}
        accepting = load_command(source, refused, warehouse, **conf)
        said.append(
            f"Look first at the {files} of {in_words(refused)}: the last load would delete too many published rows. "
            f"If {are_right} right, load again: {accepting}"
        )
    return ". ".join(said)
