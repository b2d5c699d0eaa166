"""The summary of published months, ``public.monthly_zone_summary``: written for a month, and read for a report.

Input: a published month of the main table. Output: its rows in the summary. Locked: the summary of the month, until it
is committed. A second run replaces the month's rows.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import psycopg

from taxiway.errors import MainTableError, ReportError
from taxiway.messages import counted
from taxiway.sources.months import Month
from taxiway.sources.report import Report
from taxiway.sources.source import Source
from taxiway.sources.source_file import SUMMARY_TABLE
from taxiway.warehouses.postgres.main_table import is_earlier, let_reader_read
from taxiway.warehouses.postgres.session import lock, rows_by_name, transaction
from taxiway.warehouses.sql import render

COLUMNS = (
    ("source", "text"),
    ("source_month", "date"),
    ("pickup_date", "date"),
    ("pickup_zone", "integer"),
    ("zone", "text"),
    ("borough", "text"),
    ("payment_type", "integer"),
    ("trips", "bigint"),
    ("revenue", "numeric"),
    ("distance", "numeric"),
    ("tips", "numeric"),
    ("sha256", "text"),
)
"""Names and types of the summary's columns, in their order."""

_FOUND = """
SELECT attname, format_type(atttypid, atttypmod), relkind::text
FROM pg_attribute INNER JOIN pg_class ON pg_class.oid = attrelid
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""

_ZONES_LOADED = "SELECT to_regclass('public.taxi_zone_lookup') IS NOT NULL"

log = logging.getLogger(__name__)


def summarize_month(connection: psycopg.Connection[Any], source: Source, month: Month) -> int:
    """Write the summary of a published month anew, in one transaction.

    :param connection: the warehouse, with no transaction open
    :param source: the source, which has a report
    :param month: the month
    :return: rows of the summary
    :raises MainTableError: the main table is an earlier version's, or another table has the summary's name
    :raises TransientWarehouseError: another session has the summary's lock
    :raises psycopg.Error: Postgres refuses
    """
    where = f"{source.name} {month}"
    with transaction(connection) as cursor:
        if is_earlier(cursor, source):
            raise MainTableError(
                f"{where}: found public.{source.main_table} as version 0.1.0 made it, expected one partitioned by "
                f"source_month: load any month of {source.name}, which brings the table over with every row"
            )
        _ensure_summary(cursor, where)
        lock(cursor, "summary", source.name, str(month), holder=f"taxiway summary of {where}")
        (with_zones,) = cursor.execute(_ZONES_LOADED).fetchone() or (False,)
        if not with_zones:
            log.warning(
                "%s: public.taxi_zone_lookup isn't loaded: the summary has numbers of zones, and no names. "
                "Load it (the DAG taxi_zones), and run the report again",
                where,
            )
        cursor.execute(
            render(
                "postgres/summarize_month.sql",
                main_table=source.main_table,
                parts=_parts(source, month),
                with_zones=with_zones,
            ),
            {"source": source.name, "month": month.first_day},
        )
        cursor.execute(
            f"SELECT count(*) FROM public.{SUMMARY_TABLE} WHERE source = %s AND source_month = %s",  # noqa: S608
            [source.name, month.first_day],
        )
        (rows,) = cursor.fetchone() or (0,)
    log.info("%s: %s in public.%s", where, counted(rows, "row"), SUMMARY_TABLE)
    return int(rows)


def sum_up(
    connection: psycopg.Connection[Any], source: Source, first: Month, last: Month, groups: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Sum up the summaries of months.

    :param connection: the warehouse, with no transaction open
    :param source: the source
    :param first: the first month
    :param last: the last month
    :param groups: columns of the summary by whose values it is summed up
    :return: one row for each of these values: the values, ``trips``, ``revenue``, ``distance`` and ``tips``
    :raises psycopg.Error: Postgres refuses
    """
    values = {"source": source.name, "first": first.first_day, "last": last.first_day}
    with transaction(connection) as cursor:
        return rows_by_name(cursor.execute(render("postgres/sum_up_summary.sql", groups=groups), values))


def summarized_months(
    connection: psycopg.Connection[Any], source: Source, first: Month, last: Month
) -> dict[Month, str]:
    """Return the months that have a summary, of all from one to another one, each with the SHA-256 of its file.

    A published month without rows has none.

    :param connection: the warehouse, with no transaction open
    :param source: the source
    :param first: the first month
    :param last: the last month
    """
    with transaction(connection) as cursor:
        if not _columns(cursor):
            return {}
    rows = sum_up(connection, source, first, last, ["source_month", "sha256"])
    return {Month.of(row["source_month"]): row["sha256"] for row in rows}


def _parts(source: Source, month: Month) -> dict[str, str | None]:
    """Return the column for each part of the report, if the files of the month have it."""
    report = source.report
    if report is None:
        raise ReportError(f"{source.name}: include/sources/{source.name}.yaml has no key report: expected the columns")
    of_month = {column.name for column in source.columns if column.is_of(month)}
    parts = {each.name: getattr(report, each.name) for each in fields(Report)}
    return {part: column if column in of_month or part == "pickup_time" else None for part, column in parts.items()}


def _columns(cursor: psycopg.Cursor[Any]) -> list[tuple[str, str, str]]:
    return cursor.execute(_FOUND, [f"public.{SUMMARY_TABLE}"]).fetchall()


def _ensure_summary(cursor: psycopg.Cursor[Any], where: str) -> None:
    """Create the summary if it is absent.

    :raises MainTableError: another relation has its name
    """
    if not _columns(cursor):
        # Definitions one at a time: CREATE IF NOT EXISTS of two sessions at the same moment collides.
        lock(cursor, "definitions")
        cursor.execute(render("postgres/create_monthly_zone_summary.sql"))
        let_reader_read(cursor, f"public.{SUMMARY_TABLE}")
    found = _columns(cursor)
    if [column[:2] for column in found] != list(COLUMNS) or {kind for _, _, kind in found} != {"r"}:
        said = ", ".join(f"{name} {type_name}" for name, type_name, _ in found)
        expected = ", ".join(f"{name} {type_name}" for name, type_name in COLUMNS)
        raise MainTableError(
            f"{where}: public.{SUMMARY_TABLE} is another relation: found the columns {said}, expected a table with "
            f"{expected}. Nothing was changed: give it another name (ALTER TABLE public.{SUMMARY_TABLE} RENAME TO …), "
            f"and clear the task with its downstream tasks"
        )
