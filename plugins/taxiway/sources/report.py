"""What a month's report is made from: which of a source's columns play which part."""

from __future__ import annotations

from dataclasses import dataclass

PARTS = {
    "pickup_time": "timestamp",
    "pickup_zone": "integer",
    "payment_type": "integer",
    "revenue": "numeric",
    "distance": "numeric",
    "tips": "numeric",
}
"""What a column can be to the report, and of which type it has to be then."""


@dataclass(frozen=True)
class Report:
    """The columns that a source's report is made from, each by its name in the main table; None if it has no such one.

    :param pickup_time: when a trip began; its day is the day of the report
    :param pickup_zone: number of the zone that a trip began in
    :param payment_type: how a passenger paid, as a number
    :param revenue: what a trip brought, US dollars
    :param distance: how long a trip was, miles
    :param tips: US dollars
    """

    pickup_time: str
    pickup_zone: str | None = None
    payment_type: str | None = None
    revenue: str | None = None
    distance: str | None = None
    tips: str | None = None
