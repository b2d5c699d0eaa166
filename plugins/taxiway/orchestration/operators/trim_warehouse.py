"""Operator: delete what a warehouse no longer needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from taxiway.loads.maintenance import Kept, trim
from taxiway.messages import counted
from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.retention import retention
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.settings import parse_flag

if TYPE_CHECKING:
    from airflow.sdk import Context


class TrimWarehouseOperator(BaseOperator):
    """Delete what cut-off runs have left in a warehouse, old rejected lines, and old attempts of its ledger.

    Returns how much of each it has deleted: ``staging`` (runs), ``rejected_rows``, ``attempts``.

    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    :param is_dry_run: whether only to say what would be deleted (templated)
    """

    template_fields: Sequence[str] = ("is_dry_run",)

    def __init__(self, *, warehouse: str, is_dry_run: bool | str = False, **kwargs: Any) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.warehouse = warehouse
        self.is_dry_run = is_dry_run

    def execute(self, context: Context) -> dict[str, int]:
        """Look, and delete.

        :raises AirflowFailException: a setting can't be used, or the warehouse refuses
        :raises AirflowSkipException: nobody has set the warehouse up
        """
        kind = WAREHOUSES[self.warehouse]
        where = f"{self.dag_id}, {kind.title}"
        with retry_or_fail(context):
            dry_run, days = parse_flag(self.is_dry_run, "dry_run"), retention()
            kept = Kept(timedelta(days=days.rejected_rows), timedelta(days=days.loads))
            with kind.upkeep(kind.conn_id, where) as upkeep:
                if upkeep is None:
                    raise AirflowSkipException(f"{kind.title} isn't set up, so there is nothing to clear up")
                found = trim(upkeep, kept, datetime.now(timezone.utc), dry_run=dry_run)
        for name in found.unknown:
            self.log.warning(
                "%s: %s is in the staging area, and of no run that the ledger knows: it stays", where, name
            )
        for name, why in found.kept.items():
            self.log.warning("%s: %s is left by a run that is over, and can't be dropped: %s", where, name, why)
        counts = {
            "staging": len(found.staging),
            "rejected_rows": found.rejected_rows,
            "attempts": found.attempts,
        }
        self.log.info(
            "%s: %s: what %s left in the staging area; %s older than %d days; %s older than %d days",
            where,
            "would be deleted" if dry_run else "deleted",
            counted(counts["staging"], "run"),
            *(counted(counts["rejected_rows"], "rejected row"), days.rejected_rows),
            *(counted(counts["attempts"], "attempt"), days.loads),
        )
        return counts
