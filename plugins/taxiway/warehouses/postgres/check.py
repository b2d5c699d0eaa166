"""Checks the rows of a month before they are published."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import psycopg

from taxiway.loads.publication import Counted, require_balance, require_checks
from taxiway.sources.checks import Verdict, judge, rows_to_neighbours
from taxiway.warehouses.postgres import ledger, rejects
from taxiway.warehouses.postgres.ledger import Attempt
from taxiway.warehouses.postgres.main_table_objects import find_constraints, measured, require_kept
from taxiway.warehouses.postgres.published import rows_of_neighbours
from taxiway.warehouses.postgres.run_tables import require_table
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.postgres.tables import LoadTables

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checked:
    """What the checks of a month found.

    :param ready: rows that are ready to be published
    :param warnings: what is odd about the month, in words
    :param skipped: names of the checks that could not be measured
    """

    ready: int
    warnings: tuple[str, ...]
    skipped: tuple[str, ...]


def check_month(connection: psycopg.Connection[Any], tables: LoadTables) -> Checked:
    """Check that the month balances, and what its source wants checked.

    It balances where rows read = rows ready to be published + rows rejected. Its rows must keep the constraints that
    somebody has given the main table. What the checks
    warn of is entered in the ledger.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :return: rows that are ready to be published, and the warnings
    :raises MissingInputError: the rows are not there
    :raises BalanceError: the counts disagree
    :raises RejectLimitError: more rows were rejected than the source allows
    :raises CheckFailedError: names every check that fails the month, or every constraint that rows break
    """
    with ledger.step(connection, tables, "check_month") as attempt:
        with transaction(connection) as cursor:
            require_table(cursor, tables, tables.rows_table, left_by="hash_rows")
            ready, verdict = _check(cursor, tables, attempt)
            attempt.warn(cursor, verdict.warnings)
        require_checks(tables, verdict)
    return Checked(ready, verdict.warnings, verdict.skipped)


def _check(cursor: psycopg.Cursor[Any], tables: LoadTables, attempt: Attempt) -> tuple[int, Verdict]:
    """Count and measure in one scan of the rows; return the rows that are ready, and what the checks say."""
    source = tables.source
    read, rejected = attempt.rows_read or 0, attempt.rows_rejected or 0
    of_columns = [check for check in source.checks if check.column is not None]
    constraints = find_constraints(cursor, tables)
    ready, of_file, *measures = measured(cursor, tables, constraints, of_columns)
    shares, broken = measures[: len(of_columns)], measures[len(of_columns) :]
    require_balance(tables, Counted(read, rejected, ready, of_file))
    # A step that failed on the limit, and was tried again, finds its rejected rows gone.
    if left_out := rejects.check_limit(tables, rejected, read):
        log.warning("%s", left_out)
    require_kept(cursor, tables, constraints, broken)
    to_neighbours = rows_to_neighbours(ready, rows_of_neighbours(cursor, tables))
    measures_by_name = {check.name: to_neighbours for check in source.checks if check.column is None}
    measures_by_name.update(zip((check.name for check in of_columns), shares, strict=True))
    return ready, judge(source.checks, measures_by_name)
