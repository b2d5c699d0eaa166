"""Operator: give the rows of a staged month their types and ids."""

from __future__ import annotations

from taxiway.loads.steps import HASH_ROWS
from taxiway.orchestration.operators.file_step import FileStepOperator


class HashRowsOperator(FileStepOperator):
    """Turn a staged month into typed rows with ``unique_row_id``, ``filename`` and ``source_month``.

    The number of rows is in the ledger; an XCom would say it twice, and cost a request to the API server.
    """

    step = HASH_ROWS
