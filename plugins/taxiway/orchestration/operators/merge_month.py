"""Operator: publish a month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from taxiway.loads.steps import MERGE_MONTH
from taxiway.loads.warehouse import Pending, Resumed, Warehouse
from taxiway.orchestration.assets import announce
from taxiway.orchestration.operators.step_operator import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class MergeMonthOperator(StepOperator):
    """Publish a month in the main table, whole or not at all, and say so with the Asset of the table.

    Returns what the month's rows were published from, and what that changed: ``rows``, ``rejected``, ``digest`` (the
    file's SHA-256), ``inserted``, ``deleted``, ``unchanged``.
    """

    step = MERGE_MONTH

    def run_step(
        self, warehouse: Warehouse, outputs: Mapping[str, Any], resumed: Resumed | None, context: Context
    ) -> Any:
        """Publish the month."""
        result = super().run_step(warehouse, outputs, resumed, context)
        if not isinstance(result, Pending):
            # A task of the DAG taxi knows its source, and so the Asset, only now.
            self.outlets = [announce(context, self.warehouse, warehouse.load, result)]
        return result
