"""What a contender has loaded: all of them must have loaded the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg


@dataclass
class Contents:
    """The contents of the contenders' tables, as they come.

    :param of_table: contender → rows and the sum of total_amount
    :param ids: contender → rows and a digest of their ids, for those that make Taxiway's ids
    """

    of_table: dict[str, tuple[int, str]] = field(default_factory=dict)
    ids: dict[str, tuple[int, int]] = field(default_factory=dict)

    def look(self, connection: psycopg.Connection[Any], contender: str, table: str, rows: int) -> None:
        """Look at a table that holds the first month and nothing else.

        :param contender: who has loaded it
        :param table: its name with its schema
        :param rows: how many it must hold
        :raises RuntimeError: it holds something else than the others' tables
        """
        statement: Any = f"SELECT count(*), sum(total_amount::numeric)::numeric(20, 2)::text FROM {table}"
        with connection.transaction():
            found = connection.execute(statement).fetchone() or (0, "")
        self.of_table[contender] = found
        if found[0] != rows or len(set(self.of_table.values())) > 1:
            raise RuntimeError(f"the tables disagree, expected {rows} rows in each of them: {self.of_table}")

    def look_at_ids(self, connection: psycopg.Connection[Any], contender: str, table: str) -> None:
        """Look at the ids of a table that Taxiway has loaded.

        :raises RuntimeError: they are not those that others have made, or not all different
        """
        statement: Any = (
            "SELECT count(*), count(DISTINCT unique_row_id), bit_xor(uuid_hash_extended(unique_row_id, 0)) "
            f"FROM {table}"
        )
        with connection.transaction():
            count, different, digest = connection.execute(statement).fetchone() or (0, 0, 0)
        self.ids[contender] = (count, digest)
        if count != different or len(set(self.ids.values())) > 1:
            raise RuntimeError(f"the ids disagree or repeat ({different} different ones): {self.ids}")

    def to_dict(self) -> Mapping[str, Mapping[str, object]]:
        """Return rows, sums and digests as plain values."""
        tables: dict[str, dict[str, object]] = {
            name: {"rows": rows, "total_amount": total} for name, (rows, total) in self.of_table.items()
        }
        for name, (_, digest) in self.ids.items():
            tables.setdefault(name, {})["ids"] = digest
        return tables
