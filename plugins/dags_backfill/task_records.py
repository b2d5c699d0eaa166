"""What the metadata tells of the tasks of a run: which have run, and whether the run came to its end by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.serialization.definitions.dag import SerializedDAG
    from sqlalchemy.orm import Session

_FAILED = ("failed", "upstream_failed")


class TaskRecord(NamedTuple):
    """What is known of one task of one run.

    :param task_id: the task
    :param state: its state; None before it is scheduled
    :param try_number: its last try, from 1; 0 before it is scheduled
    :param last_event: the last state of that try that Airflow's log of events has, and that a worker, not a user,
        has brought about; None if there is none
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
    """Return the ids of the runs that somebody has marked as succeeded before they had ended, and that went no further.

    Tasks that had not begun, or waited for another try, are skipped by that, as by a worker. Airflow's log of events
    has the mark, from before the end of the run, and behind it no task but those that tidy up in any case.

    :param runs: runs of one DAG
    """
    from airflow.models.log import Log

    if not runs:
        return frozenset()
    by_id = {run.run_id: run for run in runs}
    marks = session.execute(
        select(Log.run_id, func.max(Log.id), func.max(Log.dttm))
        .where(
            Log.dag_id == runs[0].dag_id,
            Log.run_id.in_(by_id),
            Log.event == "patch_dag_run",
            Log.extra.contains('"state": "success"'),
        )
        .group_by(Log.run_id)
    )
    found = set()
    for run_id, mark, moment in marks:
        run = by_id[str(run_id)]
        dag = _dag_of(run, session)
        tidying = [task.task_id for task in dag.tasks if task.is_teardown] if dag else []
        last_event = session.scalar(
            select(func.max(Log.id)).where(
                Log.dag_id == run.dag_id,
                Log.run_id == run.run_id,
                Log.event.in_(_states()),
                Log.task_id.not_in(tidying),
            )
        )
        if run.end_date is not None and moment is not None and moment <= run.end_date and mark > (last_event or 0):
            found.add(run.run_id)
    return frozenset(found)


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
    from airflow.models.dagbag import DBDagBag

    return DBDagBag().get_dag_for_run(run, session=session)


def _last_tasks(run: DagRun, tasks: Sequence[TaskRecord], session: Session) -> Sequence[TaskRecord]:
    """Return the tasks that decide how a run ends; all of them if its DAG isn't known any more."""
    dag = _dag_of(run, session)
    return tasks if dag is None else list(run._tis_for_dagrun_state(dag=dag, tis=tasks))
