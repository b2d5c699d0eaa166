"""Brings over a main table that version 0.1.0 made: partitioned by ``filename``, the downloaded file's name.

Input: such a table, with its partitions and the ledger. Output: a table of the same name, partitioned by
``source_month``, with the same partitions, rows and ids. ``filename`` is the unpacked file's name, in the ledger too.
One transaction, which holds the lock on definitions and keeps everybody from the main table. The second time there is
nothing to do. No row is written: a partition stays the table that it was, and gets two columns whose value is a
constant. A table's partition key can't be changed, so the main table itself is another one afterwards. What people
have made of the earlier one goes over to it, or is named before anything is changed.
"""

from __future__ import annotations

import logging
import re
import shlex
from datetime import datetime, timezone
from typing import Any, NamedTuple

import psycopg

from taxiway.errors import MainTableError, TransientWarehouseError
from taxiway.messages import counted, fitting
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres import session
from taxiway.warehouses.postgres.errors import is_transient, said_by
from taxiway.warehouses.postgres.main_table_objects import login_search_path
from taxiway.warehouses.postgres.partition import Partition, sum_up
from taxiway.warehouses.postgres.tables import DESTINATION
from taxiway.warehouses.sql import identifier, render

EARLIER_PARTITION_KEY = "LIST (filename)"
"""What the main table of an earlier version is partitioned by."""

_BOUND = re.compile(r"FOR VALUES IN \('((?:[^']|'')*)'\)")

log = logging.getLogger(__name__)


class _Obstacle(NamedTuple):
    """Something that can't be brought over.

    :param what: what it is
    :param remedy: the statement that removes it
    :param restored: the statement that creates it again afterwards, if there is one
    :param kept: the name of a view, if pg_dump has to keep it
    """

    what: str
    remedy: str
    restored: str | None = None
    kept: str | None = None


class _Month(NamedTuple):
    """A partition of the earlier main table.

    :param partition: its name, quoted and with its schema
    :param filename: of the unpacked file
    """

    partition: str
    month: Month
    filename: str


def bring_over(cursor: psycopg.Cursor[Any], source: Source) -> None:
    """Bring the source's main table over; the caller has found that it is an earlier version's with the right columns.

    :param cursor: of a transaction that holds the lock on definitions
    :raises MainTableError: names everything that can't be brought over, and the statements before and after
    """
    table = f"public.{source.main_table}"
    _months_to_bring_over(cursor, source)
    (earlier,) = cursor.execute("SELECT 'earlier_' || to_regclass(%s)::oid", [table]).fetchone() or ("",)
    try:
        with cursor.connection.transaction():
            _lock(cursor, source)
            # Somebody may have made something of it before it was locked.
            months = _months_to_bring_over(cursor, source)
            said = counted(len(months), "month")
            log.info("%s: %s is an earlier version's, and is brought over: %s", source.name, table, said)
            digests = {
                each: sum_up(cursor, Partition(each.partition, True), source.layout_of(each.month)).digest
                for each in months
            }
            _move(cursor, source, earlier, months)
            for each, digest in digests.items():
                _renew_digest(cursor, source, each, digest)
            rename_files(cursor, source)
    except psycopg.Error as error:
        if is_transient(error):
            raise
        said = " ".join([f"{said_by(error)}.", *(error.diag.message_detail or "").splitlines()])
        raise MainTableError(
            f"{source.name}: {table} is an earlier version's and can't be brought over: expected that all that was "
            f"made of it goes over, found that Postgres says: {said.replace(f'public.{earlier}', table)} Nothing was "
            f"changed: keep the definition of what it names ({_dump_all(cursor, _now())}), drop that, load a month "
            f"again, and create it again afterwards"
        ) from error
    log.info("%s: %s is partitioned by source_month now, with every row and id", source.name, table)


def rename_files(cursor: psycopg.Cursor[Any], source: Source) -> None:
    """Give the source's attempts in the ledger the unpacked file's name."""
    cursor.execute(render("postgres/rename_files.sql"), {"source": source.name, "destination": DESTINATION})


def _lock(cursor: psycopg.Cursor[Any], source: Source) -> None:
    """Lock the main table with all its partitions.

    At once and in the strongest mode: a lock that is made stronger later is a deadlock with a reader who begins to
    write.

    :raises TransientWarehouseError: names the sessions that kept it away
    """
    table = f"public.{source.main_table}"
    try:
        with cursor.connection.transaction():
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        names = [table, *(name for name, _ in _earlier_partitions(cursor, source))]
        users = session.table_users(cursor, dict.fromkeys(names, "AccessShareLock"))
        raise TransientWarehouseError(
            f"{source.name}: {table} is an earlier version's: waited for it and its partitions, {session.LOCK_TIMEOUT} "
            f"at most, to bring it over. Sessions with locks of them: {users}. Nothing was changed; the task is tried "
            f"again. {session.ADVICE}"
        ) from error


def _earlier_partitions(cursor: psycopg.Cursor[Any], source: Source) -> list[tuple[str, str]]:
    """Return the partitions, each with the expression of its bound."""
    names = {"table_name": f"public.{source.main_table}"}
    return cursor.execute(render("postgres/find_earlier_partitions.sql"), names).fetchall()


def _database(cursor: psycopg.Cursor[Any]) -> str:
    """Return the option that names the database, as a shell reads it."""
    return shlex.quote(f"--dbname={cursor.connection.info.dbname}")


def _dump_all(cursor: psycopg.Cursor[Any], now: str) -> str:
    """Return the command that keeps all definitions.

    :param now: the moment, for the file's name: a second dump must not replace the first
    """
    return f"pg_dump --schema-only --file=before_{now}.sql {_database(cursor)}"


def _now() -> str:
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}"


def _months_to_bring_over(cursor: psycopg.Cursor[Any], source: Source) -> list[_Month]:
    """Return the partitions, if each holds a month of the source and nothing is in the way.

    :raises MainTableError: names what is in the way
    """
    files = [
        re.compile(r"([0-9]{4}-[0-9]{2})".join(map(re.escape, file.split("{month}")))) for file in _month_files(source)
    ]
    months, strangers = list[_Month](), list[str]()
    for partition, bound in _earlier_partitions(cursor, source):
        value = _BOUND.fullmatch(bound)
        name = value[1].replace("''", "'") if value else ""
        found = next(filter(None, (file.fullmatch(name) for file in files)), None)
        if found is None:
            strangers.append(partition)
        else:
            months.append(_Month(partition, Month.parse(found[1]), name.removesuffix(".gz")))
    _require_no_obstacle(cursor, source, strangers)
    return months


def _month_files(source: Source) -> list[str]:
    """Return the names of the source's files, ``{month}`` standing for ``YYYY-MM``: each release may have another."""
    return list(dict.fromkeys(release.file for release in source.releases if "{month}" in release.file))


def _require_no_obstacle(cursor: psycopg.Cursor[Any], source: Source, strangers: list[str]) -> None:
    """Make sure that everything can be brought over.

    :param strangers: partitions that hold no month of the source
    :raises MainTableError: names what can't
    """
    table = f"public.{source.main_table}"
    found = [
        _Obstacle(
            f"the partition {name}, which isn't that of one file {' or '.join(_month_files(source))}",
            f"ALTER TABLE {table} DETACH PARTITION {name}",
        )
        for name in strangers
    ]
    rows = cursor.execute(render("postgres/find_bring_over_obstacles.sql"), {"table_name": table}).fetchall()
    found += [each for row in rows if (each := _Obstacle(*row[1:])).remedy not in {other.remedy for other in found}]
    if not found:
        return
    now, database = _now(), _database(cursor)
    dump_all, dump_views = _dump_all(cursor, now), f"pg_dump --file=views_{now}.sql {database}"
    load_views = f"psql --file=views_{now}.sql {database}"
    lists = (f"{each.what}; {each.remedy}; {each.restored or _as_option(each.kept)}; " for each in found)
    named = found[: max(1, fitting([f"{dump_all}{dump_views}{load_views}", *lists]) - 1)]
    more = len(found) - len(named)
    views = "".join(f" {_as_option(each.kept)}" for each in named if each.kept)
    afterwards = [f"{' '.join(each.restored.split())};" for each in named if each.restored]
    afterwards += [load_views] if views else []
    raise MainTableError(
        f"{source.name}: {table} is an earlier version's, partitioned by filename, and can't be brought over: found "
        f"{'; '.join(each.what for each in named)}{f' and {more} more' if more else ''}; expected only what goes over "
        f"to a table that is partitioned by source_month (docs/main-table.md). Nothing was changed: keep all "
        f"definitions ({dump_all}){f' and views ({dump_views}{views})' if views else ''}; run as its owner, or as the "
        f"superuser (make psql AS=postgres), {' '.join(f'{each.remedy};' for each in named)} and load a month again"
        f"{f', which names the other {more}, to be created again first' if more else ''}"
        f"{f'. Afterwards, run {chr(32).join(afterwards)}' if afterwards else ''}"
    )


def _as_option(view: str | None) -> str:
    """Return the option by which pg_dump keeps a view."""
    return shlex.quote(f"--table={view}") if view else ""


def _move(cursor: psycopg.Cursor[Any], source: Source, earlier: str, months: list[_Month]) -> None:
    """Put a new main table in the earlier one's place, and its partitions below it.

    :param earlier: the earlier table's name meanwhile
    """
    table = f"public.{source.main_table}"
    names = {"table_name": table}
    plan = cursor.execute(render("postgres/plan_bring_over.sql"), names).fetchall()
    settings = cursor.execute(render("postgres/carry_over.sql"), {**names, "partition_index": None}).fetchone()
    of_filenames = [
        statement
        for each in months
        for (statement,) in cursor.execute(
            render("postgres/find_filename_objects.sql"), {"partition": each.partition}
        ).fetchall()
    ]
    for each in months:
        cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {each.partition}")
    cursor.execute(f"ALTER TABLE {table} RENAME TO {identifier(earlier)}")
    cursor.execute(
        render(
            "postgres/create_main_table.sql", main_table=source.main_table, columns=source.columns, title=source.title
        )
    )
    _revoke_default_privileges(cursor, table)
    for is_before, statement in plan:
        if is_before:
            cursor.execute(statement)
    # Refused by Postgres where anything refers to it still.
    cursor.execute(f"DROP TABLE public.{identifier(earlier)}")
    if settings and settings[0]:
        cursor.execute(f"ALTER TABLE {table} {settings[0]}")
    for is_before, statement in plan:
        if not is_before:
            cursor.execute(statement)
    for each in months:
        values = {"filename": each.filename, "month": each.month.first_day}
        cursor.execute(render("postgres/bring_over_partition.sql", partition=each.partition.replace("%", "%%")), values)
    # An index may need functions of somebody's.
    with login_search_path(cursor):
        for statement in of_filenames:
            cursor.execute(statement)
        for each in months:
            cursor.execute(
                f"ALTER TABLE {table} ATTACH PARTITION {each.partition} FOR VALUES IN ('{each.month.first_day}')"
            )
        # Nothing counts what the new table and the new columns hold, for no row was written.
        cursor.execute(f"ANALYZE {table}")


def _revoke_default_privileges(cursor: psycopg.Cursor[Any], table: str) -> None:
    """Take rights from the new main table that ALTER DEFAULT PRIVILEGES gave it: it gets the earlier one's."""
    statement = (
        "SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END "
        "FROM pg_class CROSS JOIN LATERAL aclexplode(relacl) WHERE oid = to_regclass(%s) AND grantee <> relowner"
    )
    for (grantee,) in cursor.execute(statement, [table]).fetchall():
        cursor.execute(f"REVOKE ALL ON {table} FROM {grantee}")


def _renew_digest(cursor: psycopg.Cursor[Any], source: Source, each: _Month, earlier_digest: str) -> None:
    cursor.execute(
        render("postgres/renew_digest.sql"),
        {
            "source": source.name,
            "month": each.month.first_day,
            "destination": DESTINATION,
            "earlier_digest": earlier_digest,
            "digest": sum_up(cursor, Partition(each.partition, True), source.layout_of(each.month)).digest,
        },
    )
