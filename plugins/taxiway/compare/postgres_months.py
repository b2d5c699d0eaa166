"""The published months of Postgres, as a comparison asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from taxiway.core.months import Month
from taxiway.core.sources import Source
from taxiway.core.sql import render
from taxiway.postgres.session import transaction


@dataclass(frozen=True)
class PostgresMonths:
    """The published months of Postgres.

    :param connection: the warehouse
    """

    connection: psycopg.Connection[Any]
    name: str = "Postgres"

    def months(self, source: Source) -> Mapping[Month, str]:
        """Return the published months of a source, each with the SHA-256 of its file."""
        if not self._rows("SELECT to_regclass('taxiway.months') AS found", {})[0]["found"]:
            return {}
        rows = self._rows(
            render("postgres/find_published_months.sql"), {"source": source.name, "destination": "postgres"}
        )
        return {Month.of(row["month"]): row["sha256"] for row in rows}

    def sums(self, source: Source, month: Month) -> Mapping[str, str | None]:
        """Return ``row_count`` and the sum of every numeric column of a month, as plain decimal numbers."""
        statement = render("postgres/compare_month.sql", main_table=source.main_table, columns=source.columns)
        return self._rows(statement, {"filename": source.filename(month)})[0]

    def digests(self, source: Source, month: Month) -> Mapping[str, tuple[int, str]]:
        """Return rows and digest of the ids that begin with the same two digits, by these."""
        rows = self._rows(
            render("postgres/digest_ids.sql", main_table=source.main_table), {"filename": source.filename(month)}
        )
        return {row["part"]: (row["row_count"], row["ids_digest"]) for row in rows}

    def ids(self, source: Source, month: Month, part: str) -> Sequence[str]:
        """Return the ids of a month that begin with two digits, sorted."""
        rows = self._rows(
            render("postgres/list_ids.sql", main_table=source.main_table),
            {"filename": source.filename(month), "part": part},
        )
        return [row["unique_row_id"] for row in rows]

    def _rows(self, statement: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
        with transaction(self.connection) as cursor:
            found = cursor.execute(statement, values)
            names = [column.name for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
