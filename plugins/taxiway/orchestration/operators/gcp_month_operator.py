"""What every step of a month on Google Cloud has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped, TaskDeferred

from taxiway.errors import SettingError
from taxiway.orchestration.failures import message_of, retry_or_fail
from taxiway.orchestration.hooks.gcp_hooks import CONNECTION, bigquery_client, gcp_settings, storage_client
from taxiway.orchestration.month_of_run import require_output, source_and_month, try_number_of
from taxiway.sources.months import Month
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.step import Step
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upload import Lake
from taxiway.warehouses.bigquery.warehouse import Warehouse

if TYPE_CHECKING:
    from airflow.sdk import Context

_NO_FAILURES = (TaskDeferred, AirflowSkipException, DownstreamTasksSkipped)


class GcpMonthOperator(BaseOperator):
    """One step of loading a month into BigQuery: the clients, the run's tables, one function.

    A failure is entered in the ledger. An error that another try can't mend fails the task
    at once; anything else (no answer, a quota) is tried again.

    :param source_name: the source, a file of ``include/sources`` without its ending
    :param month: the month as ``YYYY-MM`` (templated)
    :param load: what the step before returned; None for the first (templated)
    :param gcp_conn_id: the connection to Google Cloud
    """

    template_fields: Sequence[str] = ("month", "load")
    ui_color = "#8ab4f8"
    enters_failures = True
    needs_load = True
    """Whether the step goes on with what the step before returned."""
    keeps_rejects = True
    """Whether a step that is tried again goes on with the lines that were rejected before."""
    outcome = "Nothing was published"
    """What is published where the step fails, for Google's errors."""

    def __init__(
        self, *, source_name: str, month: str, load: Any = None, gcp_conn_id: str = CONNECTION, **kwargs: Any
    ) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.source_name = source_name
        self.month = month
        self.load = load
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: Context) -> Any:
        """Run the step.

        :return: what the next step goes on with: names and counts, never rows
        :raises AirflowFailException: an error that another try can't mend
        """

        def run(step: Step) -> Any:
            if step.known_load is not None and context["ti"].try_number > 1:
                return self.run_again(step, context)
            return self.run_step(step, context)

        return self.guarded(context, self.load, run)

    def run_again(self, step: Step, context: Context) -> Any:
        """Run a step that was tried, or cleared, before: in an attempt of its own, unless that is under way."""
        ti = context["ti"]
        # Airflow adds up the tries of a task that is cleared, and lets as many retries follow.
        first_try = max(1, getattr(ti, "max_tries", 0) - (self.retries or 0) + 1)
        step.known_load = ledger.resume(
            step.warehouse,
            step.tables,
            step.load,
            self.task_id,
            retried=ti.try_number > first_try,
            keeps_rejects=self.keeps_rejects,
        )
        return self.run_step(step, context)

    def guarded(self, context: Context, load: Any, act: Callable[[Step], Any]) -> Any:
        """Do something with the clients; enter a failure in the ledger, and tell Airflow whether to try again.

        :param load: what the step before returned
        :param act: does it
        """
        step: Step | None = None
        with retry_or_fail(context, lambda error: message_of(error, self, Month.parse(self.month), context)):
            try:
                step = self._step(context, Load.from_dict(load) if load else None)
                return act(step)
            except _NO_FAILURES:
                raise
            except BaseException as error:  # Airflow's own timeout is not an Exception
                if step is not None:
                    self._enter_failure(step, error)
                raise

    @abstractmethod
    def run_step(self, step: Step, context: Context) -> Any:
        """Do the step's work.

        :param step: the clients, the tables, and the attempt
        :param context: Airflow's context of the task
        """

    def _step(self, context: Context, load: Load | None) -> Step:
        source, month = source_and_month(self.source_name, self.month, context)
        if self.needs_load and load is None:
            require_output(load, self, source, month, context)
        where = f"{source.name} {month}"
        try:
            settings = gcp_settings()
            bigquery = bigquery_client(settings, self.gcp_conn_id)
        except SettingError as error:
            raise SettingError(f"{where}: {error}") from error.__cause__
        tables = CloudTables(source, month, context["dag_run"].run_id, try_number_of(context), settings=settings)
        labels = {"taxiway_source": source.name, "taxiway_month": str(month), "taxiway_step": self.task_id}
        where = f"{where}: {self.task_id}"
        return Step(
            Warehouse(bigquery, settings, where, labels, self.outcome),
            lambda: Lake(storage_client(settings, self.gcp_conn_id), settings, where, self.outcome),
            tables,
            load,
        )

    def _enter_failure(self, step: Step, error: BaseException) -> None:
        if not self.enters_failures or step.known_load is None:
            return
        said = f"{self.task_id}: {str(error) or type(error).__name__}"
        try:
            ledger.record(step.warehouse, step.tables, step.load, self.task_id, "failed", error=said)
        except Exception as unrecorded:
            # Whatever it is: the step's own error is the one to show.
            self.log.warning("The failure could not be entered in the ledger: %s", unrecorded)
