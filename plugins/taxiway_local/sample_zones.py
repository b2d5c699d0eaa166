"""Sample zones: a table like the TLC's taxi zones, with made-up names."""

from __future__ import annotations

from collections.abc import Iterator

from taxiway.sources.source import Source
from taxiway_local.sample_draws import Row

ZONES = 265
"""How many zones there are."""

_BOROUGHS = ("EWR", "Queens", "Bronx", "Manhattan", "Staten Island", "Brooklyn")
_COLUMNS = {"locationid", "borough", "zone", "service_zone"}


def is_zones(source: Source) -> bool:
    """Say whether a source is laid out like the taxi zones."""
    return {column.name for column in source.columns} == _COLUMNS


def zone_rows(source: Source, rows: int) -> Iterator[Row]:
    """Yield zones in the source's column order; the last two are unknown, and have texts that look like no value.

    :param source: one that :func:`is_zones`
    :param rows: how many; at most :data:`ZONES`
    """
    for number in range(1, min(rows, ZONES) + 1):
        borough = _BOROUGHS[number % len(_BOROUGHS)]
        zone = {
            "locationid": str(number),
            "borough": f'"{borough}"',
            "zone": f'"Sample zone {number}, {borough}"' if number % 5 == 0 else f'"Sample zone {number}"',
            "service_zone": '"Yellow Zone"' if borough == "Manhattan" else '"Boro Zone"',
        }
        if number > ZONES - 2:
            unknown = {"borough": "Unknown", "zone": "NV" if number == ZONES - 1 else "NA", "service_zone": "N/A"}
            zone.update({name: f'"{value}"' for name, value in unknown.items()})
        yield [zone[column.name] for column in source.columns]
