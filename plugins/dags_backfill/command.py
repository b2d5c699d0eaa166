"""The command ``airflow dags backfill`` from its options to its exit code."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil
from airflow import settings
from airflow.configuration import conf
from airflow.utils import cli as cli_utils
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from airflow.utils.session import create_session
from sqlalchemy.orm import Session

from dags_backfill.api_server import ExecutionApi
from dags_backfill.configuration import (
    database_silence,
    executor_problem,
    given_settings,
    metadata_problem,
    named_by,
)
from dags_backfill.creation import check_conf, create_backfill
from dags_backfill.dag_files import ParsedDag, parse_dag
from dags_backfill.errors import EXIT_FAILED, BackfillError, BackfillStopped
from dags_backfill.interrupted_runs import (
    Reconciled,
    fail_dead_jobs,
    is_ours,
    open_runs,
    reconcile,
    unfinished_backfill,
)
from dags_backfill.lock import BackfillLock, require_postgres
from dags_backfill.outcome import RunStatus, retry_reason, statuses
from dags_backfill.output import Output, log_file
from dags_backfill.plan import PlannedRun, plan_runs
from dags_backfill.progress import Progress
from dags_backfill.request import BackfillRequest
from dags_backfill.signals import StopSignals
from dags_backfill.summary import report, report_stop, say_dry_run, say_plan

LOCK_CHECK_SECONDS = 30.0


@providers_configuration_loaded
def backfill(arguments: Namespace) -> None:
    """Run the command.

    :raises SystemExit: always; with 0 if every run of the range has succeeded
    """
    with StopSignals() as signals:
        code = _Command(arguments, signals).run()
    # What Airflow has loaded goes with the process: looking through it for garbage once more takes a second. What is
    # garbage by now is never finalized; nothing here waits for that, files and connections are closed already.
    gc.freeze()
    raise SystemExit(code)


class _Command:
    """One call of the command."""

    def __init__(self, arguments: Namespace, signals: StopSignals) -> None:
        self.arguments = arguments
        self.signals = signals
        self.api = ExecutionApi()
        self.given = given_settings()
        self.started = time.monotonic()

    def run(self) -> int:
        logs = Path(conf.get_mandatory_value("logging", "base_log_folder"))
        try:
            self.output = Output(None if self.arguments.verbose else log_file(logs, self.arguments.dag_id))
        except OSError as error:
            print(f"error: Airflow's messages can't be written to {logs}: {error}", file=sys.stderr)
            return EXIT_FAILED
        try:
            self.request = BackfillRequest.of(self.arguments)
            require_postgres()
            return int(_recorded(self.arguments, self))
        except BackfillStopped:
            self.output.error("stopped before anything was started")
            return self.signals.exit_code
        except BackfillError as error:
            self.output.error(str(error))
            return error.exit_code
        except (Exception, SystemExit) as error:
            # Airflow ends the process itself if its metadata isn't migrated, and says why in its log only.
            traceback.print_exc()
            where = f"; details: {self.output.log}" if self.output.log else ""
            silence = database_silence(error)
            if silence is not None:
                self.output.error(self._unanswered(silence) + self.given)
            else:
                self.output.error(metadata_problem() or f"{type(error).__name__}: {error}{where}{self.given}")
            return EXIT_FAILED
        finally:
            self.api.stop()
            self.output.close()

    def _unanswered(self, silence: str) -> str:
        url = settings.get_engine().url.render_as_string(hide_password=True)
        given = named_by("database", "sql_alchemy_conn")
        return (
            f"Airflow's metadata database {url}{given} has stopped answering: {silence}. Nothing is "
            "half done: the next call puts the runs that had begun in order. Once the database answers again, go on "
            f"with: {self.request.command(reprocess=self.request.reprocess_of_the_rest)}"
        )

    def _parse(self) -> ParsedDag:
        """Read the DAG from its file; the range is one of its own clocks from then on."""
        parsed = parse_dag(self.request.dag_id)
        self.request = self.request.in_zone(parsed.dag.timezone)
        return parsed

    def execute(self) -> int:
        if self.request.dry_run:
            return self._dry_run()
        if self._runs_tasks_itself():
            self.api.start_if_missing()
        self._load_executors()
        parsed = self._parse()
        check_conf(self.request, parsed.dag)
        # Everything that can be wrong with the range is found before anything is written.
        with create_session() as session:
            plan_runs(self.request, parsed, session)
        self._stop_if_asked()
        lock = BackfillLock(self.request.dag_id)
        if not lock.acquire():
            self._refuse(lock)
        try:
            parsed.write_to_database()
            return self._backfill(parsed, lock)
        finally:
            lock.release()

    def _runs_tasks_itself(self) -> bool:
        """Say whether tasks will probably be run here, rather than by a scheduler."""
        from airflow.models.dag import DagModel

        from dags_backfill.takeover import is_alive

        with create_session() as session:
            dag = session.get(DagModel, self.request.dag_id)
            runs_here = dag is None or bool(dag.is_paused) or not is_alive("SchedulerJob", session)
        # Processes that are forked next must not share a connection with this one.
        settings.get_engine().dispose()
        return runs_here

    def _load_executors(self) -> None:
        """Load the configured executors before anything is changed."""
        problem = executor_problem()
        if problem is not None:
            raise BackfillError(problem + self.given)

    def _dry_run(self) -> int:
        self._load_executors()
        parsed = self._parse()
        check_conf(self.request, parsed.dag)
        lock = BackfillLock(self.request.dag_id)
        with create_session() as session:
            if lock.holder(session) is not None:
                self._refuse(lock)
            # A call reconciles unfinished runs first. A dry run does the same, and rolls it back.
            unfinished = self._unfinished(session)
            if unfinished is not None:
                reconcile(unfinished, "dry run", session)
            plan = plan_runs(self.request, parsed, session)
            session.rollback()
        say_dry_run(self.output.console, plan)
        return 0

    def _backfill(self, parsed: ParsedDag, lock: BackfillLock) -> int:
        self._clear_away()
        self._stop_if_asked()
        with create_session() as session:
            plan = plan_runs(self.request, parsed, session)
            backfill_id = None
            if any(run.action.runs for run in plan.runs):
                backfill_id = create_backfill(self.request, plan.runs, session)
        say_plan(self.output.console, self.request, plan)
        if backfill_id is not None and not self._run(backfill_id, plan.runs, lock):
            return self.signals.exit_code
        with create_session() as session:
            runs = statuses(self.request.dag_id, plan.runs, session)
            if backfill_id is None:
                Progress(self.output.console, live=False).show(runs)
            took = timedelta(seconds=time.monotonic() - self.started)
            return report(self.output.console, self.request, plan, runs, took, session)

    def _run(self, backfill_id: int, planned: Sequence[PlannedRun], lock: BackfillLock) -> bool:
        """Run a backfill to its end.

        :return: whether it came to its end; if not, it has been stopped and reconciled
        """
        from airflow.jobs.job import Job

        from dags_backfill.runner import BackfillRunner

        next_lock_check = time.monotonic() + LOCK_CHECK_SECONDS

        def on_tick() -> None:
            nonlocal next_lock_check
            if time.monotonic() > next_lock_check:
                next_lock_check = time.monotonic() + LOCK_CHECK_SECONDS
                if not lock.keep():
                    raise BackfillError("the lock of this backfill was lost, and another command has it now")
            with create_session() as session:
                runs = statuses(self.request.dag_id, planned, session)
            progress.show(runs, note=runner.note)

        def why(run: RunStatus, task_id: str) -> str | None:
            with create_session() as session:
                return retry_reason(self.request.dag_id, run, task_id, session)

        with Progress(self.output.console, live=not self.arguments.verbose, why=why) as progress:
            ended = False
            try:
                runner = BackfillRunner(Job(), backfill_id, self.request.dag_id, self.api)
                runner.stop_requested = self.signals.requested
                runner.force = self.signals.force
                runner.say = progress.line
                ended = runner.run(on_tick)
            finally:
                if not ended:
                    self._reconcile(backfill_id, "stopped" if self.signals.requested() else "the command failed")
            with create_session() as session:
                if ended:
                    _complete(backfill_id, session)
                runs = statuses(self.request.dag_id, planned, session)
            if ended:
                progress.show(runs)
        if not ended:
            report_stop(self.output.console, self.request, runs)
        return ended

    def _clear_away(self) -> None:
        """Put the unfinished runs of a killed command in order, and refuse to disturb anybody else's backfill."""
        with create_session() as session:
            fail_dead_jobs(self.request.dag_id, session)
            unfinished = self._unfinished(session)
        if unfinished is not None:
            self.output.console.print("An earlier call was killed: its unfinished runs are put in order first.")
            self._reconcile(unfinished, "the command was killed")

    def _unfinished(self, session: Session) -> int | None:
        """Return the backfill that a killed command has left unfinished; None if there is none.

        :raises BackfillError: somebody else's backfill is not finished
        """
        unfinished = unfinished_backfill(self.request.dag_id, session)
        if unfinished is None:
            return None
        if open_runs(unfinished.id, session) == 0:
            # It has ended; schedulers note this every half minute, and there may be none.
            unfinished.completed_at = datetime.now(timezone.utc)
            return None
        if not is_ours(unfinished):
            raise BackfillError(
                f"another backfill of {self.request.dag_id} is not finished: number {unfinished.id}, created "
                f"{unfinished.created_at:%Y-%m-%d %H:%M} UTC by {unfinished.triggering_user_name or 'someone'} for "
                f"{unfinished.from_date:%Y-%m-%d} to {unfinished.to_date:%Y-%m-%d}. Wait for its end, or cancel "
                "it in the web UI; the backfill of a paused DAG waits until the DAG is unpaused"
            )
        return unfinished.id

    def _reconcile(self, backfill_id: int, reason: str) -> Reconciled:
        moment = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        with create_session() as session:
            reconciled = reconcile(backfill_id, f"{reason}, {moment}", session)
        if reconciled.processes:
            self.output.console.print(f"Waiting for {len(reconciled.processes)} running tasks to stop.")
            remaining = list(reconciled.processes)
            deadline = time.monotonic() + 30
            while remaining and time.monotonic() < deadline and not self.signals.force():
                _, remaining = psutil.wait_procs(remaining, timeout=0.2)
        return reconciled

    def _refuse(self, lock: BackfillLock) -> None:
        with create_session() as session:
            holder = lock.holder(session)
        who = f"{holder.name}, since {holder.since:%Y-%m-%d %H:%M:%S %Z}" if holder else "one that just ended"
        # Without a terminal, nobody can press Ctrl-C; and a shell's background processes may ignore SIGINT.
        pid = holder.local_pid if holder else None
        end = f"stop it with Ctrl-C or 'kill {pid}'" if pid else "stop it with Ctrl-C, or with 'kill', where it runs"
        raise BackfillError(
            f"a backfill of {self.request.dag_id} is running already ({who}): wait for its end, or {end}"
        )

    def _stop_if_asked(self) -> None:
        if self.signals.requested():
            raise BackfillStopped("stopped before anything was started")


@cli_utils.action_cli  # type: ignore[untyped-decorator]
def _recorded(_arguments: Namespace, command: _Command) -> int:
    """Run a command under Airflow's audit log, and on a database that is up to date."""
    return command.execute()


def _complete(backfill_id: int, session: Session) -> None:
    from airflow.models.backfill import Backfill

    finished = session.get(Backfill, backfill_id)
    if finished is not None and finished.completed_at is None:
        finished.completed_at = datetime.now(timezone.utc)
