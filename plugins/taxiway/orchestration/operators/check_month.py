"""Operator: check a month before it is published."""

from __future__ import annotations

from taxiway.loads.steps import CHECK_MONTH
from taxiway.orchestration.operators.step_operator import StepOperator


class CheckMonthOperator(StepOperator):
    """Check that every row of the file is accounted for, and what the source's YAML wants checked.

    What it finds is in the ledger; an XCom would say it twice, and cost a request to the API server.
    """

    step = CHECK_MONTH
