"""Operator: stage a downloaded month."""

from __future__ import annotations

from taxiway.loads.steps import STAGE_MONTH
from taxiway.orchestration.operators.file_step import FileStepOperator


class StageMonthOperator(FileStepOperator):
    """Bring a downloaded month into a staging table of its run.

    Returns plain values that ``hash_rows`` goes on with: from Postgres ``{"rows_read": int, "canonical": bool}``, from
    BigQuery ``{"staged_by": "the job's id"}``.
    """

    step = STAGE_MONTH
