"""Runs a backfill to its end, or watches Airflow's scheduler do it.

A scheduler ignores the runs of a paused DAG, and there may be no scheduler at all. If the DAG were unpaused, a
scheduler would create every other run of the schedule.
So the runner is a scheduler itself, for the runs of one backfill. Each step it
looks whether Airflow's own has them: the DAG may be paused or not, and services
may come and go, while it works.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow.jobs.job import Job, perform_heartbeat
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.backfill import Backfill, BackfillDagRun
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import with_row_locks
from airflow.utils.state import DagRunState, JobState, TaskInstanceState
from sqlalchemy import func, select

from dags_backfill.api_server import ExecutionApi
from dags_backfill.callbacks import Callbacks
from dags_backfill.interrupted_runs import JOB_TYPE, open_runs, reset_orphans, reset_queued
from dags_backfill.processes import GRACE_SECONDS
from dags_backfill.queueing import queue_tasks
from dags_backfill.takeover import is_alive
from dags_backfill.triggerer import Triggerer
from dags_backfill.workers import Workers

if TYPE_CHECKING:
    from airflow.executors.base_executor import BaseExecutor
    from sqlalchemy.orm import Session

LOOK_SECONDS = 1.0
"""Longest time between two looks at the database while no task reports."""

SOON_SECONDS = 0.02
"""Time until the next try to queue tasks, where a scheduler was doing so in that moment."""

ORPHAN_SECONDS = 10.0
"""Time between two searches for tasks whose supervisor has vanished."""


class BackfillRunner(SchedulerJobRunner):
    """A scheduler of one backfill.

    It takes over :class:`SchedulerJobRunner`'s decisions about single runs, and
    replaces what chooses among all DAGs. The locks are the same, so that a
    scheduler that starts meanwhile and this runner never queue a task twice.
    """

    job_type = JOB_TYPE

    def __init__(self, job: Job, backfill_id: int, dag_id: str, api: ExecutionApi) -> None:
        """Prepare to run a backfill.

        :param job: a new job; its heartbeat tells schedulers that the tasks queued here have an owner
        :param backfill_id: the backfill
        :param dag_id: its DAG
        :param api: the execution API; started when the first task is to run, if it is not running
        """
        super().__init__(job)
        self.backfill_id = backfill_id
        self.dag_id = dag_id
        self.api = api
        self.triggerer = Triggerer()
        self.stop_requested: Callable[[], bool] = lambda: False
        self.force: Callable[[], bool] = lambda: False
        self.say: Callable[[str], None] = lambda _text: None
        self.note = ""
        self.callbacks = Callbacks()
        self.workers = Workers(self.executors, self.callbacks)
        self._try_again_soon = False
        self._next_orphan_search = time.monotonic() + ORPHAN_SECONDS

    def run(self, on_tick: Callable[[], None]) -> bool:
        """Go on until every run has ended, or a stop is requested.

        :param on_tick: called after each step, to show what has changed
        :return: whether every run has ended
        """
        self.job.dag_id = self.dag_id
        self.job.prepare_for_execution()
        state = JobState.FAILED
        try:
            ended = self._loop(on_tick)
            if not ended and self.workers.started:
                self.say(
                    f"Stopping: running tasks have {GRACE_SECONDS:.0f} seconds to clean up. "
                    "Ask again to kill them at once."
                )
            self._end_workers(wait=ended)
            if ended:
                self.callbacks.run()
                self.callbacks.finish(self.say, self.stop_requested)
            state = JobState.SUCCESS
            return ended
        finally:
            try:
                self._end_workers(wait=False)
                self.callbacks.stop()
                self.triggerer.stop()
                self.api.stop()
            finally:
                self.job.state = state
                self.job.complete_execution()

    def _loop(self, on_tick: Callable[[], None]) -> bool:
        while not self.stop_requested():
            driving = not self._scheduler_has_it()
            self.note = "" if driving else "The DAG is not paused: Airflow's scheduler runs it."
            if self.workers.started and self.api.lost():
                self._start_over()
            if driving:
                self._start_executor()
                queued = self._schedule()
            else:
                queued = 0
            events = self._run_executor()
            self._look_after_tasks(driving)
            on_tick()
            with create_session() as session:
                if open_runs(self.backfill_id, session) == 0:
                    return True
            if not queued and not events:
                self.workers.wait(SOON_SECONDS if self._try_again_soon else LOOK_SECONDS, self.stop_requested)
        return False

    def _scheduler_has_it(self) -> bool:
        """Say whether Airflow's own scheduler runs this backfill: it is alive, and the DAG isn't paused."""
        with create_session() as session:
            paused = session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == self.dag_id))
            if paused:
                return False
            return is_alive("SchedulerJob", session)

    def _start_executor(self) -> None:
        if self.workers.started:
            return
        with create_session() as session:
            run_id = session.scalar(
                select(DagRun.run_id).where(DagRun.backfill_id == self.backfill_id).order_by(DagRun.id).limit(1)
            )
        self.api.start_if_missing()
        self.api.wait_until_ready(self.dag_id, run_id or "", self.stop_requested)
        if self.stop_requested():
            return
        self.workers.start(self.dag_id, self.job.id, self._most_tasks_at_once())

    def _start_over(self) -> None:
        """End the workers, whose tasks can't report any more; they run again, with another execution API."""
        self.say("The execution API has gone away: starting another, and running tasks run again.")
        self._end_workers(wait=False)
        self.api.stop()
        with create_session() as session:
            reset_queued(self.backfill_id, self.job.id, session)

    def _most_tasks_at_once(self) -> int:
        with create_session() as session:
            runs = session.scalar(select(Backfill.max_active_runs).where(Backfill.id == self.backfill_id)) or 1
            dag = self._get_current_dag(self.dag_id, session)
            per_run = session.scalar(select(DagModel.max_active_tasks).where(DagModel.dag_id == self.dag_id)) or 16
        if dag is not None and not any(task.is_mapped for task in dag.tasks):
            per_run = min(per_run, len(dag.tasks))
        return max(1, min(runs, self._open_runs()) * per_run)

    def _open_runs(self) -> int:
        with create_session() as session:
            return open_runs(self.backfill_id, session)

    def _schedule(self) -> int:
        """Start queued runs and send tasks that can run to the executor.

        :return: how many tasks were sent
        """
        if not self.workers.started:
            return 0
        with create_session() as session:
            self._start_queued_runs(session)
            session.flush()
            runs = session.scalars(
                with_row_locks(
                    select(DagRun)
                    .where(DagRun.backfill_id == self.backfill_id, DagRun.state == DagRunState.RUNNING)
                    .order_by(DagRun.last_scheduling_decision.asc().nulls_first()),
                    session,
                    of=DagRun,
                    skip_locked=True,
                )
            ).all()
            self._stamp_team_names(runs, session)
            callbacks = [(run, self._schedule_dag_run(run, session)) for run in runs]
            session.flush()
            session.expire_all()
            queued = queue_tasks(
                self.backfill_id,
                session,
                job_id=self.job.id,
                max_tasks=self._parallelism - self.workers.occupied,
                executor_of=lambda task: self._try_to_load_executor(task, session),
                dag_of=lambda task: self.scheduler_dag_bag.get_dag_for_run(dag_run=task.dag_run, session=session),
            )
            self._try_again_soon = queued is None
            session.flush()
            for executor, tasks in (queued or {}).items():
                self._enqueue_task_instances_with_queued_state(tasks, executor, session)
        for run, callback in callbacks:
            if callback is not None and run.dag is not None:
                self._send_dag_callbacks_to_processor(run.dag, callback)
        return sum(len(tasks) for tasks in (queued or {}).values())

    def _start_queued_runs(self, session: Session) -> None:
        backfill = session.scalar(
            select(Backfill).where(Backfill.id == self.backfill_id).with_for_update(skip_locked=True)
        )
        if backfill is None:
            return
        if backfill.is_paused:
            self.note = "The backfill is paused, in the web UI perhaps: no further run starts until it goes on."
            return
        running = session.scalar(
            select(func.count())
            .select_from(DagRun)
            .where(DagRun.backfill_id == self.backfill_id, DagRun.state == DagRunState.RUNNING)
        )
        queued = session.scalars(
            with_row_locks(
                select(DagRun)
                .join(BackfillDagRun, BackfillDagRun.dag_run_id == DagRun.id)
                .where(
                    BackfillDagRun.backfill_id == self.backfill_id,
                    DagRun.backfill_id == self.backfill_id,
                    DagRun.state == DagRunState.QUEUED,
                )
                .order_by(BackfillDagRun.sort_ordinal)
                .limit(max(0, backfill.max_active_runs - (running or 0))),
                session,
                of=DagRun,
                skip_locked=True,
            )
        ).all()
        self._stamp_team_names(queued, session)
        for run in queued:
            run.dag = self.scheduler_dag_bag.get_dag_for_run(dag_run=run, session=session)
            run.state = DagRunState.RUNNING
            run.start_date = datetime.now(timezone.utc)
            run.notify_dagrun_state_changed(msg="started")

    def _run_executor(self) -> int:
        """Let the executor work, and take in what it reports.

        :return: how many reports there were
        """
        perform_heartbeat(job=self.job, heartbeat_callback=self.heartbeat_callback, only_if_necessary=True)
        if not self.workers.started:
            return 0
        events = 0
        for executor in self.executors:
            executor.heartbeat()
            with create_session() as session:
                drop_reports_of_pauses(executor, session)
                events += self._process_executor_events(executor=executor, session=session)
                self._process_task_event_logs(executor._task_event_logs, session)
        return events

    def _look_after_tasks(self, driving: bool) -> None:
        """See to callbacks, tasks that wait for a trigger or a person, and those whose supervisor has vanished."""
        if not driving:
            return
        self.triggerer.start_if_needed(self.backfill_id)
        self.callbacks.run()
        if time.monotonic() < self._next_orphan_search:
            return
        self._next_orphan_search = time.monotonic() + ORPHAN_SECONDS
        self.check_trigger_timeouts()
        self.check_awaiting_input_timeouts()
        self._find_and_purge_task_instances_without_heartbeats()
        self._handle_tasks_stuck_in_queued()
        with create_session() as session:
            reset_orphans(self.backfill_id, self.job.id, self._task_instance_heartbeat_timeout_secs, session)

    def _end_workers(self, *, wait: bool) -> None:
        self.workers.end(wait=wait, keep={self.api.pid, self.callbacks.pid, self.triggerer.pid}, force=self.force)


def drop_reports_of_pauses(executor: BaseExecutor, session: Session) -> None:
    """Drop an executor's report that a task has paused, where the task goes on already.

    A worker reports up to seconds after its task has deferred itself. If the trigger has fired meanwhile, and the task
    is queued or running anew, Airflow takes the report for that of a task that died, and fails it. It excuses a task
    whose executor still has it, which LocalExecutor never says.

    :param executor: what it has reported is read from its event buffer, and stays there but for these reports
    """
    ended = [
        key
        for key, (state, _) in executor.event_buffer.items()
        if isinstance(key, TaskInstanceKey) and state == TaskInstanceState.SUCCESS
    ]
    these = TaskInstance.filter_for_tis(ended)
    if these is None:
        return
    resumed = select(TaskInstance).where(
        these,
        TaskInstance.state.in_([TaskInstanceState.QUEUED, TaskInstanceState.RUNNING]),
        TaskInstance.next_method.is_not(None),
    )
    for task in session.scalars(resumed):
        executor.event_buffer.pop(task.key, None)
