"""Operator: stage a downloaded month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psycopg

from taxiway.download.download import Download
from taxiway.orchestration.operators.month_operator import MonthOperator
from taxiway.warehouses.postgres.stage import stage_month
from taxiway.warehouses.postgres.tables import LoadTables

if TYPE_CHECKING:
    from airflow.sdk import Context


class StageMonthOperator(MonthOperator):
    """Stream a downloaded month into a staging table of its own, and enter the load in the ledger.

    Returns ``{"rows_read": int, "plain": bool, "file": {…}}``, the file as ``download_month`` returned it.

    :param download: what ``download_month`` returned (templated)
    """

    template_fields: Sequence[str] = ("month", "download")

    def __init__(self, *, download: Any, **kwargs: Any) -> None:
        """Assign the parameters; all else waits for the step."""
        super().__init__(**kwargs)
        self.download = download

    def run_step(self, connection: psycopg.Connection[Any], tables: LoadTables, context: Context) -> dict[str, Any]:
        """Stage the month."""
        file = Download.from_dict(self.required(self.download, tables, context))
        staged = stage_month(connection, tables, file)
        self.log.info("%s %s: %d rows staged", tables.source.name, tables.month, staged.rows_read)
        return staged.to_dict()
