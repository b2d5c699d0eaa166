"""Compares a month of two warehouses: rows, sums, ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from taxiway.core.errors import ComparisonError
from taxiway.core.months import Month
from taxiway.core.sources import Source

MOST_IDS = 5
"""Ids that a difference names, of each warehouse."""


class PublishedMonths(Protocol):
    """A warehouse, as the comparison asks it."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def months(self, source: Source) -> Mapping[Month, str]:
        """Return the published months of a source, each with the SHA-256 of its file."""

    def sums(self, source: Source, month: Month) -> Mapping[str, str | None]:
        """Return ``row_count`` and the sum of every numeric column of a month, as plain decimal numbers."""

    def digests(self, source: Source, month: Month) -> Mapping[str, tuple[int, str]]:
        """Return rows and digest of the ids that begin with the same two digits, by these."""

    def ids(self, source: Source, month: Month, part: str) -> Sequence[str]:
        """Return the ids of a month that begin with two digits, sorted."""


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    :param same: rows of the months that agree, by source and month
    :param differences: what differs, in words, one text a month
    :param alone: months that one warehouse holds and the other doesn't, in words
    """

    same: Mapping[str, int]
    differences: tuple[str, ...]
    alone: tuple[str, ...]


def compare_months(
    left: PublishedMonths, right: PublishedMonths, source: Source, months: Sequence[Month] | None = None
) -> Compared:
    """Compare the published months of a source.

    :param left: a warehouse
    :param right: the other one
    :param source: the source
    :param months: which ones; None for every one that both hold
    """
    held = {warehouse.name: warehouse.months(source) for warehouse in (left, right)}
    every = sorted(set(held[left.name]) | set(held[right.name]))
    same: dict[str, int] = {}
    differences: list[str] = []
    alone: list[str] = []
    for month in every if months is None else months:
        lacking = [name for name, found in held.items() if month not in found]
        if lacking:
            alone.append(f"{source.name} {month}: not published in {' and '.join(lacking)}")
            continue
        rows, difference = _compare(left, right, source, month)
        if difference is None:
            same[f"{source.name} {month}"] = rows
            continue
        if held[left.name][month] != held[right.name][month]:
            difference += "; the two loaded different files, the older one should be loaded again"
        differences.append(f"{source.name} {month}: {difference}")
    return Compared(same, tuple(differences), tuple(alone))


def require_agreement(compared: Sequence[Compared], *, asked_for: bool) -> None:
    """Make sure that nothing differs.

    :param compared: what was compared, of each source
    :param asked_for: whether somebody named the months, so that one that is missing counts as a difference
    :raises ComparisonError: names every month that differs, and how
    """
    wrong = [text for found in compared for text in (*found.differences, *(found.alone if asked_for else ()))]
    if wrong:
        raise ComparisonError(
            f"{'; '.join(wrong)}. Expected the same rows in both: look at the ledgers' entries of the month, and "
            f"load it again with force where its rows are wrong"
        )


def _compare(left: PublishedMonths, right: PublishedMonths, source: Source, month: Month) -> tuple[int, str | None]:
    ours, theirs = left.sums(source, month), right.sums(source, month)
    found = [
        f"{'rows' if name == 'row_count' else f'sum of {name}'}: {ours[name]} in {left.name}, {theirs[name]} in "
        f"{right.name}"
        for name in ours
        if ours[name] != theirs[name]
    ]
    digests = left.digests(source, month), right.digests(source, month)
    parts = sorted(part for part in {*digests[0], *digests[1]} if digests[0].get(part) != digests[1].get(part))
    if parts:
        found.append(_differing_ids(left, right, source, month, parts))
    return int(ours["row_count"] or 0), "; ".join(found) or None


def _differing_ids(
    left: PublishedMonths, right: PublishedMonths, source: Source, month: Month, parts: Sequence[str]
) -> str:
    """Name the first ids that one warehouse has and the other lacks; only parts that differ are listed."""
    only: dict[str, list[str]] = {left.name: [], right.name: []}
    for part in parts:
        ours, theirs = left.ids(source, month, part), right.ids(source, month, part)
        only[left.name] += sorted(set(ours) - set(theirs))
        only[right.name] += sorted(set(theirs) - set(ours))
        repeated = [row_id for ids in (ours, theirs) for row_id, times in Counter(ids).items() if times > 1]
        if repeated:
            return f"the id {repeated[0]} stands more than once in one of them"
        if any(len(ids) >= MOST_IDS for ids in only.values()):
            break
    return "; ".join(f"only in {name}: {', '.join(ids[:MOST_IDS])}" for name, ids in only.items() if ids)
