"""The main table of a source: created if absent, compared if present."""

from __future__ import annotations

import logging
from datetime import date, datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from taxiway.errors import MainTableError, TransientWarehouseError
from taxiway.loads.publication import are_new
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.sources.source_file import ADDED_COLUMNS, MONTH_COLUMN
from taxiway.warehouses.bigquery.jobs import Jobs, first_usable_job
from taxiway.warehouses.bigquery.ledger import DESTINATION
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables

if TYPE_CHECKING:
    from google.cloud import bigquery

FILENAME_LABEL = "taxiway_filename"
UNPACKED = "unpacked"
"""Label of a main table whose column ``filename`` has the unpacked file's name."""

TYPES = {"integer": "INT64", "numeric": "NUMERIC", "timestamp": "DATETIME", "text": "STRING"}
"""BigQuery's types for those of a source."""

log = logging.getLogger(__name__)

_API_NAMES = {"INTEGER": "INT64"}


def ensure_main_table(jobs: Jobs, tables: CloudTables) -> None:
    """Create the source's main table if it is absent; bring one of an earlier version over.

    :raises MainTableError: a table of that name exists and has other columns or partitions; or BigQuery deletes it, or
        its months, after a time
    """
    source = tables.source
    found = bring_over(jobs, tables)
    created = found is None
    if found is None:
        # Before the table is there: a try that is cut off does it again.
        if _earlier_month(jobs, tables) is not None:
            jobs.run(statement("rename_files", _key(tables), dataset=tables.dataset))
        jobs.run(
            statement(
                "create_main_table",
                main_table=tables.main_table,
                columns=source.columns,
                title=source.title,
                cluster_by=cluster_column(source),
            )
        )
        found = jobs.find_table(tables.main_table)
    if found is None:
        raise TransientWarehouseError(
            f"{source.name}: the table {tables.main_table} is gone, expected the one that was created just now; the "
            f"task is tried again"
        )
    _require_permanence(tables, found, created=created)
    expected = [f"{name} {kind}" for name, kind in main_columns(source)]
    columns = [f"{name} {kind}" for name, kind in found_columns(add_new_columns(jobs, tables, found))]
    partition = found.time_partitioning
    by_month = partition is not None and (partition.field, partition.type_) == (MONTH_COLUMN, "MONTH")
    # In any order: what the source has gained comes last.
    if sorted(columns) != sorted(expected) or not by_month:
        raise MainTableError(
            f"{source.name}: the table {tables.main_table} is there and isn't the one that Taxiway loads: found "
            f"{'a table partitioned by month' if by_month else 'a table that is not partitioned by month'} with "
            f"{', '.join(columns)}; expected one partitioned by the month of {MONTH_COLUMN} with "
            f"{', '.join(expected)}. Rename it (ALTER TABLE … RENAME TO …), or give the source another main_table in "
            f"include/sources/{source.name}.yaml"
        )


def bring_over(jobs: Jobs, tables: CloudTables) -> bigquery.Table | None:
    """Give the rows of an earlier version's main table, and its attempts in the ledger, the unpacked file's name.

    The table's label says that this is done, and comes last: a task that is cut off goes on at its next try.

    :return: the main table's description; None if the main table doesn't exist
    """
    found = jobs.find_table(tables.main_table)
    if found is None or found.labels.get(FILENAME_LABEL) == UNPACKED or not _has_earlier_columns(found):
        return found
    log.info("%s: %s is an earlier version's: its rows get the names of unpacked files", tables.where, found.table_id)
    _rename_files(jobs, tables, found)
    for month in _unrecorded_months(jobs, tables):
        _rename_file(jobs, tables, found, month)
    jobs.add_labels(tables.main_table, {FILENAME_LABEL: UNPACKED})
    # A run of the earlier version may have published meanwhile.
    _rename_files(jobs, tables, found)
    return found


def add_new_columns(jobs: Jobs, tables: CloudTables, found: bigquery.Table) -> bigquery.Table:
    """Add what the source has gained since its months were published to the main table.

    :param found: the table as it is
    :return: the table as it is then
    """
    source = tables.source
    held = dict(found_columns(found))
    gained = [column for column in source.columns if column.name not in held]
    if not gained or not _has_earlier_columns(found):
        return found
    rows = jobs.run(statement("find_published_months", _key(tables), dataset=tables.dataset, is_earlier=False))
    published = ((Month.of(row["month"]), row["layout"]) for row in rows)
    if not are_new(source, {column.name for column in gained}, published):
        return found
    jobs.run(statement("add_columns", main_table=tables.main_table, columns=gained))
    names = ", ".join(column.name for column in gained)
    log.info("%s: %s has gained what its source has: %s", tables.where, found.table_id, names)
    return jobs.find_table(tables.main_table) or found


def _rename_files(jobs: Jobs, tables: CloudTables, table: bigquery.Table) -> None:
    """Rename month by month, as the ledger has them.

    :param table: the main table's description
    """
    while (month := _earlier_month(jobs, tables)) is not None:
        _rename_file(jobs, tables, table, month)


def _rename_file(jobs: Jobs, tables: CloudTables, table: bigquery.Table, month: date) -> None:
    """Rename the file of a month. If another load is renaming it, wait for that."""
    names = {"main_table": tables.main_table, "dataset": tables.dataset}
    renaming = statement("rename_file", _key(tables), **names, month=month.isoformat())
    created = int(table.created.timestamp() * 1000)
    name = f"taxiway_rename_{tables.settings.dataset}_{tables.source.name}_{month:%Y_%m}_{created}"
    job = first_usable_job(jobs, partial(jobs.start_query, renaming), name, lambda _: False)
    jobs.require_success(jobs.wait(job))
    log.info("%s: %s: the rows of %s have it", tables.where, tables.main_table, month)


def _unrecorded_months(jobs: Jobs, tables: CloudTables) -> list[date]:
    """Return the months whose rows have the downloaded file's name, and whose publication is gone from the ledger."""
    source = tables.source
    published = {row["month"] for row in _recorded_months(jobs, tables) if row["is_published"]}
    now = Month.of(datetime.now(timezone.utc))
    months, month = list[date](), source.first_month
    while month <= min(source.last_month or now, now):
        if month.first_day not in published:
            months.append(month.first_day)
        month = month.next()
    if not months:
        return []
    rows = jobs.run(statement("find_earlier_rows", main_table=tables.main_table, months=months))
    return [row["month"] for row in rows]


def _earlier_month(jobs: Jobs, tables: CloudTables) -> date | None:
    """Return the first month for which the ledger has the downloaded file's name; None if there is none."""
    return next((row["month"] for row in _recorded_months(jobs, tables) if row["is_earlier"]), None)


def _recorded_months(jobs: Jobs, tables: CloudTables) -> list[dict[str, Any]]:
    """Return the months in the ledger: ``month``, ``is_earlier`` and ``is_published``."""
    return jobs.run(statement("find_earlier_names", _key(tables), dataset=tables.dataset))


def _key(tables: CloudTables) -> dict[str, str]:
    return {"source": tables.source.name, "destination": DESTINATION}


def _has_earlier_columns(table: bigquery.Table) -> bool:
    return {name for name, _ in found_columns(table)}.issuperset(ADDED_COLUMNS)


def _require_permanence(tables: CloudTables, table: bigquery.Table, *, created: bool) -> None:
    """Make sure that BigQuery doesn't delete what is loaded: a dataset's defaults go over to its new tables."""
    partitions = table.time_partitioning.expiration_ms if table.time_partitioning is not None else None
    if table.expires is None and not partitions:
        return
    found = f"is deleted at {table.expires}" if table.expires is not None else ""
    if partitions:
        days = f"loses its months {int(partitions) / 86_400_000:g} days after their date"
        found = f"{found} and {days}" if found else days
    raise MainTableError(
        f"{tables.source.name}: the table {tables.main_table}{', created just now,' if created else ''} {found}, as "
        f"its dataset has it; expected one that stays. ALTER TABLE `{tables.main_table}` SET OPTIONS "
        f"(expiration_timestamp = NULL, partition_expiration_days = NULL), and take the default away from the dataset: "
        f"bq update --default_table_expiration=0 --default_partition_expiration=0 {tables.settings.project}:"
        f"{tables.settings.dataset}"
    )


def main_columns(source: Source) -> list[tuple[str, str]]:
    """Return the main table's columns with their types, in their order."""
    added = [(name, "DATE" if name == MONTH_COLUMN else "STRING") for name in ADDED_COLUMNS]
    return added + [(column.name, TYPES[column.type]) for column in source.columns]


def found_columns(table: bigquery.Table) -> list[tuple[str, str]]:
    """Return the columns that a table has with their types, in their order."""
    return [(field.name, _API_NAMES.get(field.field_type, field.field_type)) for field in table.schema]


def cluster_column(source: Source) -> str | None:
    """Return the column that the table is clustered by: the first timestamp, the pickup; None without one."""
    return next((column.name for column in source.columns if column.type == "timestamp"), None)
