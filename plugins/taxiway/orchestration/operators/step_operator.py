"""What every step of a load has in common, into any warehouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout

from taxiway.errors import TransientWarehouseError
from taxiway.loads.load import Ended, Load
from taxiway.loads.steps import STEPS, Step
from taxiway.loads.warehouse import Pending, Resumed, Warehouse
from taxiway.orchestration.failures import message_of, retry_or_fail
from taxiway.orchestration.month_of_run import is_retry, outputs_of, run_name, source_and_month, try_number_of
from taxiway.orchestration.warehouses import WAREHOUSES

if TYPE_CHECKING:
    from airflow.sdk import Context


class StepOperator(BaseOperator):
    """One step of a load: opens the warehouse, runs the step's function, and waits for the job that it has started.

    The ledger has the step, and its error if it fails. An error that a retry can't fix fails the task
    at once; anything else (a lost connection, a lock, a quota) is tried again.

    :param step: the step; its task has its name
    :param source_name: the source, a file of ``include/sources`` without its ending (templated)
    :param month: the month as ``YYYY-MM`` (templated)
    :param warehouse: one of :data:`taxiway.orchestration.warehouses.WAREHOUSES`
    :param conn_id: Airflow's connection; empty for the warehouse's usual one
    :param steps: names of the DAG's steps, in their order; unless given, the steps of every load into the warehouse
    :param deferrable: wait for a job in the triggerer, so that no worker is held; Airflow's
        ``[operators] default_deferrable`` unless said otherwise
    :param poll_interval: seconds between two looks at a job in the triggerer
    """

    template_fields: Sequence[str] = ("source_name", "month")
    step: Step

    def __init__(
        self,
        *,
        source_name: str,
        month: str,
        warehouse: str = "postgres",
        step: Step | None = None,
        conn_id: str = "",
        steps: Sequence[str] = (),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 4.0,
        **kwargs: Any,
    ) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.source_name = source_name
        self.month = month
        self.warehouse = warehouse
        self.step = step or self.step
        self.conn_id = conn_id or WAREHOUSES[warehouse].conn_id
        self.steps = tuple(steps)
        self.deferrable = deferrable and self.step.may_wait and WAREHOUSES[warehouse].trigger is not None
        self.poll_interval = poll_interval
        self.ui_color = WAREHOUSES[warehouse].color
        self._cancel: Callable[[], None] | None = None
        self.ended: Ended | None = None

    def execute(self, context: Context) -> Any:
        """Run the step.

        :return: plain values for the next steps, never rows
        :raises AirflowFailException: an error that a retry can't fix
        """
        return self._run(context)

    def resume(self, context: Context, event: dict[str, Any], job_id: str = "", load_id: str = "") -> Any:
        """Go on after the triggerer has seen the end of the step's job.

        BigQuery is asked for the job's result here. The event can't be relied on: a triggerer that got no answer
        reports "error" for a job that runs on.

        :param event: the trigger's
        :param job_id: the job; ``airflow dags test`` hands over nothing but the event
        :param load_id: the attempt; likewise
        """
        job_id = job_id or str(event.get("job_id") or "")
        if not job_id:
            found = f"the triggerer stopped waiting for a job, and doesn't say for which: {event.get('message')}"
            self._give_up(context, lambda *_: found)
        if event.get("status") != "success":
            self.log.info("%s: the triggerer stopped waiting: %s", self.task_id, event.get("message"))
        return self._run(context, Resumed(job_id, load_id))

    def start_again(self, context: Context, event: dict[str, Any], load_id: str = "") -> Any:
        """Begin again after the triggerer has seen the end of another run's job.

        :param event: the trigger's; not used, the job's result is asked for
        :param load_id: the attempt
        """
        return self._run(context, Resumed(load_id=load_id))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after waiting in the triggerer; if that has failed, or time is up, no other method is called.

        :param next_method: what goes on, by Airflow's protocol
        :param next_kwargs: its arguments
        :raises TransientWarehouseError: nobody waits for the job any more
        """
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout) as error:
            ended = str(error) or type(error).__name__
        return self._give_up(
            context,
            lambda warehouse, outputs: (
                f"found that waiting in the triggerer ended ({ended}), expected the end of the job within "
                f"{self.execution_timeout}: {warehouse.give_up(self.step.name, outputs)}"
            ),
        )

    def _give_up(self, context: Context, found: Callable[[Warehouse, Mapping[str, Any]], str]) -> NoReturn:
        """Fail the step after a wait.

        :param found: says why
        """
        load = self._load(context)
        with retry_or_fail(context, lambda error: message_of(error, self, load, context)):
            outputs = outputs_of(self.step.needs, self, load, context)
            with self._open(load) as warehouse, warehouse.step(self.step.name, Resumed()):
                raise TransientWarehouseError(
                    f"{load.where}: {self.task_id}: {found(warehouse, outputs)}. The task is tried again"
                )
        raise AssertionError("unreachable")

    def on_kill(self) -> None:
        """Ask the job to end: nobody waits for it any more."""
        if self._cancel is not None:
            self._cancel()

    def run_step(
        self, warehouse: Warehouse, outputs: Mapping[str, Any], resumed: Resumed | None, context: Context
    ) -> Any:
        """Do the step's work.

        :param warehouse: opened
        :param outputs: what the steps before have returned, by their names
        :param resumed: what it goes on with, if it has waited
        :param context: Airflow's context of the task
        """
        return self.step.run(warehouse, outputs, resumed)

    def _run(self, context: Context, resumed: Resumed | None = None) -> Any:
        load = self._load(context)
        with retry_or_fail(context, lambda error: message_of(error, self, load, context)):
            outputs = outputs_of(self.step.needs, self, load, context)
            with self._open(load) as warehouse:
                self._cancel = warehouse.cancel
                result = self.run_step(warehouse, outputs, resumed, context)
            if isinstance(result, Pending):
                self._defer(result)
        return result

    def _open(self, load: Load) -> AbstractContextManager[Warehouse]:
        return WAREHOUSES[self.warehouse].open(load, self.conn_id, self.step.name, not self.deferrable)

    def _load(self, context: Context) -> Load:
        source, month = source_and_month(self.source_name, self.month, context, self.warehouse)
        without = WAREHOUSES[self.warehouse].without
        return Load(
            source,
            month,
            run_name(self.dag_id, context["dag_run"].run_id),
            try_number_of(context),
            is_retry(context, self.retries or 0),
            getattr(context["dag_run"], "start_date", None),
            self.steps or tuple(step.name for step in STEPS if step.name not in without),
        )

    def _defer(self, pending: Pending) -> NoReturn:
        """Wait in the triggerer until a job is done, no longer than a try of the task may take."""
        make_trigger = WAREHOUSES[self.warehouse].trigger
        if make_trigger is None:
            raise TypeError(f"{self.warehouse}: the step {self.step.name} waits for a job, and nothing can wait for it")
        self.defer(
            trigger=make_trigger(pending, self.conn_id, self.poll_interval),
            method_name="resume" if pending.is_own else "start_again",
            kwargs={"load_id": pending.load_id, **({"job_id": pending.job_id} if pending.is_own else {})},
            # Airflow bounds what runs on a worker only: without this, a try could wait for ever.
            timeout=self.execution_timeout,
        )
