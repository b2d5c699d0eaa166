"""Operator: clear up after a run."""

from __future__ import annotations

from taxiway.loads.steps import DROP_STAGING
from taxiway.orchestration.operators.step_operator import StepOperator


class DropStagingOperator(StepOperator):
    """Drop the staging tables of this run, however it ended; Airflow runs it as a teardown."""

    step = DROP_STAGING
