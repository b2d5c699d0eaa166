"""Sources with other releases, for tests."""

from __future__ import annotations

from dataclasses import replace

from taxiway.sources.months import Month
from taxiway.sources.source import Source


def on_mirror(source: Source) -> Source:
    """Return the source as its first release has it, which is the course's mirror: without later columns."""
    return replace(source, releases=source.releases[:1], columns=source.layout_of(source.first_month).columns)


def ending(source: Source, last: Month | None) -> Source:
    """Return the source with another last month; None for one that goes on."""
    *before, release = source.releases
    return replace(source, releases=(*before, replace(release, last=last)))


def from_path(source: Source, path: str) -> Source:
    """Return the source with another path of its files."""
    *before, release = source.releases
    return replace(source, releases=(*before, replace(release, path=path)))
