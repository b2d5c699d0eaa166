"""The figures of a report: sums of a source's months by day or month, by zone and by payment type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from taxiway.sources.months import Month
from taxiway.sources.source import Source

MONTH_NAMES = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

NOTHING: Mapping[str, Decimal | int | None] = {"trips": 0, "revenue": None, "distance": None, "tips": None}
"""Sums of a day or a month without trips."""

SumUp = Callable[[Sequence[str]], Sequence[Mapping[str, Any]]]
"""Sums up the months of a report by columns of the summary: see
:func:`taxiway.warehouses.postgres.summary.sum_up`."""


@dataclass(frozen=True)
class Period:
    """What a report covers: a month, or a year.

    :param first: its first month
    :param last: its last month
    """

    first: Month
    last: Month

    @classmethod
    def of_month(cls, month: Month) -> Period:
        """Return the period of one month."""
        return cls(month, month)

    @classmethod
    def of_year(cls, year: int) -> Period:
        """Return the period of a year."""
        return cls(Month(year, 1), Month(year, 12))

    @property
    def is_month(self) -> bool:
        """Whether it is one month."""
        return self.first == self.last

    @property
    def name(self) -> str:
        """How names of files have it: ``2019-03`` or ``2019``."""
        return str(self.first) if self.is_month else f"{self.first.year:04d}"

    @property
    def title(self) -> str:
        """How people write it: March 2019, or 2019."""
        return f"{MONTH_NAMES[self.first.number - 1]} {self.first.year}" if self.is_month else self.name

    @property
    def months(self) -> list[Month]:
        """Its months."""
        found = [self.first]
        while found[-1] < self.last:
            found.append(found[-1].next())
        return found


@dataclass(frozen=True)
class Measure:
    """What is summed up.

    :param name: the column of the summary
    :param title: what people call it
    :param unit: what stands in front of a number, or behind it if it begins with a space
    :param meaning: which column of the source it is, and what that means; of the trips, what is counted
    """

    name: str
    title: str
    unit: str
    meaning: str

    def text(self, value: Decimal | int | None, digits: int = 0) -> str:
        """Write a value for people.

        :param digits: behind the decimal point
        """
        if value is None:
            return "-"
        number = f"{abs(value):,.{digits}f}"
        sign = "-" if value < 0 and number.strip("0.,") else ""
        return f"{sign}{number}{self.unit}" if self.unit.startswith(" ") else f"{sign}{self.unit}{number}"


@dataclass(frozen=True)
class Row:
    """Sums of a day, a month, a zone, a payment type, or of everything.

    :param label: what it is about
    :param sums: by the names of the measures; None if nothing was measured
    :param is_weekend: whether it is a Saturday or a Sunday
    """

    label: str
    sums: Mapping[str, Decimal | int | None]
    is_weekend: bool = False

    @property
    def trips(self) -> int:
        """Trips."""
        return int(self.sums["trips"] or 0)

    def per_trip(self, measure: Measure) -> Decimal | None:
        """Return the mean of a measure."""
        total = self.sums[measure.name]
        return None if total is None or not self.trips else Decimal(total) / self.trips


@dataclass(frozen=True)
class Figures:
    """What a report says.

    :param source: the source
    :param period: what it covers
    :param measures: what was summed up, the trips first
    :param total: of the whole period
    :param by_time: by day of a month, or by month of a year, in their order
    :param outside: trips of a month that began on a day outside of it, or on none: they are in all other sums
    :param by_zone: by pickup zone, most trips first; empty if the source has none
    :param by_payment: by payment type, most trips first; empty if the source has none
    """

    source: Source
    period: Period
    measures: tuple[Measure, ...]
    total: Row
    by_time: tuple[Row, ...]
    outside: int
    by_zone: tuple[Row, ...]
    by_payment: tuple[Row, ...]


def figures_of(source: Source, period: Period, sum_up: SumUp) -> Figures:
    """Collect the figures of a report.

    :param source: the source, which has a report
    :param period: what the report covers
    :param sum_up: sums up the period's months
    """
    report = source.report
    if report is None:
        raise ValueError(f"{source.name} has no report")
    measures = tuple(_measures(source))
    (total,) = sum_up([])
    by_time, outside = _by_day(period, sum_up) if period.is_month else (_by_month(period, sum_up), 0)
    return Figures(
        source,
        period,
        measures,
        Row("All trips", total),
        tuple(by_time),
        outside,
        tuple(_by_zone(sum_up)) if report.pickup_zone else (),
        tuple(_by_payment(source, sum_up)) if report.payment_type else (),
    )


def _measures(source: Source) -> list[Measure]:
    found = [Measure("trips", "Trips", "", "Rows that were published")]
    for name, title, unit in (("revenue", "Revenue", "$"), ("distance", "Distance", " mi"), ("tips", "Tips", "$")):
        column = getattr(source.report, name)
        for each in source.columns:
            if each.name == column:
                found.append(Measure(name, title, unit, f"{each.header}: {each.description}"))
    return found


def _by_day(period: Period, sum_up: SumUp) -> tuple[list[Row], int]:
    found = {row["pickup_date"]: row for row in sum_up(["pickup_date"])}
    first, end = period.first.first_day, period.last.next().first_day
    days = [first + timedelta(days=number) for number in range((end - first).days)]
    outside = sum(row["trips"] for day, row in found.items() if day not in days)
    return [_day(day, found.get(day)) for day in days], outside


def _day(day: date, row: Mapping[str, Any] | None) -> Row:
    label = f"{day.day} {WEEKDAY_NAMES[day.weekday()]}"
    return Row(label, row or NOTHING, day.weekday() >= 5)


def _by_month(period: Period, sum_up: SumUp) -> list[Row]:
    found = {row["source_month"]: row for row in sum_up(["source_month"])}
    return [Row(MONTH_NAMES[month.number - 1], found.get(month.first_day, NOTHING)) for month in period.months]


def _by_zone(sum_up: SumUp) -> list[Row]:
    """Sum up by zone; a zone whose name was not known in all months counts once."""
    rows, names = dict[int | None, dict[str, Any]](), dict[int | None, str]()
    for row in sum_up(["pickup_zone", "zone", "borough"]):
        number = row["pickup_zone"]
        if row["zone"] is not None:
            names[number] = f"{row['zone']}, {row['borough']}" if row["borough"] else row["zone"]
        sums = rows.setdefault(number, dict.fromkeys(("trips", "revenue", "distance", "tips")))
        for name in sums:
            sums[name] = row[name] if sums[name] is None else sums[name] + (row[name] or 0)
    unnamed = {number: "No zone" if number is None else f"Zone {number}" for number in rows}
    return _most_first(Row(names.get(number, unnamed[number]), sums) for number, sums in rows.items())


def _by_payment(source: Source, sum_up: SumUp) -> list[Row]:
    names = _names_of_values(source)
    rows = []
    for row in sum_up(["payment_type"]):
        value = row["payment_type"]
        rows.append(Row("Not given" if value is None else names.get(value, f"Type {value}"), row))
    return _most_first(rows)


def _names_of_values(source: Source) -> dict[int, str]:
    """Return what the description of the payment type says of its values: ``1 credit card, 2 cash``."""
    column = source.report and source.report.payment_type
    (text,) = [each.description for each in source.columns if each.name == column] or ("",)
    found = re.findall(r"(?:^|[:,;])\s*(\d+) ([^,;:]+)", text)
    return {int(number): name.strip().capitalize() for number, name in found}


def _most_first(rows: Any) -> list[Row]:
    return sorted(rows, key=lambda row: (-row.trips, row.label))
