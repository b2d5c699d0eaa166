"""Enters a load in the ledger, fetches its file, and finds out whether there is anything to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from taxiway.download.download import Download
from taxiway.loads.steps import FETCH
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.file_order import is_later
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.main_table import found_columns, main_columns
from taxiway.warehouses.bigquery.publications import confirm_publication
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upload import Lake
from taxiway.warehouses.bigquery.warehouse import Warehouse

log = logging.getLogger(__name__)


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
    open_lake: Callable[[], Lake],
    tables: CloudTables,
    download: Callable[[], Download],
    entered: Callable[[Load], None],
    *,
    force: bool = False,
    started_at: datetime | None = None,
) -> Fetched:
    """Begin a load: enter it in the ledger, download its file, compare it with what is published.

    :param warehouse: BigQuery
    :param open_lake: connects to the bucket, which only a file needs that seems to be published
    :param tables: the load's tables
    :param download: fetches the file
    :param entered: is told the attempt as soon as the ledger has it
    :param force: load the file even where its bytes are published already
    :param started_at: when the run began
    :raises TaxiwayError: what the download raises
    """
    source, month = tables.source, tables.month
    ledger.ensure_ledger(warehouse)
    load = ledger.begin(warehouse, tables, ledger.find_loads(warehouse, tables), FETCH, started_at)
    entered(load)
    if reason := source.why_unavailable(month):
        ledger.record(warehouse, tables, load, FETCH, "skipped", error=reason)
        return Fetched(load, skipped=reason)
    file = download()
    load = replace(load, file=file.to_dict())
    entered(load)
    # The download may have taken long: what counts is what is published now.
    entries = ledger.find_loads(warehouse, tables)
    last = next(reversed(ledger.published(entries)), None)
    if force or last is None or last.sha256 != file.sha256:
        return Fetched(load)
    if difference := _difference_to(warehouse, tables, last):
        log.warning("%s: %s: the month is loaded again", tables.where, difference)
        return Fetched(replace(load, warnings=(difference,)))
    if not _is_in_the_lake(open_lake(), tables, load, entries):
        return Fetched(load)
    publication = confirm_publication(warehouse, tables, load, entries)
    if publication is None:
        return Fetched(load)
    load = replace(load, rows_read=last.rows_read, rows_rejected=last.rows_rejected, rows_staged=last.rows_staged)
    ledger.record(
        warehouse,
        tables,
        load,
        FETCH,
        "unchanged",
        publication=publication,
        rows_inserted=0,
        rows_deleted=0,
        rows_unchanged=last.rows_staged,
    )
    return Fetched(load, unchanged=f"{tables.where}: {tables.filename} is published with the same bytes")


def _difference_to(warehouse: Warehouse, tables: CloudTables, last: ledger.Entry) -> str | None:
    """Say how the main table differs from what the ledger says of the month; None if it is as it was published."""
    source, main_table = tables.source, tables.main_table
    found = warehouse.find_table(main_table)
    if found is None:
        return f"there is no table {main_table}, the ledger has {last.rows_staged} rows of the month"
    held_columns = found_columns(found)
    if lacking := [f"{name} {kind}" for name, kind in main_columns(source) if (name, kind) not in held_columns]:
        return f"{main_table} lacks the column {lacking[0]}, the ledger has {last.rows_staged} rows of the month"
    values = {"month": tables.month.first_day, "filename": tables.filename}
    (held,) = warehouse.run(statement("find_changed_rows", values, main_table=main_table, columns=source.columns))
    if int(held["row_count"]) != last.rows_staged:
        return f"{main_table} holds {held['row_count']} rows of the month, the ledger has {last.rows_staged}"
    if int(held["changed_rows"]):
        return (
            f"{main_table} holds {held['changed_rows']} rows of the month whose values were changed by hand, "
            f"the ledger has {last.rows_staged} as they were published"
        )
    return None


def _is_in_the_lake(lake: Lake, tables: CloudTables, load: Load, entries: Sequence[ledger.Entry]) -> bool:
    """Whether the lake has the file, too; if so, it is told that this load has fetched it: see :meth:`Lake.confirm`."""
    path = Path(load.download.path)
    return lake.confirm(path, tables.object_name, load.fetched_load_id, lambda theirs: is_later(load, theirs, entries))
