"""What a contender has loaded: all of them must have loaded the same, into tables that a crash doesn't empty."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from bench.scale import columns_of
from taxiway.sources.source import Source

Connection = Any
"""Of psycopg, whose types take literal statements only: here they are made of the benchmark's own names."""

_NUMBERS = "round(coalesce(sum({}::numeric), 0), 4)::text"
_SUMS = {
    "integer": _NUMBERS,
    "numeric": _NUMBERS,
    "timestamp": "coalesce(sum(extract(epoch FROM {})), 0)::text",
    "text": "coalesce(sum(length({})), 0)::text",  # some contenders load an empty text as a missing one
}
_DIGEST = "bit_xor(uuid_hash_extended(unique_row_id, 0))"

_PARTS = """
SELECT part.relname, part.relpersistence, EXISTS (
    SELECT FROM pg_index AS index
    JOIN pg_attribute AS id ON id.attrelid = part.oid AND id.attname = 'unique_row_id'
    WHERE index.indrelid = part.oid AND index.indkey::text = id.attnum::text AND index.indisunique AND index.indisvalid
)
FROM pg_class AS part
WHERE part.relkind = 'r'
    AND (part.oid = %(table)s::regclass OR part.oid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass)))
"""


@dataclass
class Contents:
    """The contents of the contenders' tables, as they come.

    :param source: whose columns they have
    :param found: contender → column, by the file's name → its sum, as text; and ``rows``; and ``ids`` → a digest
    """

    source: Source
    found: dict[str, dict[str, object]] = field(default_factory=dict)

    def look(self, connection: Connection, contender: str, table: str, rows: int, *, ids: bool = False) -> None:
        """Look at a table that holds the first month and nothing else.

        :param table: its name with its schema
        :param rows: how many it must hold
        :param ids: whether Taxiway has loaded it: the ids are looked at, too
        :raises RuntimeError: it, or a partition of it, isn't logged, or lacks a valid unique index on the ids; or it
            holds other rows, values or ids than the other contenders' tables
        """
        parts = connection.execute(_PARTS, {"table": table}).fetchall()
        bad = [name for name, persistence, indexed in parts if persistence != "p" or (ids and not indexed)]
        if bad or not parts:
            kept = "logged, with a valid unique index on unique_row_id" if ids else "logged"
            raise RuntimeError(
                f"{contender}: found {', '.join(bad) or 'no table'} in {table}, expected all to be {kept}"
            )
        columns = connection.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass", [table])
        names = {_bare(name): name for (name,) in columns}
        measures = {
            column.header: _SUMS[column.type].format(f'"{names[_bare(column.header)]}"')
            for column in columns_of(self.source)
        }
        of_ids = {"different": "count(DISTINCT unique_row_id)", "ids": _DIGEST} if ids else {}
        measured = ", ".join(["count(*)", *of_ids.values(), *measures.values()])
        ((count, *values),) = connection.execute(f"SELECT {measured} FROM {table}")
        if count != rows:
            raise RuntimeError(f"{contender} has loaded {count} rows, expected {rows}")
        found = dict(zip([*of_ids, *measures], values, strict=True))
        if found.pop("different", count) != count:
            raise RuntimeError(f"{contender} has given some of its {count} rows the same id")
        for other, expected in self.found.items():
            if different := [name for name in found if found[name] != expected.get(name, found[name])]:
                both = ", ".join(f"{name} ({found[name]}, {expected[name]})" for name in different)
                raise RuntimeError(f"the tables of {contender} and {other} disagree in {both}")
        self.found[contender] = {"rows": count, **found}


def _bare(name: str) -> str:
    """Return what is left of a column's name however a contender writes it: ``PULocationID``, ``pu_location_id``."""
    return re.sub("[^a-z0-9]", "", name.lower())
