"""What people make of their main table: what a month's partition takes over from it, and what keeps a month out.

The partition takes over constraints, defaults, settings of columns, tablespace and replica identity before it is
attached. Attaching adds indexes, keys and triggers for each row. What would not hold for the rows of a load is named
before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from taxiway.errors import CheckFailedError, MainTableError
from taxiway.messages import counted, fitting, one_line
from taxiway.sources.checks import Check
from taxiway.warehouses.postgres.errors import is_transient, said_by
from taxiway.warehouses.postgres.partition import find_partition
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render

_LONGEST_ROW = 500
"""Characters of a row that an error shows."""


@dataclass(frozen=True)
class Constraint:
    """What the main table demands of each row by itself.

    :param name: with its definition
    :param is_broken: a condition that is true of a row that breaks it
    :param remedy: the statement that drops it
    """

    name: str
    is_broken: str
    remedy: str


def require_no_obstacle(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    """Make sure that the month can be published, and that what people have defined holds for its rows.

    :raises MainTableError: names every object that keeps the month out, and the statement that removes it
    """
    found = cursor.execute(render("postgres/find_obstacles.sql"), _names(tables)).fetchall()
    found += _rows_in_the_default_partition(cursor, tables)
    if found:
        named = found[: fitting(f"{what}; {remedy}; " for what, remedy in found)]
        more = len(found) - len(named)
        raise MainTableError(
            f"{tables.where}: public.{tables.source.main_table} can't take the month: found "
            f"{'; '.join(what for what, _ in named)}{f' and {more} more' if more else ''}; expected a table whose "
            f"every definition holds for a new month. Nothing was changed: run as its owner, or as the superuser (make "
            f"psql AS=postgres), {' '.join(f'{remedy};' for _, remedy in named)} and load the month again"
            f"{f', which names the other {more}' if more else ''}"
        )
    if find_partition(cursor, tables) is None:
        _require_free_names(cursor, tables)


def find_constraints(cursor: psycopg.Cursor[Any], tables: LoadTables) -> list[Constraint]:
    """Find what the main table demands of each row by itself."""
    rows = cursor.execute(render("postgres/find_constraints.sql"), _names(tables))
    return [Constraint(*row) for row in rows]


def measured(
    cursor: psycopg.Cursor[Any], tables: LoadTables, constraints: list[Constraint], checks: Sequence[Check] = ()
) -> tuple[Any, ...]:
    """Count the rows of a month, measure checks, and count the rows that break constraints: all in one scan.

    :param constraints: of the main table; a function of one finds what it finds in any session of the login
    :param checks: those that are measured on a column
    :return: the number of rows, the number of rows of the file, then a measure for each check, then a count for each
        constraint
    :raises CheckFailedError: names a constraint that a row makes raise an error
    """
    source, month = tables.source, tables.month
    conditions = [constraint.is_broken.replace("%", "%%") for constraint in constraints]
    statement = render("postgres/check_month.sql", rows_table=tables.rows_table, checks=checks, broken=conditions)
    values = {
        "filename": source.filename(month),
        "first_day": month.first_day,
        "next_first_day": month.next().first_day,
    }
    try:
        with cursor.connection.transaction(), login_search_path(cursor):
            row: tuple[Any, ...] | None = cursor.execute(statement, values).fetchone()
    except psycopg.Error as error:
        if is_transient(error) or not constraints:
            raise
        if len(constraints) > 1 or checks:
            for constraint in constraints:
                measured(cursor, tables, [constraint])
            raise
        (constraint,) = constraints
        raise CheckFailedError(
            f"{source.name} {month}: {source.filename(month)}: expected rows that public.{source.main_table} takes, "
            f"found one for which {one_line(constraint.name, _LONGEST_ROW)} can't be told: Postgres says: "
            f"{said_by(error)}. Nothing was published: if the file is right, run {constraint.remedy}; and clear the "
            f"task stage_month with its downstream tasks"
        ) from error
    if row is None:
        raise RuntimeError(f"{source.name} {month}: counting the rows gave no row")
    return row


def require_kept(
    cursor: psycopg.Cursor[Any], tables: LoadTables, constraints: list[Constraint], broken: list[int]
) -> None:
    """Make sure that no row of the file breaks a constraint of the main table.

    :param constraints: of the main table
    :param broken: how many rows break each of them
    :raises CheckFailedError: names the constraints that rows break, each with one of these rows
    """
    found = [
        (
            f"{counted(rows, 'row')} breaking {one_line(constraint.name, _LONGEST_ROW)}, for example "
            f"{_broken_row(cursor, tables, constraint)}",
            constraint.remedy,
        )
        for constraint, rows in zip(constraints, broken, strict=True)
        if rows
    ]
    if found:
        named = found[: fitting(f"{what}; {remedy}; " for what, remedy in found)]
        more = len(found) - len(named)
        raise CheckFailedError(
            f"{tables.where}: {tables.filename}: expected rows that "
            f"public.{tables.source.main_table} takes, found: {'; '.join(what for what, _ in named)}"
            f"{f' and {more} more' if more else ''}. Nothing was published: if the file is right, run "
            f"{' '.join(f'{remedy};' for _, remedy in named)} and clear the task stage_month with its downstream tasks"
            f"{f'; that names the other {more}' if more else ''}"
        )


def lock_main_table(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    """Lock the main table as ATTACH PARTITION does it: nobody changes its definition from here on; readers go on.

    A publication of all tables, or of a schema, is the exception: Postgres locks no table for it.
    """
    cursor.execute(f"LOCK TABLE ONLY public.{tables.source.main_table} IN SHARE UPDATE EXCLUSIVE MODE")


def take_over(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    """Give the table that is about to become the month's partition what the main table has, which is locked."""
    names = {**_names(tables), "partition_index": tables.partition_index}
    (clauses,) = cursor.execute(render("postgres/carry_over.sql"), names).fetchone() or (None,)
    if clauses:
        with login_search_path(cursor):
            cursor.execute(f"ALTER TABLE public.{tables.partition_name} {clauses}")


def must_insert(cursor: psycopg.Cursor[Any], tables: LoadTables) -> bool:
    """Say whether the rows of a new month have to be inserted: a trigger or a publication waits for that."""
    return cursor.execute(render("postgres/must_insert.sql"), _names(tables)).fetchone() == (True,)


@contextmanager
def firing(cursor: psycopg.Cursor[Any]) -> Iterator[None]:
    """Let the triggers of rows that are written find what they find in any session of the login, by its search_path.

    Deferred triggers and constraints run here, not at the commit, which comes after the last look at the partition.
    """
    with login_search_path(cursor):
        yield
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@contextmanager
def login_search_path(cursor: psycopg.Cursor[Any]) -> Iterator[None]:
    """Let functions of somebody's find what they find in any session of the login, by its search_path."""
    cursor.execute("SET LOCAL search_path TO DEFAULT")
    yield
    cursor.execute("SET LOCAL search_path = pg_catalog")


@contextmanager
def naming_the_constraint(cursor: psycopg.Cursor[Any], tables: LoadTables) -> Iterator[None]:
    """Name the constraint that a row breaks: a key, a foreign key, or one that came while the month was loaded.

    :raises CheckFailedError: with what Postgres says, and what leads on
    """
    try:
        # What is asked after an error needs a transaction that goes on.
        with cursor.connection.transaction():
            yield
    except psycopg.errors.IntegrityError as error:
        main_table = f"public.{tables.source.main_table}"
        said = one_line(f"{error.diag.message_primary}. {error.diag.message_detail or ''}", _LONGEST_ROW)
        expected = f"expected rows that {main_table} takes"
        advice = (
            f"if the file is right, drop the constraint or unique index from {main_table}, of which that table's "
            f"{error.diag.constraint_name or 'constraint'} is made, or correct the rows that it refers to"
        )
        if referring := _referring(cursor, tables, error):
            holder, constraint = referring
            expected = "expected that nothing refers to rows that the file no longer has"
            advice = (
                f"delete the rows of {holder} that refer to such rows, or run ALTER TABLE {holder} DROP CONSTRAINT "
                f"{constraint}"
            )
        elif not _is_own(cursor, tables, error):
            context = f" ({one_line(error.diag.context, _LONGEST_ROW)})" if error.diag.context else ""
            table = f" on {error.diag.schema_name}.{error.diag.table_name}" if error.diag.table_name else ""
            said = f"a statement of a trigger{table} failed{context}: {said}"
            advice = (
                f"fix what the trigger does, or the rows that it needs, or run ALTER TABLE {main_table} DISABLE "
                f"TRIGGER with its name"
            )
        raise CheckFailedError(
            f"{tables.where}: {tables.filename}: {expected}, found: {said} "
            f"Nothing was published: {advice}; then clear the task stage_month with its downstream tasks"
        ) from error


def _require_free_names(cursor: psycopg.Cursor[Any], tables: LoadTables) -> None:
    """Make sure that nothing has a name that the month's partition or its index needs.

    :raises MainTableError: names the table that has it
    """
    for name in (tables.partition_name, tables.partition_index):
        statement = render("postgres/find_name_holder.sql")
        (holder,) = cursor.execute(statement, {"table_name": f"public.{name}"}).fetchone() or (None,)
        if holder is not None:
            raise MainTableError(
                f"{tables.where}: found a table {holder} that is not the partition of "
                f"{tables.filename}, and has the name public.{name} for itself or for its index; "
                f"expected that name to be free. Nothing was changed: attach it (ALTER TABLE "
                f"public.{tables.source.main_table} ATTACH PARTITION …), drop it, or rename it and the index "
                f"{tables.partition_index}"
            )


def _referring(
    cursor: psycopg.Cursor[Any], tables: LoadTables, error: psycopg.errors.IntegrityError
) -> tuple[str, str] | None:
    """Find the other table, and its constraint, whose rows refer to rows of the month; None if it is another error."""
    if error.diag.context:
        return None  # A trigger's statement failed, not the load's own.
    names = {
        "table_name": f"public.{tables.source.main_table}",
        "schema_name": error.diag.schema_name,
        "holder_name": error.diag.table_name,
        "constraint_name": error.diag.constraint_name,
    }
    return cursor.execute(render("postgres/find_foreign_constraint.sql"), names).fetchone()


def _is_own(cursor: psycopg.Cursor[Any], tables: LoadTables, error: psycopg.errors.IntegrityError) -> bool:
    """Say whether an error is of the main table, of a partition, or of the month's rows before they are one."""
    schema, table = error.diag.schema_name, error.diag.table_name
    if f"{schema}.{table}" in (
        f"public.{tables.source.main_table}",
        f"public.{tables.partition_name}",
        tables.rows_table,
    ):
        return True
    statement = (
        "SELECT inhparent = to_regclass(%s) FROM pg_inherits WHERE inhrelid = to_regclass(format('%%I.%%I', %s, %s))"
    )
    values = [f"public.{tables.source.main_table}", schema, table]
    return table is not None and cursor.execute(statement, values).fetchone() == (True,)


def _rows_in_the_default_partition(cursor: psycopg.Cursor[Any], tables: LoadTables) -> list[tuple[str, str]]:
    """Find rows of the month that somebody has inserted into the main table, and its default partition has taken."""
    row = cursor.execute(render("postgres/find_default_partition.sql"), _names(tables)).fetchone()
    if row is None or find_partition(cursor, tables) is not None:
        return []
    (name,) = row
    # Asked of the main table, for a default partition may be another role's.
    rows_of_month = f"FROM public.{tables.source.main_table} WHERE source_month = '{tables.month.first_day}'"
    (rows,) = cursor.execute(f"SELECT count(*) {rows_of_month}").fetchone() or (0,)
    found = f"{counted(rows, 'row')} of {tables.month} in the default partition {name}"
    return [(found, f"DELETE {rows_of_month}")] if rows else []


def _broken_row(cursor: psycopg.Cursor[Any], tables: LoadTables, constraint: Constraint) -> str:
    statement = render("postgres/find_broken_row.sql", rows_table=tables.rows_table, is_broken=constraint.is_broken)
    with login_search_path(cursor):
        (row,) = cursor.execute(statement).fetchone() or ("",)
    return one_line(row, _LONGEST_ROW)


def _names(tables: LoadTables) -> dict[str, Any]:
    return {
        "table_name": f"public.{tables.source.main_table}",
        "month": tables.month.first_day,
    }
