"""The published months of BigQuery, as a comparison asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taxiway.bigquery import ledger
from taxiway.bigquery.statements import statement
from taxiway.bigquery.warehouse import Warehouse
from taxiway.core.months import Month
from taxiway.core.sources import Source


@dataclass(frozen=True)
class BigQueryMonths:
    """The published months of BigQuery.

    :param warehouse: BigQuery
    """

    warehouse: Warehouse
    name: str = "BigQuery"

    def months(self, source: Source) -> Mapping[Month, str]:
        """Return the published months of a source, each with the SHA-256 of its file."""
        dataset = self.warehouse.settings.dataset_name
        if not ledger.is_complete(self.warehouse):
            return {}
        values = {"source": source.name, "destination": "bigquery"}
        rows = self.warehouse.run(statement("find_published_months", values, dataset=dataset))
        return {Month.of(row["month"]): row["sha256"] for row in rows}

    def sums(self, source: Source, month: Month) -> Mapping[str, str | None]:
        """Return ``row_count`` and the sum of every numeric column of a month, as plain decimal numbers."""
        return self._of_month("compare_month", source, month, columns=source.columns)[0]

    def digests(self, source: Source, month: Month) -> Mapping[str, tuple[int, str]]:
        """Return rows and digest of the ids that begin with the same two digits, by these."""
        rows = self._of_month("digest_ids", source, month)
        return {row["part"]: (row["row_count"], row["ids_digest"]) for row in rows}

    def ids(self, source: Source, month: Month, part: str) -> Sequence[str]:
        """Return the ids of a month that begin with two digits, sorted."""
        rows = self._of_month("list_ids", source, month, part=part)
        return [row["unique_row_id"] for row in rows]

    def _of_month(
        self, name: str, source: Source, month: Month, *, part: str | None = None, **names: Any
    ) -> list[dict[str, Any]]:
        values: dict[str, Any] = {"month": month.first_day}
        if part is not None:
            values["part"] = part
        main_table = f"{self.warehouse.settings.dataset_name}.{source.main_table}"
        return self.warehouse.run(statement(name, values, main_table=main_table, **names))
