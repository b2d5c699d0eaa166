"""The notifier that tells people what has become of a month."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseNotifier

from taxiway.messages import printable

if TYPE_CHECKING:
    from airflow.sdk import Context

    from taxiway.orchestration.alerts.alert import Alert

Event = Literal["failed", "loaded", "late", "approval", "timed_out"]

log = logging.getLogger(__name__)


class TaxiAlert(BaseNotifier):
    """Tells whom the Variable ``taxiway_alerts`` names, once for each cause; it fails no task, and holds none up long.

    It is a callback of tasks, which Airflow calls in the task's own process, also under ``airflow dags backfill``. The
    task has ``source_name``, ``month`` and ``warehouse``.

    :param event: what has happened to the task. ``failed``: for good. ``loaded``: it may have ended its load, as its
        attribute ``ended`` says. ``late``: it has found months that are late, its attribute ``late``. ``approval``: a
        person has to approve. ``timed_out``: of a DAG, whose run took too long
    :param reason: of ``approval``: what is to be approved
    """

    def __init__(self, event: Event, reason: str = "", **kwargs: Any) -> None:
        """Assign the parameters; nothing is read or opened before it notifies."""
        super().__init__(**kwargs)
        self.event = event
        self.reason = reason

    def notify(self, context: Context) -> None:
        """Tell what is to be told; what goes wrong with that is in the log, and is no error.

        :param context: Airflow's context of the task, or of the DAG's run
        """
        if self.event == "timed_out" and context.get("reason") != "timed_out":
            return
        try:
            self._notify(context)
        except Exception as error:
            log.warning("no alert is sent: %s", printable(f"{type(error).__name__}: {error}"), exc_info=True)

    def _notify(self, context: Context) -> None:
        task = context.get("task")
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
            alerts = self._alerts(context, task)
            if ended is not None and ended.is_loaded:
                recovered = known.loaded(_alert("recovered", context, task, ""))
                alerts = [*([recovered] if recovered else []), *alerts]
            messages = known.learn(alerts, now)
            if self.event != "timed_out":
                messages += known.end(*_run(context), _counter(context), now)
        if alerts and not messages:
            log.info("%s: known already, or counted with others of its cause and told later", alerts[0].title)
        if lost := send(messages, told):
            with memory() as known:
                for message in lost:
                    known.lost(message, now)

    def _alerts(self, context: Context, task: Any) -> Sequence[Alert]:
        if self.event == "late":
            return [_alert("late", context, task, reason, source, month) for source, month, reason in task.late]
        if self.event == "approval":
            return [_alert("approval", context, task, self.reason)]
        if self.event == "loaded":
            warnings = "; ".join(task.ended.warnings)
            return [_alert("warnings", context, task, warnings)] if warnings else []
        return [_alert("failed", context, task, self._why(context, task))]

    def _why(self, context: Context, task: Any) -> str:
        if self.event == "timed_out":
            return "its run took longer than the DAG's dagrun_timeout, and was ended. The log says how far it came"
        error = context.get("exception")
        if error is not None:
            return str(error) or type(error).__name__
        return f"the worker of {task.task_id} ended without a word: it was killed, or its machine had no memory left"


def _alert(kind: Any, context: Context, task: Any, reason: str, *of: str) -> Alert:
    from taxiway.orchestration.alerts.alert import Alert
    from taxiway.orchestration.alerts.links import board_url, log_url

    source, month, warehouse = (*of, task.warehouse) if of else _loaded_by(task, context)
    dag_id, run_id = _run(context)
    return Alert(
        kind,
        warehouse,
        source,
        (month,),
        printable(reason),
        run=run_id,
        dag_id=dag_id,
        log=log_url(context.get("ti")),
        board=board_url(warehouse, source),
    )


def _loaded_by(task: Any, context: Context) -> tuple[str, str, str]:
    """Return source, month and warehouse of a task; where no worker has run it, its templates aren't rendered."""
    found = [str(getattr(task, name, "")) for name in ("source_name", "month", "warehouse")]
    if any("{{" in text for text in found):
        task.render_template_fields(context)
        found = [str(getattr(task, name, "")) for name in ("source_name", "month", "warehouse")]
    return found[0], found[1], found[2]


def _run(context: Context) -> tuple[str, str]:
    """Return the ids of the DAG and of its run."""
    return str(context["dag"].dag_id), str(context["run_id"])


def _counter(context: Context) -> Any:
    """Return what counts the open runs of the DAG; where Airflow can't be asked for it, it counts one."""
    ti, (dag_id, _) = context.get("ti"), _run(context)

    def count(run_ids: list[str] | None) -> int:
        try:
            return int(ti.get_dr_count(dag_id, run_ids=run_ids, states=["queued", "running"]))  # type: ignore[union-attr]
        except Exception:
            # The DAG processor, which speaks for a worker that was lost, has no such question.
            return 1 if run_ids is None else 0

    return count
