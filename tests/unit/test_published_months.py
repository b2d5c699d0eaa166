"""What the comparison reads of a published month: three queries, by their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from taxiway.loads.published_months import PublishedMonth
from taxiway.sources.months import Month
from taxiway.sources.source import Source


class InMemory(PublishedMonth):
    """A month whose queries have been asked before."""

    def __init__(self, source: Source, rows: list[dict[str, Any]]) -> None:
        self.source, self.month = source, Month(2019, 1)
        self.rows = rows
        self.asked: tuple[Any, ...] = ()

    def _rows(self, name: str, values: Mapping[str, Any] | None = None, **names: Any) -> list[dict[str, Any]]:
        self.asked = (name, values, names)
        return self.rows


def test_sums_are_those_of_the_columns_that_the_month_has(green: Source) -> None:
    """A main table that was loaded before the source gained a column is without it."""
    newer = replace(green.columns[-1], name="newer_fee", since=Month(2025, 1))
    month = InMemory(replace(green, columns=(*green.columns, newer)), [{"row_count": "2", "total_amount": "3.5"}])

    assert month.sums() == {"row_count": "2", "total_amount": "3.5"}
    assert month.asked == ("compare_month", None, {"columns": green.columns})


def test_digests_are_found_by_the_ids_first_digits(green: Source) -> None:
    rows = [{"part": "0a", "row_count": 2, "ids_digest": "x"}, {"part": "ff", "row_count": 1, "ids_digest": "y"}]
    month = InMemory(green, rows)

    assert month.digests() == {"0a": (2, "x"), "ff": (1, "y")}
    assert month.asked == ("digest_ids", None, {})


def test_ids_are_those_of_a_part(green: Source) -> None:
    month = InMemory(green, [{"unique_row_id": "0a1"}, {"unique_row_id": "0a2"}])

    assert month.ids("0a") == ["0a1", "0a2"]
    assert month.asked == ("list_ids", {"part": "0a"}, {})
