"""What the steps have in common that wait for a job of BigQuery."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout

from taxiway.errors import TransientWarehouseError
from taxiway.orchestration.operators.gcp_month_operator import GcpMonthOperator
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.step import Step

if TYPE_CHECKING:
    from airflow.sdk import Context


class GcpJobOperator(GcpMonthOperator):
    """A step that starts a job of BigQuery, waits for it, on the worker or deferred, and then looks at what it did.

    :param deferrable: wait in the triggerer, so that no worker is held; Airflow's ``[operators] default_deferrable``
        unless said otherwise
    :param poll_interval: seconds between two looks at the job, where it waits in the triggerer
    """

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 4.0,
        **kwargs: Any,
    ) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self._cancel: Any = None

    @abstractmethod
    def start(self, step: Step, context: Context) -> Any:
        """Start the job, or find the one that an earlier try has started.

        :return: the job
        """

    @abstractmethod
    def find(self, step: Step) -> Any | None:
        """Return the last job that :meth:`start` has started for this load; None where there is none."""

    @abstractmethod
    def finish(self, step: Step, job: Any) -> Any:
        """Look at what the job did, which is done, successfully or not.

        :return: what the next step goes on with
        """

    def run_step(self, step: Step, context: Context) -> Any:
        """Start the job and wait for it."""
        job = self.start(step, context)
        self.log.info("%s: job %s is %s", step.tables.where, job.job_id, job.state)
        if self.deferrable and job.state != "DONE":
            self.defer_until_done(step, job, method_name="resume", job_id=job.job_id)
        self._cancel = job.cancel
        return self.finish(step, step.warehouse.wait(job))

    def resume(self, context: Context, event: dict[str, Any], load: Any = None, job_id: str = "") -> Any:
        """Go on after the triggerer has seen the job's end.

        What the job did is asked for here, not taken from the event: a triggerer that got no answer
        says "error" of a job that goes on.

        :param event: the trigger's
        :param load: the attempt; ``airflow dags test`` hands over nothing but the event
        :param job_id: the job; likewise
        """
        job_id = job_id or str(event.get("job_id") or "")

        def run(step: Step) -> Any:
            if not job_id:
                raise TransientWarehouseError(
                    f"{step.tables.where}: the triggerer stopped waiting for a job, and doesn't say for which: "
                    f"{event.get('message')}; the task is tried again"
                )
            job = step.warehouse.find_job(job_id)
            if job.state != "DONE":
                self.log.info("%s: the triggerer stopped waiting: %s", step.tables.where, event.get("message"))
            self._cancel = job.cancel
            return self.finish(step, step.warehouse.wait(job))

        return self.guarded(context, load or self.load, run)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after waiting in the triggerer; where that has failed, or time is up, no other method is called.

        :param next_method: what goes on, by Airflow's protocol
        :param next_kwargs: its arguments
        :raises TransientWarehouseError: nobody waits for the job any more
        """
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout) as error:
            found = str(error) or type(error).__name__
            return self.guarded(context, self.load, lambda step: self._give_up(step, found))

    def _give_up(self, step: Step, found: str) -> NoReturn:
        """Ask the job to end, for nobody waits for it."""
        step.known_load = ledger.current(step.warehouse, step.tables, step.load)
        job = self.find(step)
        if job is None:
            said = "no job of this run has begun"
        elif job.state == "DONE":
            said = f"the job {job.job_id} is done, and the next try finds it"
        else:
            step.warehouse.cancel(job)
            said = f"the job {job.job_id} was {job.state}, and was asked to end"
        raise TransientWarehouseError(
            f"{step.warehouse.where}: found that waiting in the triggerer ended ({found}), expected the end of the job "
            f"within {self.execution_timeout}: {said}. The task is tried again"
        )

    def on_kill(self) -> None:
        """Cancel the job: nobody waits for it any more."""
        if self._cancel is not None:
            self._cancel()

    def defer_until_done(self, step: Step, job: Any, method_name: str, *, own: bool = True, **kwargs: Any) -> NoReturn:
        """Wait in the triggerer until a job is done, no longer than a try of the task may take.

        :param job: the job
        :param method_name: what goes on then; is given the event, the load and ``kwargs``
        :param own: whether the job ends with the task where that is killed; another run's goes on
        """
        from airflow.providers.google.cloud.triggers.bigquery import BigQueryInsertJobTrigger

        settings = step.warehouse.settings
        self.defer(
            trigger=BigQueryInsertJobTrigger(
                conn_id=self.gcp_conn_id,
                job_id=job.job_id,
                project_id=settings.project,
                location=settings.location,
                poll_interval=self.poll_interval,
                cancel_on_kill=own,
            ),
            method_name=method_name,
            kwargs={"load": step.load.to_dict(), **kwargs},
            # Airflow bounds what runs on a worker only: without this, a try could wait for ever.
            timeout=self.execution_timeout,
        )
