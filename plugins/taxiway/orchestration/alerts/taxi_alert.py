"""The notifier that tells people what has become of a month."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseNotifier

from taxiway.messages import printable

if TYPE_CHECKING:
    from airflow.sdk import Context

    from taxiway.orchestration.alerts.alert import Alert

Event = Literal["failed", "loaded", "late", "approval", "run_failed"]

_ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")
"""The states of tasks that have ended."""

log = logging.getLogger(__name__)


class TaxiAlert(BaseNotifier):
    """Tells whom the Variable ``taxiway_alerts`` names, once for each cause; it fails no task, and holds none up long.

    It is a callback of tasks, which Airflow calls in the task's own process, also under ``airflow dags backfill``. A
    task that loads a month has ``source_name``, ``month`` and ``warehouse``.

    :param event: what has happened to the task. ``failed``: for good. ``loaded``: it may have ended its load, as its
        attribute ``ended`` says. ``late``: it may have found months that are late, its attribute ``late``; one that has
        failed may, too. ``approval``: a person has to approve. ``run_failed``: of a DAG, whose run took too long, or
        has a task that was killed and could tell nothing
    :param reason: of ``approval``: what is to be approved
    """

    def __init__(self, event: Event, reason: str = "", **kwargs: Any) -> None:
        """Assign the parameters; nothing is read or opened before it notifies."""
        super().__init__(**kwargs)
        self.event = event
        self.reason = reason

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render nothing: it has no templates, and Airflow would ask the DAG of ``airflow dags test`` in vain.

        :param context: Airflow's context of the task, or of the DAG's run
        :param jinja_env: not used
        """

    def notify(self, context: Context) -> None:
        """Tell what is to be told; what goes wrong with that is in the log, and is no error.

        :param context: Airflow's context of the task, or of the DAG's run
        """
        if self.event == "run_failed" and not (context.get("reason") == "timed_out" or _may_be_untold(context)):
            return
        try:
            self._notify(context)
        except Exception as error:
            log.warning("no alert is sent: %s", printable(f"{type(error).__name__}: {error}"), exc_info=True)

    def _notify(self, context: Context) -> None:
        task = self._task(context)
        ended = getattr(task, "ended", None)
        if self.event == "loaded" and ended is None:
            return
        # Imported here: the process that parses the DAG needs none of it.
        from taxiway.orchestration.alerts.memory import memory
        from taxiway.orchestration.alerts.recipients import recipients
        from taxiway.orchestration.alerts.senders import send

        told = recipients()
        if not told:
            return
        now = datetime.now(timezone.utc)
        with memory() as known:
            known.forget(now)
            alerts = self.alerts(context)
            if context.get("reason") == "task_failure":
                since = getattr(context["dag_run"], "start_date", None) or datetime.min.replace(tzinfo=timezone.utc)
                alerts = [alert for alert in alerts if not known.has_told(alert, since)]
            if ended is not None and ended.is_loaded:
                recovered = known.loaded(_alert("recovered", context, task, ""))
                alerts = [*([recovered] if recovered else []), *alerts]
            messages = known.learn(alerts, now)
            if alerts or self.event != "run_failed":
                messages += known.end(*_run(context), self.counter(context), now)
        if alerts and not messages:
            log.info("%s: known already, or counted with others of its cause and told later", alerts[0].title)
        if lost := send(messages, told):
            with memory() as known:
                for message in lost:
                    known.lost(message, now)

    def alerts(self, context: Context) -> Sequence[Alert]:
        """Return what has happened, whether it is known already or not.

        :param context: as for :meth:`notify`
        """
        task = self._task(context)
        late = [
            _alert("late", context, task, reason, source, month) for source, month, reason in getattr(task, "late", ())
        ]
        if self.event == "late":
            return late
        if self.event == "approval":
            return [_alert("approval", context, task, self.reason)]
        if self.event == "loaded":
            warnings = "; ".join(task.ended.warnings)
            return [_alert("warnings", context, task, warnings)] if warnings else []
        return [_alert("failed", context, task, self._why(context, task)), *late]

    def counter(self, context: Context) -> Callable[[list[str] | None], int]:
        """Return what counts the open runs of the DAG, of some of them by their ids; it counts one if Airflow can't.

        A run that the schedule is about to start is open, too. Airflow's DAG processor, which speaks for a task that
        was killed, answers no question about runs or the schedule: there, the tasks are counted that haven't ended.

        :param context: as for :meth:`notify`
        """
        ti, (dag_id, _) = context.get("ti"), _run(context)
        is_by_task = self.event not in ("failed", "run_failed") or "exception" in context

        def count(run_ids: list[str] | None) -> int:
            try:
                if not is_by_task:
                    states = ti.get_task_states(dag_id, run_ids=run_ids)  # type: ignore[union-attr]
                    return sum(_count_open(list(tasks.values())) for tasks in states.values())
                runs = int(ti.get_dr_count(dag_id, run_ids=run_ids, states=["queued", "running"]))  # type: ignore[union-attr]
            except Exception as error:
                log.info("the open runs of %s can't be counted: %s", dag_id, printable(str(error)))
                return 1 if run_ids is None else 0
            return runs + (run_ids is None and self._goes_on(context))

        return count

    def _goes_on(self, context: Context) -> bool:
        """Say whether the schedule is about to start another run; not if that can't be told."""
        try:
            return self._is_next_due(context)
        except Exception as error:
            log.warning("whether the schedule starts another run isn't known: %s", printable(str(error)))
            return False

    def _is_next_due(self, context: Context) -> bool:
        """Say whether the schedule catches up with months that are due.

        Only a run of the schedule asks that: for others, perhaps no scheduler is alive.
        """
        from taxiway.paths import SOURCES_FOLDER
        from taxiway.sources.source import find_source

        source_name = getattr(self._task(context), "source_name", None)
        if source_name is None or context["dag_run"].run_type != "scheduled":
            return False
        dag, source = context["ti"].get_dag(_run(context)[0]), find_source(SOURCES_FOLDER, source_name)
        if dag.is_paused or dag.next_dagrun is None or source.stands_alone:
            return False
        return source.is_due(source.month_of(dag.next_dagrun))

    def _task(self, context: Context) -> Any:
        """Return the task that knows what is loaded; None if the context and the DAG have none."""
        if self.event != "run_failed" or context.get("reason") == "task_failure":
            return context.get("task")
        # Not the last one, which may be of a warehouse that a run of taxi didn't choose.
        return next((task for task in context["dag"].tasks if hasattr(task, "source_name")), context.get("task"))

    def _why(self, context: Context, task: Any) -> str:
        if context.get("reason") == "timed_out":
            return "its run took longer than the DAG's dagrun_timeout, and was ended. The log says how far it came"
        error = context.get("exception")
        if error is not None:
            return str(error) or type(error).__name__
        return (
            f"Airflow ended {task.task_id} and gives no reason here: its process or its worker was killed, it never "
            f"left the queue, or somebody cancelled it or marked it as failed. The log of the scheduler, or of the "
            f"backfill, says which"
        )


def _count_open(states: list[str | None]) -> int:
    """Count the tasks of a run that haven't ended; none if it was interrupted, and the others will never begin."""
    unended = [state for state in states if state not in _ENDED]
    is_interrupted = len(unended) < len(states) and not any(unended)
    return 0 if is_interrupted else len(unended)


def _may_be_untold(context: Context) -> bool:
    """Say whether a task of a run that has failed may have told nothing: its process was killed.

    In ``airflow dags test`` that process is the command's own. It runs this callback, too, and there has been told.
    """
    from airflow.sdk.execution_time import task_runner

    has_failed = context.get("reason") == "task_failure" and context.get("task") is not None
    return has_failed and getattr(task_runner, "SUPERVISOR_COMMS", None) is not None


def _alert(kind: Any, context: Context, task: Any, reason: str, *of: str) -> Alert:
    from taxiway.orchestration.alerts.alert import Alert
    from taxiway.orchestration.alerts.links import board_url, log_url

    source, month, warehouse = (*of, task.warehouse) if of else _loaded_by(task, context)
    (dag_id, run_id), ti = _run(context), context.get("ti")
    return Alert(
        kind,
        warehouse,
        source,
        (month,),
        printable(reason),
        run=run_id,
        dag_id=dag_id,
        log=log_url(ti),
        board=board_url(warehouse, source) if source else "",
        task=str(getattr(ti, "task_id", "")),
    )


def _loaded_by(task: Any, context: Context) -> tuple[str, str, str]:
    """Return source, month and warehouse that a task loads, each empty if it isn't known.

    Its templates are rendered here if no worker has run it, and Airflow has said of which run it is.
    """
    if not hasattr(task, "warehouse"):
        # It loads nothing: a report, or a comparison, which may be of a month.
        return "", "", ""
    names = ("source_name", "month", "warehouse")
    found = [str(getattr(task, name, "")) for name in names]
    if any("{{" in text for text in found) and "dag_run" in context:
        # A copy: the DAG processor has the same task for the next run of which it speaks.
        task = task.prepare_for_execution()
        task.render_template_fields(context)
        found = [str(getattr(task, name, "")) for name in names]
    source, month, warehouse = ("" if "{{" in text else text for text in found)
    return source, month, warehouse


def _run(context: Context) -> tuple[str, str]:
    """Return the ids of the DAG and of its run."""
    return str(context["dag"].dag_id), str(context["run_id"])
