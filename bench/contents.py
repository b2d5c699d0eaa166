"""What a contender has loaded: all of them must have loaded the same, into tables that a crash doesn't empty."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bench.scale import columns_of
from taxiway.sources.source import Source

_SUMS = {
    "integer": "sum({}::numeric)",
    "numeric": "sum({}::numeric)",
    "timestamp": "sum(extract(epoch FROM {}))",
    "text": "sum(length({}))",  # some contenders load an empty text as a missing one
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
    :param sums: contender → column, by the file's name → its sum, as text
    :param loaded: contender → what goes into the results: rows, sums, a digest of the ids that Taxiway made
    """

    source: Source
    sums: dict[str, dict[str, str]] = field(default_factory=dict)
    loaded: dict[str, dict[str, object]] = field(default_factory=dict)

    def look(self, connection: psycopg.Connection[Any], contender: str, table: str, rows: int) -> None:
        """Look at a table that holds the first month and nothing else.

        :param table: its name with its schema
        :param rows: how many it must hold
        :raises RuntimeError: it isn't logged, or holds other rows or values than the other contenders' tables
        """
        with connection.transaction():
            _require_logged(connection, contender, table)
            cursor = connection.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass", [table])
            names = {_bare(name): name for (name,) in cursor}
            sums = ", ".join(
                f"round(coalesce({_SUMS[column.type]}, 0), 4)::text".format(f'"{names[_bare(column.header)]}"')
                for column in columns_of(self.source)
            )
            statement: Any = f"SELECT count(*), {sums} FROM {table}"
            ((count, *values),) = connection.execute(statement)
        if count != rows:
            raise RuntimeError(f"{contender} has loaded {count} rows, expected {rows}")
        found = dict(zip((column.header for column in columns_of(self.source)), values, strict=True))
        for other, expected in self.sums.items():
            if different := [
                f"{name} ({found[name]}, {sum_})" for name, sum_ in expected.items() if found[name] != sum_
            ]:
                raise RuntimeError(f"the tables of {contender} and {other} disagree in {', '.join(different)}")
        self.sums[contender] = found
        digest = hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:16]
        of_sums = {"rows": count, "total_amount": found["total_amount"], "sums": digest}
        self.loaded.setdefault(contender, {}).update(of_sums)

    def look_at_ids(self, connection: psycopg.Connection[Any], contender: str, table: str) -> None:
        """Look at the ids of a table that Taxiway has loaded.

        :raises RuntimeError: they aren't those of other loads, or not all different, or a partition isn't logged or
            has no valid unique index on them
        """
        digest_of = "bit_xor(uuid_hash_extended(unique_row_id, 0))"
        statement: Any = f"SELECT count(*), count(DISTINCT unique_row_id), {digest_of} FROM {table}"
        with connection.transaction():
            _require_logged(connection, contender, table, unique=True)
            count, different, digest = connection.execute(statement).fetchone() or (0, 0, 0)
        self.loaded.setdefault(contender, {})["ids"] = digest
        found = {name: loaded["ids"] for name, loaded in self.loaded.items() if "ids" in loaded}
        if count != different or len(set(found.values())) > 1:
            raise RuntimeError(f"{contender} has made {different} different ids of {count} rows; digests: {found}")


def _bare(name: str) -> str:
    """Return what is left of a column's name however a contender writes it: ``PULocationID``, ``pu_location_id``."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _require_logged(connection: psycopg.Connection[Any], contender: str, table: str, *, unique: bool = False) -> None:
    """Make sure that a table, or every partition of it, survives a crash; and, if asked, that its ids are unique."""
    parts = connection.execute(_PARTS, {"table": table}).fetchall()
    bad = [name for name, persistence, indexed in parts if persistence != "p" or (unique and not indexed)]
    if bad or not parts:
        expected = "logged, with a valid unique index on unique_row_id" if unique else "logged"
        found = ", ".join(bad) or "no table"
        raise RuntimeError(f"{contender}: found {found} in {table}, expected all to be {expected}")
