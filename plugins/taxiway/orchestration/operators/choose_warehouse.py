"""Operator: choose the warehouse that a run loads into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.branch import BaseBranchOperator

from taxiway.errors import MonthNotFoundError
from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.month_of_run import source_and_month

if TYPE_CHECKING:
    from airflow.sdk import Context


class ChooseWarehouseOperator(BaseBranchOperator):
    """Go on with the tasks of one warehouse; those of the others are skipped.

    A month that the source doesn't have fails the run here, before a file is asked for.

    :param source_name: the source, a file of ``include/sources`` without its ending (templated)
    :param month: the month as ``YYYY-MM`` (templated)
    :param warehouse: the warehouse; its task group has its name (templated)
    """

    template_fields: Sequence[str] = ("source_name", "month", "warehouse")

    def __init__(self, *, source_name: str, month: str, warehouse: str, **kwargs: Any) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.source_name = source_name
        self.month = month
        self.warehouse = warehouse

    def choose_branch(self, context: Context) -> str:
        """Return the task group of the warehouse.

        :raises AirflowFailException: the source or the month doesn't exist
        """
        source, month = source_and_month(self.source_name, self.month, context, self.warehouse)
        with retry_or_fail(context):
            if reason := source.why_unavailable(month):
                raise MonthNotFoundError(f"{reason}. Nothing was loaded: start a new run with one of these months")
        self.log.info("%s %s goes into %s: %s", source.name, month, self.warehouse, source.file_path(month))
        return self.warehouse
