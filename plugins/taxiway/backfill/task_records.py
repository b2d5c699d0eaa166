"""What the metadata tells of the tasks of a run: which have run, and whether the run came to its end by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
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
    from airflow.utils.state import TaskInstanceState

    last_event = (
        select(Log.event)
        .where(
            Log.dag_id == TaskInstance.dag_id,
            Log.task_id == TaskInstance.task_id,
            Log.run_id == TaskInstance.run_id,
            Log.map_index == TaskInstance.map_index,
            Log.try_number == TaskInstance.try_number,
            Log.event.in_([state.value for state in TaskInstanceState]),
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


def ran_to_its_end(run: DagRun, tasks: Sequence[TaskRecord], session: Session) -> bool:
    """Say whether a run that is recorded as succeeded has succeeded by running, rather than by being marked.

    Airflow itself ends a run as succeeded if none of its last tasks has failed. Who marks the run leaves those that
    have failed as they are, marks those that run, and skips the rest. Who marks a task marks that alone.

    :param run: the run, recorded as succeeded
    :param tasks: its tasks, at least one
    """
    if not any(task.ran for task in tasks):
        return False
    if not any(task.marked or task.state in _FAILED for task in tasks):
        return True
    last = _last_tasks(run, tasks, session)
    if any(task.marked or task.state in _FAILED for task in last):
        return False
    # If a worker skips the last tasks, as for an unchanged month, nobody has marked the ones before.
    return any(task.ran for task in last) or not any(task.marked for task in tasks)


def _last_tasks(run: DagRun, tasks: Sequence[TaskRecord], session: Session) -> Sequence[TaskRecord]:
    """Return the tasks that decide how a run ends; all of them if its DAG isn't known any more."""
    from airflow.models.dagbag import DBDagBag

    dag = DBDagBag().get_dag_for_run(run, session=session)
    return tasks if dag is None else list(run._tis_for_dagrun_state(dag=dag, tis=tasks))
