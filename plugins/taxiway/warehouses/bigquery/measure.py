"""Measures the rows of a month before they are published."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from taxiway.loads.attempts import Attempt
from taxiway.loads.publication import Counted, Measured, measured_checks
from taxiway.warehouses.bigquery import ledger
from taxiway.warehouses.bigquery.hash import require_table
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables


def measure(jobs: Jobs, tables: CloudTables, attempt: Attempt) -> Measured:
    """Count and measure in one scan of the rows.

    :param attempt: the step's
    :raises MissingInputError: the rows are not there
    """
    source, month = tables.source, tables.month
    require_table(jobs, tables, tables.rows_table, left_by="hash_rows")
    column_checks = measured_checks(tables.in_layout(attempt.layout))
    first, after = month.first_day, month.next().first_day
    (found,) = jobs.run(
        statement(
            "check_month",
            {
                "filename": tables.filename,
                "month": first,
                "first_moment": datetime(first.year, first.month, first.day),
                "next_first_moment": datetime(after.year, after.month, after.day),
            },
            rows_table=tables.rows_table,
            checks=column_checks,
        )
    )
    ready = found["row_count"]
    read, rejected = attempt.rows_read or 0, attempt.rows_rejected or 0
    return Measured(
        Counted(read, rejected, ready, found["file_row_count"], found["distinct_ids"]),
        {
            check.name: found[f"check_{number}"] / ready if ready else None
            for number, check in enumerate(column_checks, 1)
        },
        ledger.rows_of_neighbours(jobs, tables) if any(check.column is None for check in source.checks) else [],
    )


def evaluate(jobs: Jobs, tables: CloudTables, expression: str) -> Any:
    """Return the value of an expression over the rows that are ready to be published.

    :param expression: an aggregate; comes from code, never from users
    :raises MissingInputError: the rows are not there
    """
    require_table(jobs, tables, tables.rows_table, left_by="hash_rows")
    (row,) = jobs.run(statement("evaluate", rows_table=tables.rows_table, expression=expression))
    return row["value"]
