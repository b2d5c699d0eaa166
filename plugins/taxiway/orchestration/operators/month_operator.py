"""What every step of a month on Postgres has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
from airflow.sdk import BaseOperator

from taxiway.errors import SettingError, TaxiwayError, TransientWarehouseError, WarehouseError
from taxiway.orchestration.failures import message_of, retry_or_fail
from taxiway.orchestration.hooks.postgres_hook import WarehouseHook
from taxiway.orchestration.month_of_run import require_output, source_and_month, try_number_of
from taxiway.warehouses.postgres.errors import advice_on, is_transient, said_by
from taxiway.warehouses.postgres.session import require_server
from taxiway.warehouses.postgres.tables import LoadTables

if TYPE_CHECKING:
    from airflow.sdk import Context


class MonthOperator(BaseOperator):
    """One step of loading a month into Postgres: a connection, the run's tables, one function.

    A failure is entered in the ledger. An error that another try can't mend fails the task
    at once; anything else (a lost connection, a lock that isn't free) is tried again.

    :param source_name: the source, a file of ``include/sources`` without its ending
    :param month: the month as ``YYYY-MM`` (templated)
    :param postgres_conn_id: the warehouse's connection
    """

    template_fields: Sequence[str] = ("month",)
    ui_color = "#f6d55c"
    so_far = "Nothing was published"
    """What an error says that the step has come to, where Postgres refused something."""
    so_far_unanswered = so_far
    """The same where Postgres may have given no answer, and the step be done all the same."""

    def __init__(self, *, source_name: str, month: str, postgres_conn_id: str = "taxi_postgres", **kwargs: Any) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.source_name = source_name
        self.month = month
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> Any:
        """Run the step.

        :return: a small result that travels by XCom: counts, never rows
        :raises AirflowFailException: an error that another try can't mend
        """
        source, month = source_and_month(self.source_name, self.month, context)
        tables = LoadTables(source, month, context["dag_run"].run_id, try_number_of(context))
        with retry_or_fail(context, lambda error: message_of(error, self, month, context)):
            connecting = True
            try:
                with closing(self._connect(tables)) as connection:
                    connecting = False
                    return self.run_step(connection, tables, context)
            except psycopg.Error as error:
                raise self._in_our_words(tables, error, connecting=connecting) from error

    def _connect(self, tables: LoadTables) -> psycopg.Connection[Any]:
        where = f"{tables.source.name} {tables.month}: {self.task_id}"
        try:
            connection = WarehouseHook(postgres_conn_id=self.postgres_conn_id).get_conn()
        except SettingError as error:
            raise SettingError(f"{where}: {error}") from error
        try:
            require_server(connection, f"{where}, connection {self.postgres_conn_id}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _in_our_words(self, tables: LoadTables, error: psycopg.Error, *, connecting: bool) -> TaxiwayError:
        """Say where Postgres found what, and what to do.

        :param connecting: whether the connection wasn't made yet
        """
        where = f"{tables.source.name} {tables.month}: {self.task_id}, connection {self.postgres_conn_id}"
        advice = advice_on(error, self.postgres_conn_id, connecting=connecting)
        if is_transient(error, connecting=connecting):
            return TransientWarehouseError(
                f"{where}: Postgres says: {said_by(error)}. {self.so_far_unanswered}; the task is tried again. "
                f"If that goes on failing, {advice}"
            )
        return WarehouseError(
            f"{where}: Postgres says: {said_by(error)}. {self.so_far}: {advice}, and clear the task "
            f"with its downstream tasks"
        )

    def required(self, output: Any, tables: LoadTables, context: Context) -> Any:
        """Return what the step before left in XCom.

        :raises MissingInputError: that is nothing
        """
        return require_output(output, self, tables.source, tables.month, context)

    @abstractmethod
    def run_step(self, connection: psycopg.Connection[Any], tables: LoadTables, context: Context) -> Any:
        """Do the step's work.

        :param connection: the warehouse, with no transaction open
        :param tables: the tables of this load
        :param context: Airflow's context of the task
        """
