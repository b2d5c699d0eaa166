"""Operator: publish a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from taxiway.loads.load import Ended
from taxiway.loads.month import merge_month
from taxiway.loads.steps import MERGE_MONTH
from taxiway.loads.warehouse import Pending, Resumed, Warehouse
from taxiway.orchestration.assets import announce
from taxiway.orchestration.operators.step_operator import StepOperator
from taxiway.settings import parse_flag

if TYPE_CHECKING:
    from airflow.sdk import Context


class MergeMonthOperator(StepOperator):
    """Publish a month in the main table, whole or not at all, and say so with the Asset of the table.

    Returns what the month's rows were published from, and what that changed: ``rows``, ``rejected``, ``digest`` (the
    file's SHA-256), ``warnings``, ``inserted``, ``deleted``, ``unchanged``.

    :param accept_deletions: whether the file may delete any number of published rows (templated)
    """

    template_fields: Sequence[str] = (*StepOperator.template_fields, "accept_deletions")
    step = MERGE_MONTH

    def __init__(self, *, accept_deletions: bool | str = False, **kwargs: Any) -> None:
        """Assign the parameters; all else waits for the step."""
        super().__init__(**kwargs)
        self.accept_deletions = accept_deletions

    def run_step(
        self, warehouse: Warehouse, outputs: Mapping[str, Any], resumed: Resumed | None, context: Context
    ) -> Any:
        """Publish the month."""
        accepts = parse_flag(self.accept_deletions, "accept_deletions")
        result = merge_month(warehouse, outputs, resumed, accept_deletions=accepts)
        if not isinstance(result, Pending):
            # A task of the DAG taxi knows its source, and so the Asset, only now.
            self.outlets = [announce(context, self.warehouse, warehouse.load, result)]
            self.ended = Ended(is_loaded=True, warnings=tuple(result["warnings"]))
        return result
