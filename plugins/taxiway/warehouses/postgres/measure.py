"""Measures the rows of a month before they are published."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.errors import CheckFailedError
from taxiway.loads.attempts import Attempt
from taxiway.loads.publication import Counted, Measured, measured_checks
from taxiway.warehouses.postgres.main_table_objects import find_constraints, measured, require_kept
from taxiway.warehouses.postgres.published import rows_of_neighbours
from taxiway.warehouses.postgres.run_tables import require_table
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render


def measure(cursor: psycopg.Cursor[Any], tables: LoadTables, attempt: Attempt) -> Measured:
    """Count and measure in one scan of the rows, also whether they keep the constraints that users gave the main table.

    :param attempt: the step's
    :raises MissingInputError: the rows are not there
    """
    require_table(cursor, tables, tables.rows_table, left_by="hash_rows")
    column_checks = measured_checks(tables.in_layout(attempt.layout))
    constraints = find_constraints(cursor, tables)
    ready, of_file, *measures = measured(cursor, tables, constraints, column_checks)
    shares, broken = measures[: len(column_checks)], measures[len(column_checks) :]
    refused = None
    try:
        require_kept(cursor, tables, constraints, broken)
    except CheckFailedError as error:
        refused = error
    return Measured(
        Counted(attempt.rows_read or 0, attempt.rows_rejected or 0, ready, of_file),
        dict(zip((check.name for check in column_checks), shares, strict=True)),
        rows_of_neighbours(cursor, tables),
        refused,
    )


def evaluate(cursor: psycopg.Cursor[Any], tables: LoadTables, expression: str) -> Any:
    """Return the value of an expression over the rows that are ready to be published.

    :param expression: an aggregate; comes from code, never from users
    :raises MissingInputError: the rows are not there
    """
    require_table(cursor, tables, tables.rows_table, left_by="hash_rows")
    found = cursor.execute(render("postgres/evaluate.sql", rows_table=tables.rows_table, expression=expression))
    row = found.fetchone()
    return row[0] if row else None
