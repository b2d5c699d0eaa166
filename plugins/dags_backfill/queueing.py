"""Which scheduled tasks of a backfill may go to the executor now.

Airflow's scheduler decides this for all DAGs at once, and leaves out paused
ones. The limits here are the same: pools, the DAG's ``max_active_tasks``, a
task's own limits, and the executor's free slots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from airflow.executors.base_executor import BaseExecutor
    from airflow.models.taskinstance import TaskInstance
    from airflow.serialization.definitions.dag import SerializedDAG
    from sqlalchemy.orm import Session


def queue_tasks(
    backfill_id: int,
    session: Session,
    *,
    job_id: int,
    max_tasks: int,
    executor_of: Callable[[TaskInstance], BaseExecutor | None],
    dag_of: Callable[[TaskInstance], SerializedDAG | None],
) -> dict[BaseExecutor, list[TaskInstance]] | None:
    """Mark scheduled tasks as queued, as far as all limits allow.

    :param job_id: the job that answers for the tasks from now on
    :param max_tasks: how many tasks may be queued at most
    :param executor_of: finds a task's executor
    :param dag_of: finds the DAG version that a task belongs to
    :return: the tasks by executor, to be sent once the transaction is committed. None if a scheduler is queueing tasks
        at this moment: try again
    """
    from airflow.jobs.scheduler_job_runner import ConcurrencyMap
    from airflow.utils.state import TaskInstanceState

    tasks = _scheduled_tasks(backfill_id, session)
    if not tasks or max_tasks <= 0:
        return {}
    pools = _locked_pools(session)
    if pools is None:
        return None
    concurrency = ConcurrencyMap()
    concurrency.load(session)
    free_slots: dict[BaseExecutor, int] = {}
    queued: dict[BaseExecutor, list[TaskInstance]] = {}
    for task in tasks:
        if max_tasks <= 0:
            break
        executor = executor_of(task)
        if executor is None or free_slots.setdefault(executor, executor.slots_available) <= 0:
            continue
        if not _fits(task, pools, concurrency, dag_of(task)):
            continue
        task.state = TaskInstanceState.QUEUED
        task.queued_dttm = datetime.now(timezone.utc)
        task.queued_by_job_id = job_id
        if executor.pre_assigns_external_executor_id:
            task.external_executor_id = str(uuid4())
        pools[task.pool]["open"] -= task.pool_slots
        concurrency.dag_run_active_tasks_map[task.dag_id, task.run_id] += 1
        concurrency.task_concurrency_map[task.dag_id, task.task_id] += 1
        concurrency.task_dagrun_concurrency_map[task.dag_id, task.run_id, task.task_id] += 1
        free_slots[executor] -= 1
        max_tasks -= 1
        queued.setdefault(executor, []).append(task)
    return queued


def _scheduled_tasks(backfill_id: int, session: Session) -> Sequence[TaskInstance]:
    from airflow.models.backfill import BackfillDagRun
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.sqlalchemy import with_row_locks
    from airflow.utils.state import DagRunState, TaskInstanceState

    query = (
        select(TaskInstance)
        .join(TaskInstance.dag_run)
        .join(BackfillDagRun, BackfillDagRun.dag_run_id == DagRun.id)
        .where(
            BackfillDagRun.backfill_id == backfill_id,
            DagRun.state == DagRunState.RUNNING,
            TaskInstance.state == TaskInstanceState.SCHEDULED,
        )
        .order_by(-TaskInstance.priority_weight, BackfillDagRun.sort_ordinal, TaskInstance.map_index)
    )
    return session.scalars(with_row_locks(query, session, of=TaskInstance, skip_locked=True)).all()


def _locked_pools(session: Session) -> dict[str, Any] | None:
    """Take the locks under which a scheduler queues tasks, and read the pools."""
    from airflow.models.pool import Pool
    from airflow.utils.db import DBLocks
    from airflow.utils.sqlalchemy import is_lock_not_available_error

    lock = text("SELECT pg_try_advisory_xact_lock(:id)").bindparams(id=DBLocks.SCHEDULER_CRITICAL_SECTION.value)
    if not session.scalar(lock):
        return None
    try:
        with session.begin_nested():
            return dict(Pool.slots_stats(lock_rows=True, session=session))
    except OperationalError as error:
        if is_lock_not_available_error(error):
            return None
        raise


def _fits(task: TaskInstance, pools: Mapping[str, Any], concurrency: Any, dag: SerializedDAG | None) -> bool:
    pool = pools.get(task.pool)
    if pool is None or pool["open"] < task.pool_slots or dag is None or not dag.has_task(task.task_id):
        return False
    if concurrency.dag_run_active_tasks_map[task.dag_id, task.run_id] >= task.dag_model.max_active_tasks:
        return False
    definition = dag.get_task(task.task_id)
    limits = (
        (definition.max_active_tis_per_dag, concurrency.task_concurrency_map[task.dag_id, task.task_id]),
        (
            definition.max_active_tis_per_dagrun,
            concurrency.task_dagrun_concurrency_map[task.dag_id, task.run_id, task.task_id],
        ),
    )
    return all(limit is None or running < limit for limit, running in limits)
