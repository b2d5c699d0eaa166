"""What tells how months stand besides the ledger, for the board, the commands and the watch alike.

Input: how the last loads have ended, as the ledger has it. Output: the same with what Airflow knows of their runs, and
what the watch has seen of the files. Nothing is locked or changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import psycopg

from taxiway.errors import TransientWarehouseError
from taxiway.loads.month_state import Watched
from taxiway.loads.published_months import HasEnded, LastLoad, LoggedAttempt
from taxiway.orchestration.month_of_run import run_of_name
from taxiway.orchestration.open_postgres import QUICK_STATEMENT_TIMEOUT, quick_postgres_months
from taxiway.orchestration.warehouses import WAREHOUSES, dag_id_of
from taxiway.sources.months import Month
from taxiway.warehouses.postgres.errors import said_by
from taxiway.warehouses.postgres.watched_files import watched_files

CUT_OFF = (
    "its run has ended before the load did: somebody cancelled, deleted or marked it in Airflow; or another Airflow "
    "has it"
)
"""The error of a load that goes on as the ledger has it, and whose run has ended."""

UNKNOWN_CHANGES = "Whether files have changed at their source isn't known"
"""What is said if the watch's table can't be read, before the reason."""

Loads = Mapping[str, Mapping[Month, LastLoad]]
"""How the last load of each month ended, by source."""

Attempted = TypeVar("Attempted", LastLoad, LoggedAttempt)


def running_runs(loads: Loads, warehouse: str) -> set[tuple[str, str]]:
    """Return DAG and id of the runs whose loads go on, as the ledger has it."""
    return {
        run_of_name(load.run_id, dag_id_of(warehouse, source))
        for source, months in loads.items()
        for load in months.values()
        if load.state == "running"
    }


def runs_ended(runs: Iterable[tuple[str, str]], before: datetime) -> frozenset[tuple[str, str]]:
    """Return those of some runs that had ended at a moment, however they ended, or are gone. A task can't ask this.

    Airflow has each run whose load has begun, until somebody deletes it.

    :param runs: DAG and id of each
    :param before: the moment
    :raises sqlalchemy.exc.SQLAlchemyError: Airflow's metadata database doesn't answer
    """
    from airflow.models.dagrun import DagRun  # takes long to import, and a task imports this module
    from airflow.utils.session import create_session
    from airflow.utils.state import State
    from sqlalchemy import or_, select, tuple_

    asked = frozenset(runs)
    if not asked:
        return asked
    with create_session() as session:
        going = session.execute(
            select(DagRun.dag_id, DagRun.run_id).where(
                tuple_(DagRun.dag_id, DagRun.run_id).in_(asked),
                or_(DagRun.state.not_in(State.finished_dr_states), DagRun.end_date >= before),
            )
        )
        return asked.difference((dag_id, run_id) for dag_id, run_id in going)


def has_ended(ti: Any, dag_id: str, run_id: str) -> bool:
    """Say whether a run has ended, however it ended, or is gone; for a task.

    :param ti: Airflow's task instance, which asks
    """
    return not ti.get_dr_count(dag_id, run_ids=[run_id], states=["queued", "running"])


def ended_by(warehouse: str, ask: Callable[[str, str], bool]) -> HasEnded:
    """Return what asks Airflow whether a run has ended that goes on in a ledger.

    :param warehouse: whose ledger it is
    :param ask: asks, given DAG and id
    """
    return lambda source, name: ask(*run_of_name(name, dag_id_of(warehouse, source.name)))


def cut_off(loads: Loads, warehouse: str, ended: Collection[tuple[str, str]]) -> Loads:
    """Give the loads an end whose run has one: a task that Airflow kills tells the ledger nothing.

    :param ended: DAG and id of the runs of :func:`running_runs` that have ended
    """
    return {
        source: {month: with_end(load, dag_id_of(warehouse, source), ended) for month, load in months.items()}
        for source, months in loads.items()
    }


def with_end(attempt: Attempted, dag_id: str, ended: Collection[tuple[str, str]]) -> Attempted:
    """Give an attempt an end, as above.

    :param dag_id: the source's own DAG
    """
    if attempt.state != "running" or run_of_name(attempt.run_id, dag_id) not in ended:
        return attempt
    return replace(attempt, state="abandoned", error=CUT_OFF)


def with_ends(loads: Loads, warehouse: str, asked_at: datetime) -> Loads:
    """Ask Airflow which runs have ended, and give their loads an end.

    :param asked_at: a moment before the ledger was asked: a run that ended later may have told it
    :raises sqlalchemy.exc.SQLAlchemyError: Airflow's metadata database doesn't answer
    """
    return cut_off(loads, warehouse, runs_ended(running_runs(loads, warehouse), asked_at))


def seen_by_watch(warehouse: str, purpose: str) -> Mapping[str, Mapping[Month, Watched]]:
    """Return what the watch has seen of a warehouse's files, by source and month. Postgres knows it of every warehouse.

    :param purpose: what asks, for messages
    :raises TaxiwayError: Postgres can't be asked
    """
    with quick_postgres_months(WAREHOUSES["postgres"].conn_id, purpose) as postgres:
        try:
            return watched_files(postgres.connection, warehouse, QUICK_STATEMENT_TIMEOUT)
        except psycopg.Error as error:
            raise TransientWarehouseError(said_by(error)) from error
