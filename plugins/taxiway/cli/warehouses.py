"""Opens a warehouse to read its published months, and asks how their last loads have ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone

from airflow.utils.session import create_session
from sqlalchemy import select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from taxiway.cli.output import say, silence
from taxiway.cli.stranded_runs import UNENDED, said_of, stranded_of
from taxiway.errors import SettingError
from taxiway.loads.published_months import PublishedMonths
from taxiway.orchestration.month_of_run import run_of_name
from taxiway.orchestration.standing import Loads, ended_by, runs_ended, with_ends
from taxiway.orchestration.warehouses import WAREHOUSES, dag_id_of
from taxiway.sources.months import Month
from taxiway.sources.source import Source


@contextmanager
def published_months(warehouse: str, purpose: str) -> Iterator[PublishedMonths]:
    """Open a warehouse over Airflow's connection.

    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    :param purpose: what the months are read for, for messages
    :raises SettingError: nobody has set the warehouse up; or its connection or a Variable is missing, can't be read, or
        isn't what it should be
    :raises WarehouseError: the warehouse refuses
    :raises TransientWarehouseError: it can't answer now
    """
    kind = WAREHOUSES[warehouse]
    with kind.months(kind.conn_id, purpose) as opened:
        if opened is None:
            raise SettingError(f"{purpose}: {kind.title} isn't set up: docs/bigquery.md says how")
        yield opened.asking(ended_by(warehouse, _has_ended))


def last_loads(opened: PublishedMonths, warehouse: str, sources: Sequence[Source]) -> Loads:
    """Return how the last load of each month ended; what was cut off has ended, if Airflow can be asked for it.

    :param opened: the warehouse
    :param warehouse: its name
    :raises TransientWarehouseError: the warehouse can't answer now
    :raises WarehouseError: it refuses
    """
    asked_at = datetime.now(timezone.utc)
    loads = opened.last_loads(sources)
    try:
        return with_ends(loads, warehouse, asked_at)
    except SQLAlchemyError as error:
        _say_unknown(error)
        return loads


def said_of_stranded(loads: Loads, warehouse: str) -> Mapping[tuple[str, Month], str]:
    """Say of the loads that go on whose run nobody works on, and what has it go on.

    :param loads: as :func:`last_loads` returns them
    :param warehouse: its name
    :return: a sentence without its end, by source and month; none if Airflow can't be asked
    """
    going = {
        (source, month): run_of_name(load.run_id, dag_id_of(warehouse, source))
        for source, months in loads.items()
        for month, load in months.items()
        if load.state == "running"
    }
    if not going:
        return {}
    from airflow.models.dagrun import DagRun

    asked = select(DagRun).where(
        tuple_(DagRun.dag_id, DagRun.run_id).in_(set(going.values())), DagRun.state.in_(UNENDED)
    )
    try:
        with create_session() as session:
            found = {
                (run.dag_id, run.run_id): ". To have it go on: ".join(said_of([run], session))
                for run in stranded_of(session.scalars(asked).all(), session)
            }
    except SQLAlchemyError as error:
        _say_unknown(error)
        return {}
    return {of: found[run] for of, run in going.items() if run in found}


def _has_ended(dag_id: str, run_id: str) -> bool:
    """Say whether a run has ended by now; not if Airflow can't be asked for it."""
    try:
        return bool(runs_ended([(dag_id, run_id)], datetime.now(timezone.utc)))
    except SQLAlchemyError as error:
        _say_unknown(error)
        return False


def _say_unknown(error: SQLAlchemyError) -> None:
    say(f"Whether a load was cut off isn't known: {silence(error)}")
