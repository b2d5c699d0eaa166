"""Runs that nobody works on: which ones they are, and what has them go on. ``doctor`` and ``status`` say the same.

A backfill that was killed leaves such runs, and so does a DAG that is paused. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from taxiway.program import airflow_command

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

UNENDED = ("queued", "running")
"""The states of runs that haven't ended."""

START = "make up (containers: docker compose up -d --wait)"
"""What starts the services."""

ALL_OF_ITS_RUNS = " (which starts all the other runs of its schedule, too: or delete this one in the web UI)"


def stranded_of(runs: Sequence[DagRun], session: Session) -> list[DagRun]:
    """Return those of some runs that nobody works on.

    :param runs: that haven't ended
    """
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    from dags_backfill.lock import BackfillLock
    from dags_backfill.takeover import who_works_on

    backfilled = {run.dag_id for run in runs if run.backfill_id}
    commands_at_work = {dag_id for dag_id in backfilled if BackfillLock(dag_id).holder(session)}
    stranded = [
        run
        for run in runs
        if not (run.backfill_id and run.dag_id in commands_at_work) and who_works_on(run, session) is None
    ]
    # A backfill may have ended since the runs were read.
    unended = select(DagRun.id).where(DagRun.id.in_([run.id for run in stranded]), DagRun.state.in_(UNENDED))
    still = set(session.scalars(unended)) if stranded else set()
    return [run for run in stranded if run.id in still]


def said_of(stranded: Sequence[DagRun], session: Session) -> tuple[str, str]:
    """Return what is said of runs that nobody works on, and what has them go on.

    :param stranded: one at least
    """
    named = ", ".join(f"{run.dag_id} {run.run_id}" for run in stranded[:3])
    more = f" and {len(stranded) - 3} more" if len(stranded) > 3 else ""
    return f"nobody works on {named}{more}", _continued(stranded, session)


def _continued(stranded: Sequence[DagRun], session: Session) -> str:
    """Return the commands that have runs go on: a backfill takes over those that a backfill or the schedule made."""
    from airflow.models.backfill import Backfill
    from airflow.models.dag import DagModel

    from dags_backfill.interrupted_runs import is_ours

    dates, others = dict[str, list[datetime]](), set[str]()
    for run in stranded:
        backfill = session.get(Backfill, run.backfill_id) if run.backfill_id is not None else None
        if run.run_type in ("backfill", "scheduled") and run.logical_date and (backfill is None or is_ours(backfill)):
            dates.setdefault(run.dag_id, []).append(run.logical_date)
        else:
            others.add(run.dag_id)
    said = [
        airflow_command("dags", "backfill", "-s", f"{min(days):%Y-%m-%d}", "-e", f"{max(days):%Y-%m-%d}", dag_id)
        for dag_id, days in dates.items()
    ]
    for dag_id in sorted(others):
        dag = session.get(DagModel, dag_id)
        if dag is None or dag.is_paused:
            has_others = dag is not None and dag.timetable_summary not in (None, "None")
            unpause = airflow_command("dags", "unpause", dag_id, "-y")
            said.append(unpause + (ALL_OF_ITS_RUNS if has_others else ""))
    return "; ".join([*said, *([START] if others else [])])
