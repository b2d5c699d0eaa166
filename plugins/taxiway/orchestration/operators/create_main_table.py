"""Operator: create a source's main table."""

from __future__ import annotations

from taxiway.loads.steps import CREATE_MAIN_TABLE
from taxiway.orchestration.operators.step_operator import StepOperator


class CreateMainTableOperator(StepOperator):
    """Create the source's main table if it is absent, and compare it with the source if it is there."""

    step = CREATE_MAIN_TABLE
