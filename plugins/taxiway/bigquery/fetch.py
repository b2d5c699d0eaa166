"""Enters a load in the ledger, fetches its file, and finds out whether there is anything to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from taxiway.bigquery import ledger
from taxiway.bigquery.load import Load
from taxiway.bigquery.statements import statement
from taxiway.bigquery.tables import CloudTables
from taxiway.bigquery.warehouse import Warehouse
from taxiway.core.download import Download

STEP = "download_month"


@dataclass(frozen=True)
class Fetched:
    """What a load begins with.

    :param load: the attempt
    :param skipped: why the month is not available; None where it is
    :param unchanged: why there is nothing to do; None where there is
    """

    load: Load
    skipped: str | None = None
    unchanged: str | None = None


def fetch_month(
    warehouse: Warehouse,
    tables: CloudTables,
    download: Callable[[], Download],
    entered: Callable[[Load], None],
    *,
    force: bool = False,
    started_at: datetime | None = None,
) -> Fetched:
    """Begin a load: enter it in the ledger, download its file, compare it with what is published.

    :param warehouse: BigQuery
    :param tables: the load's tables
    :param download: fetches the file
    :param entered: is told the attempt as soon as the ledger has it
    :param force: load the file even where its bytes are published already
    :param started_at: when the run began
    :raises TaxiwayError: what the download raises
    """
    source, month = tables.source, tables.month
    ledger.ensure_ledger(warehouse)
    entries = ledger.find_loads(warehouse, tables)
    load = ledger.begin(warehouse, tables, entries, STEP, started_at)
    entered(load)
    if reason := source.why_unavailable(month):
        ledger.record(warehouse, tables, load, STEP, "skipped", error=reason)
        return Fetched(load, skipped=reason)
    file = download()
    load = replace(load, file=file.to_dict())
    entered(load)
    before = ledger.published(entries)
    if force or not before or before[-1].sha256 != file.sha256 or not _is_there(warehouse, tables, before[-1]):
        return Fetched(load)
    last = before[-1]
    load = replace(load, rows_read=last.rows_read, rows_rejected=last.rows_rejected, rows_staged=last.rows_staged)
    ledger.record(
        warehouse, tables, load, STEP, "unchanged", rows_inserted=0, rows_deleted=0, rows_unchanged=last.rows_staged
    )
    return Fetched(load, unchanged=f"{tables.where}: {tables.filename} is published with the same bytes")


def _is_there(warehouse: Warehouse, tables: CloudTables, last: ledger.Entry) -> bool:
    """Whether the main table still holds what the ledger says: people drop tables."""
    if warehouse.find_table(tables.main_table) is None:
        return False
    counted = warehouse.run(statement("count_month", {"month": tables.month.first_day}, main_table=tables.main_table))
    return bool(counted[0]["row_count"] == last.rows_staged)
