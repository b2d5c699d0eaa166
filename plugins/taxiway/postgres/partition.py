"""The partition of the main table that holds a month."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from taxiway.core.sql import render
from taxiway.core.tables import LoadTables


@dataclass(frozen=True)
class Partition:
    """A published month, as a table.

    :param name: quoted and with its schema
    :param has_unique_ids: whether its own index keeps a row id from standing twice
    """

    name: str
    has_unique_ids: bool


def find_partition(cursor: psycopg.Cursor[Any], tables: LoadTables) -> Partition | None:
    """Find the partition that holds the month, whatever its name; None where the main table doesn't hold the month."""
    row = cursor.execute(
        render("postgres/find_partition.sql"),
        {
            "table_name": f"public.{tables.source.main_table}",
            "filename": tables.source.filename(tables.month),
        },
    ).fetchone()
    return Partition(*row) if row else None
