"""Checks the rows of a month before they are published."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

from taxiway.loads.publication import Counted, require_balance, require_checks
from taxiway.sources.checks import judge, rows_to_neighbours
from taxiway.warehouses.bigquery import ledger, rejects
from taxiway.warehouses.bigquery.hash import require_table
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.warehouse import Warehouse

log = logging.getLogger(__name__)


def check_month(warehouse: Warehouse, tables: CloudTables, load: Load) -> Load:
    """Check that the month balances, and what its source wants checked.

    It balances where rows read = rows ready to be published + rows rejected, and every id is another one.

    :return: the load, with these warnings beside those that it had
    :raises MissingInputError: the rows are not there
    :raises BalanceError: the counts disagree
    :raises RejectLimitError: more rows were rejected than the source allows
    :raises CheckFailedError: names every check that fails the month
    """
    source, month = tables.source, tables.month
    require_table(warehouse, tables, tables.rows_table, left_by="hash_rows")
    of_columns = [check for check in source.checks if check.column is not None]
    first, after = month.first_day, month.next().first_day
    (counted,) = warehouse.run(
        statement(
            "check_month",
            {
                "filename": tables.filename,
                "month": first,
                "first_moment": datetime(first.year, first.month, first.day),
                "next_first_moment": datetime(after.year, after.month, after.day),
            },
            rows_table=tables.rows_table,
            checks=of_columns,
        )
    )
    read, rejected = load.rows_read or 0, load.rows_rejected or 0
    ready = counted["row_count"]
    require_balance(tables, Counted(read, rejected, ready, counted["file_row_count"], counted["distinct_ids"]))
    if left_out := rejects.check_limit(tables, rejected, read):
        log.warning("%s", left_out)
    measured: dict[str, float | None] = {
        check.name: counted[f"check_{number}"] / ready if ready else None for number, check in enumerate(of_columns, 1)
    }
    of_month = [check for check in source.checks if check.column is None]
    if of_month:
        to_neighbours = rows_to_neighbours(ready, ledger.rows_of_neighbours(warehouse, tables))
        measured.update({check.name: to_neighbours for check in of_month})
    verdict = judge(source.checks, measured)
    require_checks(tables, verdict)
    return replace(load, warnings=(*load.warnings, *verdict.warnings))
