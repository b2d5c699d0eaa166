"""Compares the rows of published months with figures that others have published: the course and the TLC."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taxiway.loads.known_samples import IsSample
from taxiway.loads.published_months import PublishedMonths, Recorded
from taxiway.sources.months import Month
from taxiway.sources.source import Source

RIGHT, DIFFERS = "right", "differs"
"""What the months hold was compared with the figure."""

INCOMPLETE, NOT_LOADED, SAMPLES, OTHER_FILES = "incomplete", "not loaded", "sample data", "other files"
"""Why it wasn't: months are missing, some or all; or they are loaded from samples, or from another release."""

ROWS, BYTES = "rows", "bytes"
"""What is counted: the rows of the files, or the bytes of the unpacked file."""


@dataclass(frozen=True)
class KnownFigure:
    """A figure that months of a source must hold.

    :param source: name of the source
    :param first: first month
    :param last: last month
    :param format: what the names of the unpacked files end with
    :param measure: :data:`ROWS` or :data:`BYTES`
    :param value: the figure
    :param question: question of the course's homework that it answers; None if it answers none
    :param origin: where it comes from, in words
    """

    source: str
    first: Month
    last: Month
    format: str
    measure: str
    value: int
    question: int | None = None
    origin: str = ""

    @property
    def all_months(self) -> list[Month]:
        """The months that it is about."""
        months = [self.first]
        while months[-1] < self.last:
            months.append(months[-1].next())
        return months

    def filename(self, month: Month) -> str:
        """Return the name of the unpacked file that a month is counted of."""
        return f"{self.source}_tripdata_{month}.{self.format}"


@dataclass(frozen=True)
class Found:
    """What a warehouse holds of a month.

    :param files: rows of the main table by the file that they come from
    :param recorded: what the ledger says; None if it says nothing
    :param is_sample: whether that file is a sample
    """

    files: Mapping[str, int]
    recorded: Recorded | None = None
    is_sample: bool = False

    @property
    def filenames(self) -> set[str]:
        """The files that the month was loaded from: by its rows, or if it has none by the ledger."""
        return set(self.files) or ({self.recorded.filename} if self.recorded else set())

    def value(self, measure: str) -> int | None:
        """Return what the month holds; None if nobody has measured it, or the ledger alone knows of its file."""
        if measure == ROWS:
            return sum(self.files.values())
        return self.recorded.unpacked_bytes if self.recorded and self.files else None


@dataclass(frozen=True)
class Checked:
    """A figure, and what the warehouse holds of its months.

    :param figure: the figure; of a release's months together, the sum of those that were counted
    :param result: one of the words above
    :param found: what the counted months hold; None if none was counted
    :param counted: months that were compared
    :param missing: months that aren't loaded
    :param samples: months that hold sample data
    :param others: months that are loaded from other files, with the names of these
    :param recorded: of a single month that was counted: what the ledger says
    """

    figure: KnownFigure
    result: str
    found: int | None
    counted: Sequence[Month] = ()
    missing: Sequence[Month] = ()
    samples: Sequence[Month] = ()
    others: Mapping[Month, str] | None = None
    recorded: Recorded | None = None

    @property
    def months(self) -> list[Month]:
        """The months that the figure is about."""
        return sorted([*self.counted, *self.missing, *self.samples, *(self.others or ())])


def read_figures(path: Path) -> list[KnownFigure]:
    """Read the project's table of figures.

    :param path: usually ``include/known_figures.csv``; lines that begin with ``#`` are comments
    """
    with path.open(encoding="utf-8", newline="") as file:
        return [
            KnownFigure(
                source=row["source"],
                first=Month.parse(row["first"]),
                last=Month.parse(row["last"]),
                format=row["format"],
                measure=row["measure"],
                value=int(row["figure"]),
                question=int(row["question"]) if row["question"] else None,
                origin=row["origin"],
            )
            for row in csv.DictReader(line for line in file if not line.startswith("#"))
        ]


def find_months(
    warehouse: PublishedMonths, source: Source, months: Sequence[Month], is_sample: IsSample
) -> dict[Month, Found]:
    """Look up months in a warehouse: rows of the main table, and what the ledger says of them.

    A month that a load publishes meanwhile is counted again: its rows and the ledger's would be of two files.

    :param months: which ones; those that aren't there are left out
    :param is_sample: asked of every file that the ledger names
    """
    recorded, files = warehouse.months(source), dict[Month, Mapping[str, int]]()
    to_count = list(months)
    while to_count:
        counted = warehouse.count_files(source, to_count)
        files.update((month, counted.get(month, {})) for month in to_count)
        before, recorded = recorded, warehouse.months(source)
        to_count = [month for month in to_count if before.get(month) != recorded.get(month)]
    found = dict[Month, Found]()
    for month in months:
        entry = recorded.get(month)
        if files[month] or entry is not None:
            sample = entry is not None and is_sample(source, month, entry.sha256, entry.rows + entry.rejected)
            found[month] = Found(files[month], entry, sample)
    return found


def check_figures(
    figures: Iterable[KnownFigure], sources: Mapping[str, Source], found: Mapping[str, Mapping[Month, Found]]
) -> list[Checked]:
    """Compare figures with what a warehouse holds.

    The course's questions come first, one line each. Then the months of each release, together in one line, and each of
    them that differs in a line of its own.

    :param figures: the figures
    :param sources: the sources that there are, by name; figures of another one are left out
    :param found: what the warehouse holds, by source and month
    """
    here = [figure for figure in figures if figure.source in sources]
    checked = [_check(figure, found.get(figure.source, {})) for figure in here if figure.question]
    months = sorted((figure for figure in here if not figure.question), key=_release)
    for _, group in itertools.groupby(months, key=_release):
        # A month that comes from another release is compared with the figure of that one.
        each = [
            result
            for figure in group
            if (result := _check(figure, found.get(figure.source, {}))).counted
            or (not result.others and sources[figure.source].filename(figure.first) == figure.filename(figure.first))
        ]
        if each:
            checked += [_together(each), *(result for result in each if result.result == DIFFERS)]
    return checked


def _release(figure: KnownFigure) -> tuple[str, str, str]:
    return figure.source, figure.format, figure.measure


def _check(figure: KnownFigure, found: Mapping[Month, Found]) -> Checked:
    values = dict[Month, int]()
    missing, samples, others = list[Month](), list[Month](), dict[Month, str]()
    for month in figure.all_months:
        held = found.get(month)
        value = held.value(figure.measure) if held else None
        if held is None or value is None:
            missing.append(month)
        elif held.is_sample:
            samples.append(month)
        elif held.filenames != {figure.filename(month)}:
            others[month] = ", ".join(sorted(held.filenames))
        else:
            values[month] = value
    total = sum(values.values()) if values else None
    if missing or samples or others:
        result = _why_not(missing, samples, others, len(values))
    else:
        result = RIGHT if total == figure.value else DIFFERS
    only = found[figure.first].recorded if len(values) == 1 and figure.first == figure.last else None
    return Checked(figure, result, total, list(values), missing, samples, others, only)


def _why_not(missing: Sequence[Month], samples: Sequence[Month], others: Mapping[Month, str], counted: int) -> str:
    if samples:
        return SAMPLES
    if others:
        return OTHER_FILES
    return INCOMPLETE if counted else NOT_LOADED


def _together(each: Sequence[Checked]) -> Checked:
    """Sum up the months of a release."""
    compared = [result for result in each if result.counted]
    samples = [month for one in each for month in one.samples]
    if compared:
        result = DIFFERS if any(one.result == DIFFERS for one in compared) else RIGHT
    else:
        result = SAMPLES if samples else NOT_LOADED
    first, last = each[0].figure, each[-1].figure
    value = sum(one.figure.value for one in compared or each)
    return Checked(
        replace(first, last=last.last, value=value, origin=""),
        result,
        sum(one.found or 0 for one in compared) if compared else None,
        [month for one in compared for month in one.counted],
        [month for one in each for month in one.missing],
        samples,
    )
