"""Compares a month of two warehouses: rows, sums, ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taxiway.errors import ComparisonError, TransientWarehouseError
from taxiway.loads.published_months import ComparedMonth, ComparedMonths, Recorded
from taxiway.messages import counted
from taxiway.sources.months import Month
from taxiway.sources.source import Source

MOST_IDS = 5
"""Ids that a difference names, of each warehouse."""

MOST_READINGS = 3
"""How often a month is read whose published file changes meanwhile."""


@dataclass
class Compared:
    """What a comparison found.

    :param same: rows of the months that agree, by source and month
    :param differences: what differs, in words, one text a month
    :param unsettled: what differs while a load changes it, in words
    :param not_compared: months that only one warehouse holds, or that one warehouse still has to load, in words
    """

    same: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)


def compare_months(
    left: ComparedMonths,
    right: ComparedMonths,
    source: Source,
    months: Sequence[Month] | None = None,
    *,
    same_file_only: bool = False,
) -> Compared:
    """Compare the published months of a source.

    :param left: a warehouse
    :param right: the other one
    :param source: the source
    :param months: which ones; None for every one that both hold
    :param same_file_only: whether to leave out a month if the two hold different files of it
    """
    both = left, right
    held = _held(both, source)
    compared = Compared()
    for month in sorted(set().union(*held)) if months is None else months:
        title = f"{source.name} {month}"
        for _ in range(MOST_READINGS):
            files = [published.get(month) for published in held]
            if reason := _why_not(both, files, same_file_only=same_file_only):
                compared.not_compared.append(f"{title}: {reason}")
                break
            rows, difference = _compare(both, files, source, month)
            if difference is None:
                compared.same[title] = rows
                break
            # Asked in this order: a load that ends in between has recorded the file that is looked up next.
            loading = [warehouse.name for warehouse in both if warehouse.is_loading(source, month)]
            held = _held(both, source)
            if files == [published.get(month) for published in held]:
                if loading:
                    text = f"{title}: {difference}; a load of the month into {loading[0]} is under way"
                    compared.unsettled.append(text)
                else:
                    compared.differences.append(f"{title}: {difference}{_of_files(files)}")
                break
        else:
            compared.unsettled.append(f"{title}: it was published anew {MOST_READINGS} times while it was compared")
    return compared


def require_agreement(compared: Sequence[Compared], *, asked_for: bool) -> None:
    """Make sure that nothing differs.

    :param compared: what was compared, of each source
    :param asked_for: whether somebody named the months, so that one that is missing counts as a difference
    :raises ComparisonError: names every month that differs, and how
    :raises TransientWarehouseError: months that a load was changing; comparing them again may help
    """
    wrong = [text for found in compared for text in (*found.differences, *(found.not_compared if asked_for else ()))]
    unsettled = [text for found in compared for text in found.unsettled]
    if wrong:
        raise ComparisonError(
            f"{'; '.join([*wrong, *unsettled])}. Expected the same rows in both: look at the ledgers' entries of the "
            f"month, and load it again with force if its rows are wrong"
        )
    if unsettled:
        raise TransientWarehouseError(
            f"{'; '.join(unsettled)}. Expected a month that no load changes: the task is tried again. If that goes on "
            f"failing, look in the ledger which load doesn't end"
        )


def _held(warehouses: Sequence[ComparedMonths], source: Source) -> list[Mapping[Month, Recorded]]:
    return [warehouse.months(source) for warehouse in warehouses]


def _why_not(
    warehouses: Sequence[ComparedMonths], files: Sequence[Recorded | None], *, same_file_only: bool
) -> str | None:
    """Say why a month isn't compared; None if it is compared."""
    lacking = [warehouse.name for warehouse, file in zip(warehouses, files, strict=True) if file is None]
    if lacking:
        return f"not published in {' and '.join(lacking)}"
    if same_file_only and _differ(files):
        of_each = (
            f"{each.name} the file {file.sha256[:12]}…" for each, file in zip(warehouses, files, strict=True) if file
        )
        return f"waits until both have published the same file: found in {', in '.join(of_each)} (SHA-256)"
    return None


def _differ(files: Sequence[Recorded | None]) -> bool:
    return len({file.sha256 for file in files if file}) > 1


def _of_files(files: Sequence[Recorded | None]) -> str:
    return "; the two loaded different files, the older one should be loaded again" if _differ(files) else ""


def _compare(
    warehouses: Sequence[ComparedMonths], files: Sequence[Recorded | None], source: Source, month: Month
) -> tuple[int, str | None]:
    """Return how many rows the left one has, and what differs, in words: between the two, or to a ledger of theirs."""
    left, right = warehouses
    with left.reading(source, month) as our_month, right.reading(source, month) as their_month:
        ours, theirs = our_month.sums(), their_month.sums()
        found = [
            f"{'rows' if name == 'row_count' else f'sum of {name}'}: {ours[name]} in {left.name}, {theirs[name]} in "
            f"{right.name}"
            for name in ours
            if ours[name] != theirs[name]
        ]
        digests = our_month.digests(), their_month.digests()
        parts = sorted(part for part in {*digests[0], *digests[1]} if digests[0].get(part) != digests[1].get(part))
        if parts:
            found.append(_differing_ids({left.name: our_month, right.name: their_month}, parts))
    for warehouse, file, sums in zip(warehouses, files, (ours, theirs), strict=True):
        if file and str(file.rows) != sums["row_count"]:
            found.append(
                f"{warehouse.name} holds {counted(int(sums['row_count'] or 0), 'row')}, its ledger has {file.rows}"
            )
    return int(ours["row_count"] or 0), "; ".join(found) or None


def _differing_ids(months: Mapping[str, ComparedMonth], parts: Sequence[str]) -> str:
    """Name the first ids that one warehouse has and the other lacks; only parts that differ are listed."""
    only: dict[str, list[str]] = {name: [] for name in months}
    for part in parts:
        listed = {name: month.ids(part) for name, month in months.items()}
        for name, ids in listed.items():
            others = set().union(*(other for another, other in listed.items() if another != name))
            only[name] += sorted(set(ids) - others)
            duplicate = next((row_id for row_id, times in Counter(ids).items() if times > 1), None)
            if duplicate is not None:
                return f"{name} has more than one row with the id {duplicate}"
        if any(len(ids) >= MOST_IDS for ids in only.values()):
            break
    return "; ".join(f"only in {name}: {', '.join(ids[:MOST_IDS])}" for name, ids in only.items() if ids)
