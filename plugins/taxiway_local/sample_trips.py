"""Sample trips of the two taxi systems, with the shape and the quirks of the real files."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import chain, pairwise
from operator import itemgetter
from random import Random
from typing import TypeVar

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.sample_draws import Row, below, pickups_by_hour, random_numbers, spread
from taxiway_local.sample_values import money_text, value_maker

T = TypeVar("T")

# How many thousandths of the trips are at most this long, in hundredths of a mile and in seconds, in real months of
# 2020 and 2021.
_LENGTHS = (
    *((0, 0, 20), (20, 0, 90), (50, 45, 130), (250, 100, 300), (500, 185, 510), (750, 355, 840)),
    *((950, 1200, 1700), (990, 2000, 2400), (1000, 3500, 4500)),
)
_RIDES = 2048
_PARTIES = 4096
_ZONES = 1024
_TIPS = (0, *(15, 18, 25, 30), *(20,) * 8, *(100, 200, 300))  # percent; from 100 on, cents
_TOLLS = (*(0,) * 10, *(612,) * 4, 1224, 280)  # cents, of a trip long enough to cross a bridge
_FLAGS, _RATES = {"N": 985, "Y": 15}, {"1": 965, "2": 18, "3": 2, "4": 2, "5": 12, "99": 1}
_AMOUNTS = (
    *("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount"),
    *("improvement_surcharge", "total_amount", "congestion_surcharge"),
)
_UNMETERED = dict.fromkeys(
    (
        *("vendorid", "store_and_fwd_flag", "ratecodeid", "passenger_count", "payment_type", "trip_type"),
        "congestion_surcharge",
    ),
    "",
)


@dataclass(frozen=True)
class _System:
    """What differs between the two taxi systems: shares of values, and where more trips begin and end."""

    vendors: Mapping[str, int]
    payments: Mapping[str, int]
    passengers: Mapping[str, int]
    congestion: Mapping[int, int]  # of 256
    busy_zones: tuple[int, ...]
    unmetered_percent: int


_SYSTEMS = {
    "lpep": _System(
        vendors={"1": 15, "2": 85},
        payments={"1": 500, "2": 489, "3": 8, "4": 3},
        passengers={"0": 4, "1": 880, "2": 70, "3": 15, "4": 5, "5": 16, "6": 10},
        congestion={0: 210, 275: 44, 250: 2},
        busy_zones=(7, 41, 42, 43, 65, 66, 74, 75, 82, 95, 97, 116, 129, 130, 166, 181, 223, 244),
        unmetered_percent=33,
    ),
    "tpep": _System(
        vendors={"1": 33, "2": 67},
        payments={"1": 690, "2": 295, "3": 9, "4": 6},
        passengers={"0": 20, "1": 705, "2": 155, "3": 45, "4": 20, "5": 30, "6": 25},
        congestion={250: 234, 0: 22},
        busy_zones=(48, 68, 79, 132, 138, 141, 142, 161, 162, 163, 170, 186, 230, 234, 236, 237, 238, 239, 263),
        unmetered_percent=0,
    ),
}


def taxi_system(source: Source) -> str:
    """Tell which taxi system's layout a source has.

    :param source: its columns decide
    :return: ``lpep`` where it is laid out like green's, ``tpep`` like yellow's, else an empty text
    """
    names = (column.name.removesuffix("_pickup_datetime") for column in source.columns)
    return next((name for name in names if name in _SYSTEMS), "")


def taxi_rows(source: Source, month: Month, rows: int, draw: Random, *, duplicates: bool = True) -> Iterator[Row]:
    """Yield a month of trips in the source's column order; columns that trips lack are made up by their type.

    :param source: one that :func:`taxi_system` has a system for
    :param month: the month that the trips lie in, but for a few strays from 1000 rows on
    :param rows: how many
    :param draw: the random numbers that the trips are drawn from
    :param duplicates: whether a few of 1000 trips or more are the same as the trip before them
    :return: the rows, hour by hour; in green's layout, those without a vendor follow as the last third
    """
    prefix = taxi_system(source)
    names = [column.name.removeprefix(f"{prefix}_") for column in source.columns]
    unmetered = rows * _SYSTEMS[prefix].unmetered_percent // 100
    metered = rows - unmetered
    trips = chain(
        _quirky(_trips(month, metered, _SYSTEMS[prefix], draw), rows, metered, month, draw, duplicates=duplicates),
        _trips(month, unmetered, _SYSTEMS[prefix], draw, metered=False),
    )
    example = next(_trips(month, 1, _SYSTEMS[prefix], random_numbers(source, month, 0, "example")))
    columns = zip(names, source.columns, strict=True)
    makers = {name: value_maker(column, month, draw) for name, column in columns if name not in example}
    pick: Callable[[dict[str, str]], Row] = itemgetter(*names) if len(names) > 1 else lambda trip: [trip[names[0]]]
    for trip in trips:
        for name, make in makers.items():
            if name not in trip:  # a duplicate of a trip has it already
                trip[name] = make(below(draw, 28 * 86_400))
        yield pick(trip)


def _trips(month: Month, rows: int, system: _System, draw: Random, *, metered: bool = True) -> Iterator[dict[str, str]]:
    """Yield trips by the hour of their pickup: column without its prefix → text.

    :param metered: false for the trips at the end of green months: times at full minutes, fares at odd cents, no
        vendor, rate and payment
    """
    money, distances, clock, hours = _money_texts(), _distance_texts(), _clock_texts(), _hour_texts(month)
    rides, zones = _rides(), _zones(system, draw)
    choices = [_shares(shares) for shares in (system.vendors, _FLAGS, _RATES, system.passengers, system.payments)]
    parties = [[values[below(draw, len(values))] for values in choices] for _ in range(_PARTIES)]
    # The State's congestion surcharge is levied, and has a value at all, from 2019-02 on.
    levied = _shares(system.congestion) if month >= Month(2019, 2) else []
    for hour, count in pickups_by_hour(month, rows):
        weekend = (month.first_day.weekday() + hour // 24) % 7 >= 5
        evening, night = 16 <= hour % 24 < 20 and not weekend, hour % 24 >= 20 or hour % 24 < 6
        surcharge = 100 if evening else 50 if night else 0
        # Seven random numbers of 16 bits a row; the choices below take theirs from different bits of them.
        numbers = draw.getrandbits(112 * count).to_bytes(14 * count, "little")
        for a, b, c, d, e, f, g in struct.iter_unpack("<7H", numbers):
            vendor, flag, rate, passengers, payment = parties[b & 4095]
            miles, seconds = rides[a & 2047]
            begin, seconds = c * 3600 >> 16, seconds * (160 + (d & 255)) >> 8
            fare, extra, tax, kind = 250 + 50 * (miles // 20 + seconds // 150), surcharge, 50, "1"
            tip, tolls, congestion = 0, _TOLLS[g >> 12] if miles > 500 else 0, levied[d >> 8] if levied else 0
            if not metered:
                begin, seconds = begin // 60 * 60, max(60, seconds // 60 * 60)
                fare, extra, tax, congestion = 500 + miles * 11 // 4 + (b >> 8), 0, 0, 0
                tip = 275 if g & 15 < 10 else 0
            elif rate == "2":
                fare, extra = 5200, 0
            elif rate == "5":
                extra, tax, kind = 0, 0, "2"
            total = fare + extra + tax + tolls + congestion + 30
            if metered and payment == "1":
                tip = _TIPS[g & 15]
                tip = tip if tip >= 100 else total * tip // 100
            end = begin + seconds
            trip = {
                "vendorid": vendor,
                "pickup_datetime": hours[hour] + clock[begin],
                "dropoff_datetime": hours[hour + end // 3600] + clock[end % 3600],
                "store_and_fwd_flag": flag,
                "ratecodeid": rate,
                "pulocationid": "132" if rate == "2" else zones[e & 1023],  # rate 2 is JFK's
                "dolocationid": zones[f & 1023],
                "passenger_count": passengers,
                "trip_distance": distances[miles + (a >> 13) if miles else 0],
                "fare_amount": money[fare],
                "extra": money[extra],
                "mta_tax": money[tax],
                "tip_amount": money[tip],
                "tolls_amount": money[tolls],
                "ehail_fee": "",
                "improvement_surcharge": "0.3",
                "total_amount": money[total + tip],
                "payment_type": payment,
                "trip_type": kind,
                "congestion_surcharge": money[congestion] if levied else "",
            }
            if not metered:
                trip.update(_UNMETERED)
            yield trip


def _quirky(
    trips: Iterator[dict[str, str]], rows: int, metered: int, month: Month, draw: Random, *, duplicates: bool
) -> Iterator[dict[str, str]]:
    """Replace some trips by rare rows of real months and by duplicates; none in a file below 1000 rows."""
    kinds = {
        **{"refund": rows // 200, "duplicate": 3 + rows // 250_000, "retaxed": 2 + rows // 250_000},
        **{"far": 1 + rows // 500_000, "eve": 1 + rows // 50_000, "2008": 1, "2009": 1 + rows // 100_000},
    }
    quirks = spread(kinds, 1, metered, draw) if rows >= 1000 else {}
    days = {"eve": month.first_day - timedelta(1), "2008": date(2008, 12, 31), "2009": date(2009, 1, 1)}
    before: dict[str, str] = {}
    for position, trip in enumerate(trips):
        kind = quirks.get(position)
        if kind is None or (kind == "duplicate" and not duplicates):
            before = trip
            yield trip
        elif kind == "duplicate":
            yield dict(before)
        elif kind == "refund":  # the trip before, taken back: no charge, or in dispute
            negated = {name: f"-{before[name]}" for name in _AMOUNTS if before[name] not in ("", "0")}
            yield {**before, **negated, "payment_type": "3" if before["payment_type"] == "2" else "4"}
        elif kind == "retaxed":  # the trip before with another tax: only that and the total tell the two apart
            tax, change = ("0", -50) if before["mta_tax"] == "0.5" else ("0.5", 50)
            yield {
                **before,
                "mta_tax": tax,
                "total_amount": money_text(round(100 * Decimal(before["total_amount"])) + change),
            }
        elif kind == "far":
            yield {**trip, "trip_distance": "205654.12"}
        else:
            pickup, dropoff = (datetime.fromisoformat(trip[name]) for name in ("pickup_datetime", "dropoff_datetime"))
            moved = datetime.combine(days[kind], pickup.time())
            yield {**trip, "pickup_datetime": str(moved), "dropoff_datetime": str(moved + (dropoff - pickup))}


def _shares(shares: Mapping[T, int]) -> list[T]:
    """Return each value as often as its share, so that an index drawn at random picks by share."""
    return [value for value, share in shares.items() for _ in range(share)]


def _zones(system: _System, draw: Random) -> list[str]:
    """Return the zones to draw from: every one of the 265, and about as often one of the busy ones."""
    busy = system.busy_zones
    fill = (str(busy[below(draw, len(busy))]) for _ in range(_ZONES - 2 * 265))
    return [*(str(zone) for zone in range(1, 266)), *(str(zone) for zone in range(1, 266)), *fill]


@cache
def _rides() -> tuple[tuple[int, int], ...]:
    """Return lengths to draw from, each with its hundredths of a mile and its usual seconds."""
    rides = []
    for number in range(_RIDES):
        share = number * 1000
        (low, miles, seconds), (high, more_miles, more_seconds) = next(
            (before, after) for before, after in pairwise(_LENGTHS) if share < after[0] * _RIDES
        )
        part, whole = share - low * _RIDES, (high - low) * _RIDES
        rides.append((miles + (more_miles - miles) * part // whole, seconds + (more_seconds - seconds) * part // whole))
    return tuple(rides)


@cache
def _money_texts() -> tuple[str, ...]:
    return tuple(money_text(cents) for cents in range(40_000))


@cache
def _distance_texts() -> tuple[str, ...]:
    return tuple(f"{hundredths // 100 or ''}.{hundredths % 100:02d}" for hundredths in range(3600))


@cache
def _clock_texts() -> tuple[str, ...]:
    return tuple(f"{second // 60:02d}:{second % 60:02d}" for second in range(3600))


def _hour_texts(month: Month) -> list[str]:
    """Return what stands before minutes and seconds, for each hour of the month and a few of the next."""
    hours = (month.next().first_day - month.first_day).days * 24 + 4
    return [f"{month.first_day + timedelta(hour // 24)} {hour % 24:02d}:" for hour in range(hours)]
