"""The partition of the main table that holds a month."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from taxiway.errors import TransientWarehouseError
from taxiway.sources.source import Layout
from taxiway.sources.source_file import ADDED_COLUMNS
from taxiway.warehouses.postgres.session import ADVICE, LOCK_TIMEOUT, table_users
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render


@dataclass(frozen=True)
class PartitionState:
    """What a scan of all rows of a partition shows.

    :param rows: how many rows it holds
    :param digest: another one after every change of a row or of the columns, by anybody
    """

    rows: int
    digest: str


@dataclass(frozen=True)
class Partition:
    """A published month, as a table.

    :param name: quoted and with its schema
    :param has_unique_ids: whether an index of its own keeps each row id unique
    """

    name: str
    has_unique_ids: bool


def find_partition(cursor: psycopg.Cursor[Any], tables: LoadTables) -> Partition | None:
    """Find the partition that holds the month, whatever its name; None if the main table doesn't hold the month."""
    row = cursor.execute(
        render("postgres/find_partition.sql"),
        {
            "table_name": f"public.{tables.source.main_table}",
            "month": tables.month.first_day,
        },
    ).fetchone()
    return Partition(*row) if row else None


def sum_up(cursor: psycopg.Cursor[Any], partition: Partition, layout: Layout) -> PartitionState:
    """Look at every row of a partition once, without reading its values.

    :param layout: of the file that its rows come from
    """
    statement = render("postgres/sum_up_partition.sql", partition=partition.name.replace("%", "%%"))
    names = [*ADDED_COLUMNS, *(column.name for column in layout.columns)]
    values = {"partition_name": partition.name, "column_names": names}
    rows, digest = cursor.execute(statement, values).fetchone() or (0, "")
    return PartitionState(rows, digest)


def lock_partition(cursor: psycopg.Cursor[Any], tables: LoadTables) -> Partition | None:
    """Find the partition as it stays until the transaction ends: nobody else writes to it, indexes or detaches it.

    Readers go on; an automatic vacuum gives way after a second, unless it is there against wraparound.

    :return: None if the main table doesn't hold the month, or doesn't any more
    :raises TransientWarehouseError: another session kept it for longer than
        :data:`~taxiway.warehouses.postgres.session.LOCK_TIMEOUT`
    """
    while (found := find_partition(cursor, tables)) is not None:
        try:
            with cursor.connection.transaction():
                cursor.execute(
                    render("postgres/lock_partition.sql", main_table=tables.source.main_table, partition=found.name)
                )
        except psycopg.errors.UndefinedTable:
            continue  # dropped or renamed just now
        except psycopg.errors.LockNotAvailable as error:
            main_table = f"public.{tables.source.main_table}"
            users = table_users(cursor, {found.name: "RowExclusiveLock", main_table: "AccessExclusiveLock"})
            raise TransientWarehouseError(
                f"{tables.name}: waited {LOCK_TIMEOUT} for the table {found.name}, which another session writes "
                f"to, vacuums, indexes or detaches. Sessions with locks of it: {users}. "
                f"Nothing was published; the task is tried again. {ADVICE}"
            ) from error
        # It may have got, or lost, an index meanwhile, or have been detached.
        locked = find_partition(cursor, tables)
        if locked is not None and locked.name == found.name:
            return locked
    return None
