"""What a report says of rows of the summary, and how it writes numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from taxiway.paths import SOURCES_FOLDER
from taxiway.reports.charts import short_label
from taxiway.reports.figures import Measure, Period, figures_of
from taxiway.sources.months import Month
from taxiway.sources.source import load_source

GREEN = load_source(SOURCES_FOLDER / "green.yaml")


def sums(trips: int, revenue: str | None = None) -> dict[str, Any]:
    return {"trips": trips, "revenue": revenue and Decimal(revenue), "distance": None, "tips": None}


ROWS: dict[tuple[str, ...], list[dict[str, Any]]] = {
    (): [sums(12, "100.50")],
    ("pickup_date",): [
        {"pickup_date": date(2008, 12, 31), **sums(2)},
        {"pickup_date": date(2020, 2, 1), **sums(4, "40")},
        {"pickup_date": date(2020, 2, 29), **sums(5)},
        {"pickup_date": None, **sums(1)},
    ],
    ("pickup_zone", "zone", "borough"): [
        {"pickup_zone": 7, "zone": "Astoria", "borough": "Queens", **sums(3, "1")},
        {"pickup_zone": 7, "zone": None, "borough": None, **sums(4, "2")},
        {"pickup_zone": 41, "zone": None, "borough": None, **sums(2)},
        {"pickup_zone": None, "zone": None, "borough": None, **sums(3)},
    ],
    ("payment_type",): [
        {"payment_type": 1, **sums(3)},
        {"payment_type": 2, **sums(4)},
        {"payment_type": 99, **sums(1)},
        {"payment_type": None, **sums(4)},
    ],
    ("source_month",): [{"source_month": date(2020, number, 1), **sums(number)} for number in range(1, 13)],
}


def sum_up(groups: Sequence[str]) -> list[dict[str, Any]]:
    return ROWS[tuple(groups)]


def test_a_month_has_all_its_days_and_says_what_lies_outside() -> None:
    figures = figures_of(GREEN, Period.of_month(Month(2020, 2)), sum_up)

    assert len(figures.by_time) == 29
    found = [(row.label, row.trips, row.is_weekend) for row in figures.by_time]
    assert (found[0], found[27], found[28]) == (("1 Sat", 4, True), ("28 Fri", 0, False), ("29 Sat", 5, True))
    assert figures.outside == 3
    assert figures.total.trips == 12


def test_a_zone_counts_once_whether_or_not_its_name_was_known() -> None:
    figures = figures_of(GREEN, Period.of_month(Month(2020, 2)), sum_up)

    assert [(row.label, row.trips, row.sums["revenue"]) for row in figures.by_zone] == [
        ("Astoria, Queens", 7, Decimal(3)),
        ("No zone", 3, None),
        ("Zone 41", 2, None),
    ]


def test_payment_types_have_the_names_of_the_columns_description() -> None:
    figures = figures_of(GREEN, Period.of_month(Month(2020, 2)), sum_up)

    found = [(row.label, row.trips) for row in figures.by_payment]
    assert found == [("Cash", 4), ("Not given", 4), ("Credit card", 3), ("Type 99", 1)]


def test_a_year_has_its_months() -> None:
    figures = figures_of(GREEN, Period.of_year(2020), sum_up)

    assert [(row.label, row.trips) for row in figures.by_time[::11]] == [("January", 1), ("December", 12)]
    assert figures.outside == 0


def test_a_month_without_trips_has_its_place_in_the_year() -> None:
    def without_april(groups: Sequence[str]) -> list[dict[str, Any]]:
        return [row for row in sum_up(groups) if row.get("source_month") != date(2020, 4, 1)]

    figures = figures_of(GREEN, Period.of_year(2020), without_april)

    assert [(row.label, row.trips) for row in figures.by_time[2:5]] == [("March", 3), ("April", 0), ("May", 5)]


def test_a_source_without_amounts_has_trips_alone() -> None:
    fhv = load_source(SOURCES_FOLDER / "fhv.yaml")
    figures = figures_of(fhv, Period.of_month(Month(2020, 2)), sum_up)

    assert [measure.name for measure in figures.measures] == ["trips"]
    assert figures.by_payment == ()


@pytest.mark.parametrize(
    ("value", "unit", "digits", "text"),
    [
        (1234567, "", 0, "1,234,567"),
        (Decimal("-1234.5"), "$", 2, "-$1,234.50"),
        (Decimal("12.345"), " mi", 1, "12.3 mi"),
        (Decimal("-0.001"), "$", 2, "$0.00"),
        (None, "$", 2, "-"),
    ],
)
def test_numbers_are_written_for_people(value: Any, unit: str, digits: int, text: str) -> None:
    assert Measure("x", "X", unit, "").text(value, digits) == text


@pytest.mark.parametrize(
    ("label", "short"),
    [
        ("Upper East Side North, Manhattan", "Upper East Side North, Manhattan"),
        ("Times Sq/Theatre District, Manhattan", "Times Sq/Theatre District"),
        ("a zone, whose name is very long in itself, Queens", "a zone, whose name is very long i…"),
        ("a type of payment with a very long name", "a type of payment with a very lon…"),
    ],
)
def test_a_zone_with_a_long_name_is_shown_without_its_borough(label: str, short: str) -> None:
    assert short_label(label) == short


def test_periods_name_files_and_titles() -> None:
    month, year = Period.of_month(Month(2019, 3)), Period.of_year(2019)
    assert (month.name, month.title, month.months) == ("2019-03", "March 2019", [Month(2019, 3)])
    assert (year.name, year.title, len(year.months)) == ("2019", "2019", 12)
