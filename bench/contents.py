"""What a contender has loaded: all of them must have loaded the same, into tables that a crash doesn't empty."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from taxiway.sources.source import Source

Sums = dict[str, str]
"""Column → its sum, as text; every contender writes names in its own way, here they are as the file has them."""

_SUMS = {
    "integer": "sum({}::numeric)",
    "numeric": "sum({}::numeric)",
    "timestamp": "sum(extract(epoch FROM {}))",
    "text": "sum(length({}))",  # to some an empty text is a missing one
}

_PARTS = """
SELECT
    part.relname,
    part.relpersistence,
    EXISTS (
        SELECT FROM pg_index AS index
        JOIN pg_attribute AS id ON id.attrelid = part.oid AND id.attname = 'unique_row_id'
        WHERE index.indrelid = part.oid AND index.indkey::text = id.attnum::text
            AND index.indisunique AND index.indisvalid
    )
FROM pg_class AS part
WHERE part.relkind = 'r'
    AND (part.oid = %(table)s::regclass OR part.oid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass)))
"""


@dataclass
class Contents:
    """The contents of the contenders' tables, as they come.

    :param source: whose columns they have
    :param of_table: contender → rows and the sums of the columns
    :param ids: contender → rows and a digest of their ids, for those that make Taxiway's ids
    """

    source: Source
    of_table: dict[str, tuple[int, Sums]] = field(default_factory=dict)
    ids: dict[str, tuple[int, int]] = field(default_factory=dict)

    def look(self, connection: psycopg.Connection[Any], contender: str, table: str, rows: int) -> None:
        """Look at a table that holds the first month and nothing else.

        :param contender: who has loaded it
        :param table: its name with its schema
        :param rows: how many it must hold
        :raises RuntimeError: it holds something else than the others' tables, or isn't logged
        """
        with connection.transaction():
            _require_logged(connection, contender, table)
            cursor = connection.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass", [table])
            names = {_plain(name): name for (name,) in cursor}
            sums = ", ".join(
                f"round(coalesce({_SUMS[column.type]}, 0), 4)::text".format(f'"{names[_plain(column.header)]}"')
                for column in self.source.columns
            )
            statement: Any = f"SELECT count(*), {sums} FROM {table}"
            ((count, *values),) = connection.execute(statement)
        headers = [column.header for column in self.source.columns]
        self.compare(contender, rows, count, dict(zip(headers, values, strict=True)))

    def compare(self, contender: str, rows: int, found: int, sums: Sums) -> None:
        """Compare a table with those of the others.

        :param contender: who has loaded it
        :param rows: how many it must hold
        :param found: how many it holds
        :param sums: of its columns
        :raises RuntimeError: a row or a value is missing, or another one
        """
        if found != rows:
            raise RuntimeError(f"{contender} has loaded {found} rows, expected {rows}")
        for other, (_, expected) in self.of_table.items():
            if different := [name for name in expected if expected[name] != sums.get(name)]:
                name = different[0]
                raise RuntimeError(
                    f"the tables of {contender} and {other} disagree in {', '.join(different)}: "
                    f"{name} adds up to {sums.get(name)}, expected {expected[name]}"
                )
        self.of_table[contender] = (found, sums)

    def look_at_ids(self, connection: psycopg.Connection[Any], contender: str, table: str) -> None:
        """Look at the ids of a table that Taxiway has loaded.

        :raises RuntimeError: they are not those that others have made, or not all different, or a partition isn't
            logged or has no valid unique index on them
        """
        statement: Any = (
            "SELECT count(*), count(DISTINCT unique_row_id), bit_xor(uuid_hash_extended(unique_row_id, 0)) "
            f"FROM {table}"
        )
        with connection.transaction():
            _require_logged(connection, contender, table, unique=True)
            count, different, digest = connection.execute(statement).fetchone() or (0, 0, 0)
        self.ids[contender] = (count, digest)
        if count != different or len(set(self.ids.values())) > 1:
            raise RuntimeError(f"the ids disagree or repeat ({different} different ones): {self.ids}")

    def to_dict(self) -> Mapping[str, Mapping[str, object]]:
        """Return rows, sums and digests as plain values."""
        tables: dict[str, dict[str, object]] = {
            name: {
                "rows": rows,
                "total_amount": sums.get("total_amount"),
                "sums": hashlib.sha256(repr(sorted(sums.items())).encode()).hexdigest()[:16],
            }
            for name, (rows, sums) in self.of_table.items()
        }
        for name, (_, digest) in self.ids.items():
            tables.setdefault(name, {})["ids"] = digest
        return tables


def _plain(name: str) -> str:
    """Return what is left of a column's name however a contender writes it: ``PULocationID``, ``pu_location_id``."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _require_logged(connection: psycopg.Connection[Any], contender: str, table: str, *, unique: bool = False) -> None:
    """Make sure that a table, or every partition of it, survives a crash.

    :param unique: whether each must have a valid unique index on its ids
    :raises RuntimeError: one doesn't
    """
    parts = connection.execute(_PARTS, {"table": table}).fetchall()
    bad = [name for name, persistence, indexed in parts if persistence != "p" or (unique and not indexed)]
    if bad or not parts:
        expected = "logged, with a valid unique index on unique_row_id" if unique else "logged"
        raise RuntimeError(
            f"{contender}: found {', '.join(bad) or 'no table'} in {table}, expected all to be {expected}"
        )
