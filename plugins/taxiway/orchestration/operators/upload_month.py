"""Operator: bring a downloaded month to the bucket."""

from __future__ import annotations

from taxiway.loads.steps import UPLOAD_MONTH
from taxiway.orchestration.operators.file_step import FileStepOperator


class UploadMonthOperator(FileStepOperator):
    """Look through a downloaded month's lines, and upload the file as it is, unless the bucket has it.

    If lines can't be read as rows, they are kept as rejects, and a copy without them is uploaded for the load.
    Returns the object's name, generation, columns in their order and rows, and how many lines are rejected.
    """

    step = UPLOAD_MONTH
