"""Sample rows of any layout: plausible values by each column's type, one in 16 empty if no check minds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from random import Random

from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source
from taxiway_local.sample_draws import Row, below, pickups_by_hour, spread


def generic_rows(source: Source, month: Month, rows: int, draw: Random, *, duplicates: bool = True) -> Iterator[Row]:
    """Yield rows of a source that isn't laid out as a taxi's: a value by its type in each column.

    :param source: its columns, in their order, are the rows'
    :param month: the month that the rows' timestamps begin in
    :param rows: how many
    :param draw: the random numbers that the values are drawn from
    :param duplicates: whether a few of 1000 rows or more are the same as the row before them
    :return: the rows, hour by hour
    """
    filled = filled_columns(source)
    makers = [value_maker(column, month, draw, filled=column.name in filled) for column in source.columns]
    duplicated = spread({"duplicate": 3 + rows // 250_000}, 1, rows, draw) if duplicates and rows >= 1000 else {}
    row: Row = ()
    position = 0
    for hour, count in pickups_by_hour(month, rows):
        for _ in range(count):
            moment = hour * 3600 + below(draw, 3600)
            if position not in duplicated:
                row = [make(moment) for make in makers]
            yield row
            position += 1


def filled_columns(source: Source) -> list[str]:
    """Return the names of the columns whose empty values a check of the source counts: samples have none there."""
    return sorted({check.column for check in source.checks if check.measure == "share_null" and check.column})


def value_maker(column: Column, month: Month, draw: Random, *, filled: bool = False) -> Callable[[int], str]:
    """Return what makes a column's values.

    :param column: its type decides the values; its name, which timestamps are ends and which numbers zones
    :param month: the month that moments are counted in
    :param draw: the random numbers that the values are drawn from
    :param filled: whether every value is there; if not, about one number or text in 16 is empty
    :return: a function from a moment, in seconds since the month began, to the value's text
    """
    start = datetime.combine(month.first_day, time.min)

    def some(text: str) -> str:
        return text if below(draw, 16) or filled else ""

    if column.type == "timestamp":
        longest = 2700 if "dropoff" in column.name or "end" in column.name else 0
        return lambda moment: str(start + timedelta(seconds=moment + (60 + below(draw, longest) if longest else 0)))
    if column.type == "integer":
        first, count = (1, 265) if column.name.endswith("locationid") else (0, 100)
        return lambda moment: some(str(first + below(draw, count)))
    if column.type == "numeric":
        return lambda moment: some(money_text(below(draw, 10_000)))
    return lambda moment: some(f"{chr(65 + below(draw, 26))}{below(draw, 100_000):05d}")


def money_text(cents: int) -> str:
    """Write dollars as the real files do: ``8``, ``6.5``, ``2.75``.

    :param cents: the amount, in cents, 0 or above
    :return: its text, in dollars
    """
    dollars, rest = divmod(cents, 100)
    return f"{dollars}.{rest:02d}".rstrip("0") if rest else str(dollars)
