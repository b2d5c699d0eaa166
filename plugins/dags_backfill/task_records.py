"""What the metadata tells of the tasks of a run: which have run, and whether the run came to its end by itself."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, or_, select

if TYPE_CHECKING:
    from airflow.models.dagbag import DBDagBag
    from airflow.models.dagrun import DagRun
    from airflow.serialization.definitions.dag import SerializedDAG
    from sqlalchemy.orm import Session

_FAILED = ("failed", "upstream_failed")
_MARKS = ("success", "failed")


class TaskRecord(NamedTuple):
    """What is known of one task of one run.

    :param task_id: the task
    :param state: its state; None before it is scheduled
    :param try_number: its last try, from 1; 0 before it is scheduled
    :param last_event: the last state of the try in Airflow's log of events that a worker set, not a user; None if there
        is none
    """

    task_id: str
    state: str | None
    try_number: int
    last_event: str | None

    @property
    def ran(self) -> bool:
        """Whether it has succeeded by running.

        Who marks a task changes its state alone: what its last try came to stays in the log of events. That log may
        be cleaned, and has nothing of tasks without work (``EmptyOperator``): then the state is believed.
        """
        return self.state == "success" and self.try_number > 0 and self.last_event in (None, "success")

    @property
    def marked(self) -> bool:
        """Whether somebody has marked it as succeeded."""
        return self.state == "success" and not self.ran

    @property
    def failures(self) -> int:
        """How many tries have ended without success; the try under way, or the last one of all, is not counted."""
        between_tries = self.state is None or self.state == "up_for_retry"
        return self.try_number if between_tries else max(0, self.try_number - 1)


def task_records(dag_id: str, run_ids: Sequence[str], session: Session) -> Mapping[str, Sequence[TaskRecord]]:
    """Read the tasks of runs, by the run's id; a run without tasks is left out."""
    from airflow.models.log import Log
    from airflow.models.taskinstance import TaskInstance

    last_event = (
        select(Log.event)
        .where(
            Log.dag_id == TaskInstance.dag_id,
            Log.task_id == TaskInstance.task_id,
            Log.run_id == TaskInstance.run_id,
            Log.map_index == TaskInstance.map_index,
            Log.try_number == TaskInstance.try_number,
            Log.event.in_(_states()),
        )
        .order_by(Log.id.desc())
        .limit(1)
        .correlate(TaskInstance)
        .scalar_subquery()
    )
    found: dict[str, list[TaskRecord]] = {}
    columns = (TaskInstance.run_id, TaskInstance.task_id, TaskInstance.state, TaskInstance.try_number, last_event)
    for run_id, *values in session.execute(
        select(*columns).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id.in_(run_ids))
    ):
        found.setdefault(run_id, []).append(TaskRecord(*values))
    return found


def marked_runs(runs: Sequence[DagRun], session: Session) -> frozenset[str]:
    """Return the ids of the runs that somebody has ended by a mark, and that went no further.

    Tasks that had not begun, or waited for another try, are skipped by a mark, as by a worker. Airflow's log of events
    has the mark, and behind it no task but those that tidy up in any case. A mark that changes nothing, of a run that
    had come to its end, is none. A mark as failed counts too: a mark as succeeded afterwards changes no task.

    :param runs: runs of one DAG that are recorded as succeeded
    """
    found = set()
    marks = _marks(runs, session) if runs else {}
    for run in runs:
        of_run = marks.get(run.run_id, {})
        # Only a run whose marks may have ended it needs its DAG.
        if _have_ended(run, of_run.values(), [], session):
            dag = _dag_of(run, session)
            tidying = [task.task_id for task in dag.tasks if task.is_teardown] if dag else []
            last_event = _last_event(run, tidying, session)
            behind = [moment for mark, moment in of_run.items() if mark > last_event]
            if _have_ended(run, behind, tidying, session):
                found.add(run.run_id)
    return frozenset(found)


def _marks(runs: Sequence[DagRun], session: Session) -> Mapping[str, Mapping[int, datetime]]:
    """Return when each run was marked, alone or with others: by the run's id and the id of the event."""
    from airflow.models.log import Log

    dag_id, run_ids = runs[0].dag_id, {run.run_id for run in runs}
    single = and_(Log.event == "patch_dag_run", Log.dag_id == dag_id, Log.run_id.in_(run_ids))
    # Several at once: their ids are in the body of the request only.
    several = Log.event == "bulk_dag_runs"
    begun = [moment for run in runs for moment in (run.queued_at, run.start_date) if moment]
    if begun:
        several = and_(several, Log.dttm >= min(begun))
    found: dict[str, dict[int, datetime]] = {}
    for mark, moment, of_dag, of_run, extra in session.execute(
        select(Log.id, Log.dttm, Log.dag_id, Log.run_id, Log.extra)
        .where(or_(single, several), Log.extra.contains('"state": "'))
        .order_by(Log.id)
    ):
        for said in _objects(json.loads(extra or "null")):
            run_id = str(said.get("dag_run_id") or of_run)
            here = run_id in run_ids and (said.get("dag_id") or of_dag) == dag_id
            if here and moment and said.get("state") in _MARKS:
                found.setdefault(run_id, {})[mark] = moment
    return found


def _objects(said: object) -> Iterator[Mapping[str, Any]]:
    """Yield a JSON object and all those within it."""
    if isinstance(said, dict):
        yield said
        said = list(said.values())
    for part in said if isinstance(said, list) else ():
        yield from _objects(part)


def _have_ended(run: DagRun, marks: Collection[datetime], tidying: Collection[str], session: Session) -> bool:
    """Say whether marks have ended a run: it hadn't ended before the first one, or tasks were skipped from then on.

    A failed run that is marked as succeeded keeps the moment at which it failed.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.state import TaskInstanceState

    if not marks or run.end_date is None:
        return False
    first = min(marks)
    skipped = select(TaskInstance.id).where(
        TaskInstance.dag_id == run.dag_id,
        TaskInstance.run_id == run.run_id,
        TaskInstance.state == TaskInstanceState.SKIPPED,
        TaskInstance.end_date >= first,
        TaskInstance.task_id.not_in(tidying),
    )
    return first <= run.end_date or session.scalar(skipped.limit(1)) is not None


def _last_event(run: DagRun, tidying: Collection[str], session: Session) -> int:
    """Return the id of the last event of a worker on a run's tasks, but for those that tidy up."""
    from airflow.models.log import Log

    last = session.scalar(
        select(func.max(Log.id)).where(
            Log.dag_id == run.dag_id,
            Log.run_id == run.run_id,
            Log.event.in_(_states()),
            Log.task_id.not_in(tidying),
        )
    )
    return last or 0


def ran_to_its_end(run: DagRun, tasks: Sequence[TaskRecord], marked: Collection[str], session: Session) -> bool:
    """Say whether a run that is recorded as succeeded has succeeded by running, rather than by being marked.

    Airflow itself ends a run as succeeded if none of its last tasks has failed. Who marks the run leaves those that
    have failed as they are, marks those that run, and skips the rest. Who marks a task marks that alone.

    :param run: the run, recorded as succeeded
    :param tasks: its tasks, at least one
    :param marked: ids of the runs that somebody has ended
    """
    if run.run_id in marked or not any(task.ran for task in tasks):
        return False
    if not any(task.marked or task.state in _FAILED for task in tasks):
        return True
    last = _last_tasks(run, tasks, session)
    if any(task.marked or task.state in _FAILED for task in last):
        return False
    # If a worker skips the last tasks, as for an unchanged month, nobody has marked the ones before.
    return any(task.ran for task in last) or not any(task.marked for task in tasks)


def _states() -> Sequence[str]:
    """Return the events of a worker: the states of tasks."""
    from airflow.utils.state import TaskInstanceState

    return [state.value for state in TaskInstanceState]


def _dag_of(run: DagRun, session: Session) -> SerializedDAG | None:
    return _dag_bag().get_dag_for_run(run, session=session)


@functools.cache
def _dag_bag() -> DBDagBag:
    """Return the command's one store of DAGs: it asks the database once for each version of a DAG."""
    from airflow.models.dagbag import DBDagBag

    return DBDagBag()


def _last_tasks(run: DagRun, tasks: Sequence[TaskRecord], session: Session) -> Sequence[TaskRecord]:
    """Return the tasks that decide how a run ends; all of them if its DAG isn't known any more."""
    dag = _dag_of(run, session)
    return tasks if dag is None else list(run._tis_for_dagrun_state(dag=dag, tis=tasks))
