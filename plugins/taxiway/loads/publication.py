"""Decides whether a month may be published. A warehouse measures; what its measures mean is decided here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from taxiway.errors import BalanceError, CheckFailedError, EmptyMonthError, SupersededError
from taxiway.files.rejects import Reject, check_limit
from taxiway.loads.load import Load
from taxiway.messages import listed
from taxiway.sources.checks import Check, Verdict, judge, rows_to_neighbours
from taxiway.sources.months import Month
from taxiway.sources.source import Source


@dataclass(frozen=True)
class Published:
    """What a month's published rows were loaded from.

    :param sha256: of the file, in hexadecimal
    :param rows_read: rows in the file
    :param rows_rejected: rows that could not be read
    :param rows_staged: rows that were published
    :param fetched_load_id: the last attempt that fetched the file: to publish it, or to find it published already
    :param digest: of the published rows, as the warehouse noted it; None if it noted none
    :param filename: of the unpacked file; None if the warehouse compares the rows' own
    :param layout: name of the file's layout; None if the ledger of an earlier version doesn't say
    """

    sha256: str
    rows_read: int
    rows_rejected: int
    rows_staged: int
    fetched_load_id: str
    digest: str | None = None
    filename: str | None = None
    layout: str | None = None

    def is_from(self, sha256: str) -> bool:
        """Say whether the month was published from a file with these bytes.

        :param sha256: of the file, in hexadecimal
        """
        return self.sha256 == sha256


BEFORE = "before this load, "
"""What a warning begins with that is about the main table, and not of a check."""

LEFT_OUT = "left out, as on_new_column says: "
"""What a warning begins with that names columns of the file."""


@dataclass(frozen=True)
class Difference:
    """How the main table differs from what the ledger says of a month.

    :param said: in words
    :param must_change: whether loading the month's file again changes rows for sure
    """

    said: str
    must_change: bool = True

    @property
    def warning(self) -> str:
        """What the ledger keeps of it."""
        return f"{BEFORE}{self.said}"


@dataclass(frozen=True)
class Counted:
    """What a warehouse has counted before it publishes a month.

    :param read: rows of the file
    :param rejected: rows that could not be read
    :param ready: typed rows that are ready to be published
    :param of_file: how many of these have the file's name
    :param distinct_ids: how many different ids they have; None if the warehouse's unique index answers that
    """

    read: int
    rejected: int
    ready: int
    of_file: int
    distinct_ids: int | None = None


@dataclass(frozen=True)
class Measured:
    """What a warehouse has measured of a month before it publishes it.

    :param counted: its rows
    :param shares: the measure of each check of a column, by the check's name; None without rows
    :param neighbours: rows of the month before and the month after, as far as they are published
    :param refused: why the main table would refuse rows; None if it wouldn't
    """

    counted: Counted
    shares: Mapping[str, float | None]
    neighbours: Sequence[int]
    refused: CheckFailedError | None = None


def difference_of_layout(source: Source, month: Month, layout: str | None) -> Difference | None:
    """Say that a month's rows were made in a layout that its files no longer have; None if they still have it.

    The same file gives other rows now: the source's YAML file has other columns for the month.

    :param layout: name of the layout that the month was published in; None if nobody knows it
    """
    if layout is None or layout in source.layouts_of(month):
        return None
    return Difference(
        f"the month was loaded with other columns than include/sources/{source.name}.yaml says now "
        f"(layout {layout}, now {source.layout_of(month).name})"
    )


def are_new(source: Source, names: Collection[str], published: Iterable[tuple[Month, str | None]]) -> bool:
    """Say whether the source has gained columns since its months were published: none of these was loaded with them.

    A column that a published month was loaded with has been there: somebody has dropped it, with what it held.

    :param names: of the columns that the main table lacks
    :param published: the published months, each with the layout that it was loaded in; None if the ledger of an earlier
        version doesn't say
    """
    without = replace(source, columns=tuple(column for column in source.columns if column.name not in names))
    return all(
        layout in without.layouts_of(month)
        if layout is not None
        else without.layout_of(month) == source.layout_of(month)
        for month, layout in published
    )


def measured_checks(load: Load) -> list[Check]:
    """Return the source's checks of columns that the month's file has."""
    names = {column.name for column in load.layout.columns}
    return [check for check in load.source.checks if check.column in names]


def judge_month(load: Load, measured: Measured) -> Verdict:
    """Compare what was measured of a month with the checks of its source."""
    to_neighbours = rows_to_neighbours(measured.counted.ready, measured.neighbours)
    month_checks = {check.name: to_neighbours for check in load.source.checks if check.column is None}
    # A column that the month's files don't have can't be measured.
    nothing = dict.fromkeys((check.name for check in load.source.checks), None)
    return judge(load.source.checks, {**nothing, **measured.shares, **month_checks})


def warnings_of(before: Sequence[str], verdict: Verdict) -> list[str]:
    """Return the warnings of a month that was checked: those about main table and file, and the checks' new ones.

    :param before: what the attempt has; a check's earlier word counts no more
    """
    return [*(text for text in before if text.startswith((BEFORE, LEFT_OUT))), *verdict.warnings]


def with_left_out(before: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return an attempt's warnings, and one of the columns that are left out of its file, if there are any.

    :param before: what the attempt has; what an earlier try has found counts no more
    :param names: in the file's header
    """
    others = [text for text in before if not text.startswith(LEFT_OUT)]
    return [*others, f"{LEFT_OUT}{listed(names)}"] if names else others


def require_balance(load: Load, counted: Counted) -> None:
    """Make sure that every row of the file is either ready or rejected, and has its file's name and an id of its own.

    :raises BalanceError: says which numbers disagree
    """
    ready = counted.ready
    distinct = ready if counted.distinct_ids is None else counted.distinct_ids
    if counted.read == ready + counted.rejected and ready == counted.of_file == distinct:
        return
    ids = "" if counted.distinct_ids is None else f", with {distinct} different ids"
    raise BalanceError(
        f"{load.where}: the month doesn't balance: {counted.read} rows read, {ready} ready to be published "
        f"({counted.of_file} of them of {load.filename}{ids}), {counted.rejected} rejected; expected read = ready + "
        f"rejected, and a name and an id for each. Nothing was published: clear the task stage_month with its "
        f"downstream tasks to stage the file again"
    )


def require_checks(load: Load, verdict: Verdict) -> None:
    """Make sure that no check fails the month.

    :raises CheckFailedError: names each check that does
    """
    if verdict.failures:
        raise CheckFailedError(
            f"{load.where}: {load.filename}: {'; '.join(verdict.failures)}. Nothing was published: if the file is "
            f"right, change the check in include/sources/{load.source.name}.yaml and clear the task stage_month with "
            f"its downstream tasks"
        )


def require_rows(load: Load, read: int) -> None:
    """Make sure that a file has rows, unless its source allows a month without any.

    :param read: rows of the file
    :raises EmptyMonthError: it has none
    """
    if read == 0 and not load.source.allow_empty:
        raise EmptyMonthError(
            f"{load.where}: {load.filename}: found a header and no rows, expected at least one. If an empty month is "
            f"right for this source, set 'allow_empty: true' in include/sources/{load.source.name}.yaml and clear the "
            f"task {load.first_step} with its downstream tasks"
        )


def require_few_rejects(load: Load, rejected: int, read: int, named: Sequence[Reject] = ()) -> str | None:
    """Make sure that no more lines of a file are rejected than its source allows.

    :param rejected: how many are
    :param read: rows of the file
    :param named: rejected lines, the first of which the message names
    :return: how many are left out and where they are seen, in words; None if there are none
    :raises RejectLimitError: says how many, the first of them, and the limit
    """
    return check_limit(
        load.source,
        load.month,
        rejected,
        read,
        named=named,
        look=load.rejects_command,
        first_step=load.first_step,
    )


def require_latest(load: Load, sha256: str, found: str | None, *, later: bool) -> None:
    """Make sure that the published month doesn't come from a later file: of two files, the one that was downloaded
    later stays.

    A file is as late as the attempt that fetched it, to publish it or to find it published already. Another try of a
    step goes on with the file that was fetched before, which makes it no later.

    :param sha256: of the load's file
    :param found: SHA-256 of the published file; None if none is published
    :param later: whether an attempt that began after the load's own fetched the published file
    :raises SupersededError: it is another file, and later
    """
    if found is not None and found != sha256 and later:
        raise superseded(load, sha256, f"(SHA-256 {found})")


def superseded(load: Load, sha256: str, found: str) -> SupersededError:
    """Return the error of a load whose month a later file holds.

    :param sha256: of the load's file
    :param found: the other file, in words
    """
    return SupersededError(
        f"{load.where}: a run that began later has published the month meanwhile, or found it published, from another "
        f"file {found}; expected to publish {sha256}. Nothing was changed: run the month again if this file is the "
        f"right one"
    )
