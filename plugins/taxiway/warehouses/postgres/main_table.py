"""The main table of a source and Taxiway's own tables: created if absent, compared if present."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from taxiway.errors import MainTableError
from taxiway.loads.publication import are_new
from taxiway.messages import fitting
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source
from taxiway.sources.source_file import ADDED_COLUMNS, MONTH_COLUMN
from taxiway.warehouses.postgres.bring_over import EARLIER_PARTITION_KEY, bring_over, rename_files
from taxiway.warehouses.postgres.session import lock, require_server
from taxiway.warehouses.postgres.tables import DESTINATION
from taxiway.warehouses.sql import identifier, render

log = logging.getLogger(__name__)

LEDGER = ("taxiway.loads", "taxiway.rejected_rows", "taxiway.months")
"""Taxiway's own tables and views, besides the main tables."""

_TYPE_NAMES = {"timestamp": "timestamp without time zone"}

_PARTITION_KEY = "LIST (source_month)"

_KINDS = {
    "r": ("an ordinary table", "TABLE"),
    "p": ("a partitioned table", "TABLE"),
    "v": ("a view", "VIEW"),
    "m": ("a materialized view", "MATERIALIZED VIEW"),
    "f": ("a foreign table", "FOREIGN TABLE"),
    "S": ("a sequence", "SEQUENCE"),
    "c": ("a composite type", "TYPE"),
    "i": ("an index", "INDEX"),
    "I": ("an index", "INDEX"),
}
"""What Postgres calls each kind of relation, and the word of it that ALTER takes."""


LONGEST_BRING_OVER = "30min"
"""Longest wait for another session that makes definitions, such as one that brings a main table over."""

_BRING_OVER_ADVICE = "It may be bringing over an earlier version's main table, which takes minutes: let it end"


def ensure_ledger(cursor: psycopg.Cursor[Any], source: Source) -> None:
    """Create the ledger if it is absent; one of an earlier version gets what it lacks.

    :raises WarehouseError: the server is too old, or not UTF-8
    """
    if has_current_ledger(cursor):
        return
    require_server(cursor.connection, source.name)
    # Definitions one at a time: CREATE IF NOT EXISTS of two sessions at the same moment collides.
    lock(cursor, "definitions")
    if not has_current_ledger(cursor):
        cursor.execute(render("postgres/create_ledger.sql"))
        let_reader_read(cursor, *LEDGER)


def ensure_tables(cursor: psycopg.Cursor[Any], source: Source) -> None:
    """Create the ledger and the source's main table if they are absent; bring over what an earlier version made.

    The role ``taxiway_reader``, if there is one, can read them from then on.

    :raises WarehouseError: the server is too old, or not UTF-8
    :raises MainTableError: a relation of that name has other columns, or isn't a table partitioned by month; or an
        earlier version's table can't be brought over
    """
    require_server(cursor.connection, source.name)
    ensure_ledger(cursor, source)
    _lock_definitions(cursor, source)
    _ensure_main_table(cursor, source)
    let_reader_read(cursor, *LEDGER, f"public.{source.main_table}")


def is_earlier(cursor: psycopg.Cursor[Any], source: Source) -> bool:
    """Say whether the main table is an earlier version's, which the next load brings over."""
    found = _described(cursor, source)
    return found is not None and found[2] == EARLIER_PARTITION_KEY


def require_current(cursor: psycopg.Cursor[Any], source: Source) -> None:
    """Bring the main table over if it is an earlier version's: Taxiway may be upgraded in the middle of a run.

    :raises MainTableError: as :func:`ensure_tables`
    """
    if is_earlier(cursor, source):
        _lock_definitions(cursor, source)
        _ensure_main_table(cursor, source)


def _lock_definitions(cursor: psycopg.Cursor[Any], source: Source) -> None:
    """Wait until no other session makes definitions: one that brings a table over may take minutes."""
    holder = f"taxiway definitions of public.{source.main_table}"
    lock(cursor, "definitions", holder=holder, longest=LONGEST_BRING_OVER, advice=_BRING_OVER_ADVICE)


def let_reader_read(cursor: psycopg.Cursor[Any], *tables: str) -> None:
    """Grant the role ``taxiway_reader``, if there is one, to read tables and their partitions.

    :param tables: names with their schemas, of tables and views that are there
    """
    cursor.execute(render("postgres/grant_reader.sql", tables=tables))


def has_current_ledger(cursor: psycopg.Cursor[Any]) -> bool:
    """Say whether the ledger is there, with the column that came last: an earlier version's lacks it."""
    cursor.execute(
        "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('taxiway.loads') AND attname = 'yaml_sha256'"
    )
    return cursor.fetchone() is not None


def _ensure_main_table(cursor: psycopg.Cursor[Any], source: Source) -> None:
    found = _described(cursor, source)
    if found is None:
        cursor.execute(
            render(
                "postgres/create_main_table.sql",
                main_table=source.main_table,
                columns=source.columns,
                title=source.title,
            )
        )
        rename_files(cursor, source)
        return
    kind, columns, partition_key = found
    types = dict(columns)
    expected = dict(zip(ADDED_COLUMNS, ("uuid", "text", "date"), strict=True))
    expected.update((column.name, _TYPE_NAMES.get(column.type, column.type)) for column in source.columns)
    if kind == "p" and partition_key in (_PARTITION_KEY, EARLIER_PARTITION_KEY):
        if earlier := partition_key == EARLIER_PARTITION_KEY:
            del expected[MONTH_COLUMN]
        gained = [column for column in source.columns if column.name not in types]
        # In any order: one that was dropped and added again is the last one.
        have_all = {**types, **{column.name: expected[column.name] for column in gained}} == expected
        if have_all and (not gained or _are_new(cursor, source, gained)):
            if gained:
                _add_columns(cursor, source, gained)
            if earlier:
                bring_over(cursor, source)
            return
    raise MainTableError(
        f"{source.name}: the table public.{source.main_table} is there and isn't the one that Taxiway loads: "
        f"{_what_differs(cursor, source, kind, types, partition_key, expected)}"
    )


def _are_new(cursor: psycopg.Cursor[Any], source: Source, columns: Sequence[Column]) -> bool:
    """Say whether the source has gained columns since its months were published."""
    values = {"source": source.name, "destination": DESTINATION}
    rows = cursor.execute(render("postgres/find_published_months.sql", is_earlier=False), values).fetchall()
    published = ((Month.of(month), layout) for month, _, _, layout, *_ in rows)
    return are_new(source, {column.name for column in columns}, published)


def _add_columns(cursor: psycopg.Cursor[Any], source: Source, columns: Sequence[Column]) -> None:
    """Add columns that the source has gained to its main table."""
    cursor.execute(render("postgres/add_columns.sql", main_table=source.main_table, columns=columns))
    names = ", ".join(column.name for column in columns)
    log.info("%s: public.%s has gained what its source has: %s", source.name, source.main_table, names)


def _what_differs(
    cursor: psycopg.Cursor[Any],
    source: Source,
    kind: str,
    types: Mapping[str, str],
    partition_key: str | None,
    expected: Mapping[str, str],
) -> str:
    """Say what is in the main table's place, and the statement that leads on.

    :param cursor: to look for a free name
    :param kind: of the relation, as Postgres calls it
    :param types: of its columns, by their names
    :param partition_key: what it is partitioned by
    :param expected: the types that the columns should have, by their names
    """
    table = f"public.{source.main_table}"
    elsewhere = f"give the source another main_table in include/sources/{source.name}.yaml"
    title, statement = _KINDS.get(kind, ("something else", "TABLE"))
    if kind != "p":
        having = f" with {_listed(types)}" if types else ""
        return (
            f"found {title}{having}; expected a partitioned table with "
            f"{_listed(expected)}. Rename it (ALTER {statement} {table} RENAME TO …), or {elsewhere}"
        )
    if partition_key not in (_PARTITION_KEY, EARLIER_PARTITION_KEY):
        return f"found one partitioned by {partition_key}, expected one partitioned by {_PARTITION_KEY}: {elsewhere}"
    found = [
        (f"no {name} {needed}", f"ADD COLUMN {identifier(name)} {needed}", "")
        for name, needed in expected.items()
        if name not in types
    ]
    has_lost = bool(found)
    for name, type_name in types.items():
        quoted = identifier(name)
        if name not in expected:
            found.append((f"{name} {type_name}, which the source doesn't have", f"DROP COLUMN {quoted}", quoted))
        elif type_name != expected[name]:
            clauses = ", ".join(_as_expected(quoted, type_name, expected[name]))
            found.append((f"{name} {type_name} in place of {expected[name]}", clauses, ""))
    named = found[: fitting(f"{what}; {clauses}, {own}, " for what, clauses, own in found)]
    more = len(found) - len(named)
    dropped = [own for _, _, own in named if own]
    rename = f"Rename back what was renamed (ALTER TABLE {table} RENAME COLUMN …), or run " if has_lost else "Run "
    keep = keeps = ""
    if dropped:
        kept = ", ".join([*(name for name in ADDED_COLUMNS if name in types), *dropped])
        keep = f"CREATE TABLE {_free_name(cursor, table)} AS SELECT {kept} FROM {table}; "  # noqa: S608 not executed
        keeps = ", and of no other column, which the new table keeps"
    return (
        f"found {'; '.join(what for what, _, _ in named)}{f' and {more} more' if more else ''}; expected the columns "
        f"of include/sources/{source.name}.yaml. {rename}{keep}ALTER TABLE {table} "
        f"{', '.join(clauses for _, clauses, _ in named)}; or {elsewhere}. Then load the table's months again"
        f"{f', which names the other {more}' if more else ''}: the files bring back what was lost of the source's "
        f"columns{keeps}"
    )


def _free_name(cursor: psycopg.Cursor[Any], table: str) -> str:
    """Return a name, with its schema, for a table that is to hold what a main table can't."""
    names = (f"{table}_columns_{number}" for number in itertools.count(1))
    return next(
        name for name in names if cursor.execute("SELECT to_regclass(%s) IS NULL", [name]).fetchone() == (True,)
    )


def _listed(types: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {type_name}" for name, type_name in types.items())


def _as_expected(name: str, found: str, needed: str) -> list[str]:
    """Return the clauses of ALTER TABLE that make a column what it should be."""
    if found.endswith(" IDENTITY"):
        return [f"ALTER COLUMN {name} DROP IDENTITY"]
    if found.endswith(" GENERATED"):
        return [f"DROP COLUMN {name}", f"ADD COLUMN {name} {needed}"]
    return [f"ALTER COLUMN {name} TYPE {needed} USING {name}::{needed}"]


def _described(cursor: psycopg.Cursor[Any], source: Source) -> tuple[str, list[list[str]], str | None] | None:
    statement = render("postgres/describe_main_table.sql")
    return cursor.execute(statement, {"table_name": f"public.{source.main_table}"}).fetchone()
