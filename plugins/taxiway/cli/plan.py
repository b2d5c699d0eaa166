"""``airflow taxi plan``: what a backfill would load, and what it may take."""

from __future__ import annotations

import itertools
import shutil
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dags_backfill.dates import DateRange
from dags_backfill.errors import BackfillUsageError
from taxiway.cli.lines import source_of
from taxiway.cli.output import FINDINGS, FINE, SENTENCE, command, show
from taxiway.cli.warehouses import last_loads, published_months
from taxiway.download.look import is_cached
from taxiway.errors import InvalidArgumentError
from taxiway.loads.plan import Outcome, PlannedMonth, Rates, plan_month
from taxiway.loads.published_months import LastLoad, MonthState, PastLoad, Recorded, TableSize
from taxiway.messages import counted
from taxiway.orchestration.dag_template import schedule_of
from taxiway.orchestration.downloads import cache_in_force, may_use_cache
from taxiway.orchestration.load_command import how_to_load
from taxiway.orchestration.mirrors import Mirrors
from taxiway.orchestration.publication_timetable import PublicationTimetable
from taxiway.settings import format_size
from taxiway.sources.months import WHOLE, Month, in_words
from taxiway.sources.source import Source

PURPOSE = "plan"
"""What the months are read for, for messages."""

TOTAL = "total"
"""What stands in place of a month in the last line."""

OBVIOUS = (Outcome.NEW, Outcome.UNCHANGED)
"""Of these, no sentence says why."""


@dataclass(frozen=True)
class Ledger:
    """What a warehouse says of a source.

    :param states: of its months
    :param recorded: its published months
    :param last: how their last attempts ended
    :param past: what loads have taken, of every source
    :param table: what its published months take up
    """

    states: Mapping[Month, MonthState]
    recorded: Mapping[Month, Recorded]
    last: Mapping[Month, LastLoad]
    past: Sequence[PastLoad]
    table: TableSize

    @classmethod
    def read(cls, source: Source, warehouse: str) -> Ledger:
        """Ask a warehouse."""
        with published_months(warehouse, PURPOSE) as months:
            # Before the rest: a run that has ended by then has published its month, or never will.
            last = last_loads(months, warehouse, [source]).get(source.name, {})
            return cls(
                months.states(source),
                months.months(source),
                last,
                months.past_loads(source),
                months.table_size(source),
            )

    @property
    def held_back(self) -> Collection[Month]:
        """The months whose last load would delete too many published rows."""
        return [month for month, load in self.last.items() if load.is_held_back]

    @property
    def bytes_per_row(self) -> float | None:
        """What a published row takes up; None if nobody knows."""
        rows = sum(each.rows for each in self.recorded.values())
        return self.table.size / rows if self.table.size and rows else None


@dataclass(frozen=True)
class Line:
    """What is planned for a month.

    :param planned: what its load would do
    :param cached: whether its file comes from the cache; None if it wasn't asked for
    :param file: bytes that the cache gains
    :param table: bytes that the main table gains; None if nobody knows
    """

    planned: PlannedMonth
    cached: bool | None
    file: int = 0
    table: float | None = None

    @property
    def disk(self) -> float | None:
        """Bytes that the load takes up; None if it loads nothing, or nobody knows the table's part."""
        return None if self.table is None else self.file + self.table


@command
def plan(arguments: Namespace) -> int:
    """Run the command.

    :return: the exit code
    :raises InvalidArgumentError: an option can't be used
    """
    source = source_of(arguments.source, "SOURCE")
    months = months_asked_for(source, arguments)
    now = datetime.now(timezone.utc)
    ledger = Ledger.read(source, arguments.warehouse)
    lines = _lines(source, months, ledger, now)
    records = [_record(source, list(group), ledger, arguments.warehouse) for group in _groups(lines)]
    enough, together = total(source, lines, ledger, arguments.warehouse)
    records.append(together)
    if arguments.output == "table":
        records = [_for_people(record) for record in records]
    show(records, arguments.output)
    problems = any(line.planned.outcome in (Outcome.ABSENT, Outcome.UNKNOWN) for line in lines)
    return FINDINGS if problems or not enough else FINE


def months_asked_for(source: Source, arguments: Namespace) -> Sequence[Month]:
    """Return the months whose logical dates lie in the range, as a backfill finds them.

    :raises InvalidArgumentError: the range is none, or has no month
    """
    schedule = schedule_of(source)
    if not isinstance(schedule, PublicationTimetable):
        if arguments.start_date is not None or arguments.end_date is not None:
            raise InvalidArgumentError(f"{source.name} is one file, of no month: leave -s and -e out")
        return [WHOLE]
    try:
        dates = DateRange.of(arguments.start_date, arguments.end_date).in_zone(source.zone)
    except BackfillUsageError as error:
        raise InvalidArgumentError(str(error)) from error
    months = [source.month_of(moment) for moment in schedule.logical_dates(dates.start, dates.end)]
    if not months:
        raise InvalidArgumentError(
            f"no run of {source.name} has its logical date from {dates.typed_start} to {dates.typed_end}: its schedule "
            f"is {source.schedule} ({source.timezone}). Begin with the first day of a month, and end with its last one"
        )
    return months


def _lines(source: Source, months: Sequence[Month], ledger: Ledger, now: datetime) -> Sequence[Line]:
    cache, use_cache = cache_in_force(), may_use_cache()
    lines, present = [], source.month_of(now)
    with Mirrors() as mirrors:
        for month in months:
            is_there = source.why_unavailable(month) is None and (source.stands_alone or month < present)
            look = mirrors.look(source, month) if is_there else None
            known = ledger.states.get(month), ledger.recorded.get(month), ledger.last.get(month)
            planned = plan_month(source, month, now, look, *known)
            planned = planned.estimated(Rates.of(ledger.past, source, month, planned.size))
            cached = None if look is None or not look.was_asked else use_cache and is_cached(cache, source, month, look)
            if not planned.loads:
                lines.append(Line(planned, cached))
                continue
            rate = ledger.bytes_per_row
            table = None if planned.rows is None or rate is None else planned.rows * rate
            lines.append(Line(planned, cached, 0 if cached else planned.size or 0, table))
    return lines


def _groups(lines: Sequence[Line]) -> Sequence[Sequence[Line]]:
    """Group months that follow each other, and that no mirror was asked for, by what is said of them."""
    keys = (number if line.cached is not None else line.planned.reason for number, line in enumerate(lines))
    groups = itertools.groupby(zip(keys, lines, strict=True), key=lambda entry: entry[0])
    return [[line for _, line in group] for _, group in groups]


def _record(source: Source, lines: Sequence[Line], ledger: Ledger, warehouse: str) -> dict[str, Any]:
    """Return the record of a month, or of several months that nobody was asked about."""
    line, planned = lines[0], lines[0].planned
    month, where = planned.month, f"{source.name} {in_words(line.planned.month for line in lines)}"
    note = "" if planned.outcome in OBVIOUS else f"{where}: {planned.reason}"
    if planned.outcome is Outcome.EARLY:
        held_back = ledger.held_back
        how = how_to_load(source, [month], warehouse, say="To load it now", held_back=held_back, is_there=True)
        note += f". {how}"
    is_known = planned.outcome is not Outcome.OUT_OF_RANGE
    release, last, state = source.release_of(month), ledger.last.get(month), ledger.states.get(month)
    return {
        "month": in_words(line.planned.month for line in lines),
        "plan": planned.outcome.value,
        "size": planned.size,
        "cached": line.cached,
        "release": f"{release.format}, {release.connection}" if is_known else None,
        "last_load": last.state if last else None,
        "published": state.published_at.isoformat(timespec="seconds") if state and state.published_at else None,
        "seconds": None if planned.seconds is None else round(planned.seconds, 1),
        "disk": None if line.disk is None else round(line.disk),
        SENTENCE: note,
    }


def total(source: Source, lines: Sequence[Line], ledger: Ledger, warehouse: str) -> tuple[bool, dict[str, Any]]:
    """Return whether the disk is large enough, and the record of all months together.

    :param source: the source
    :param lines: what is planned for its months
    :param ledger: what the warehouse says of it
    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    """
    loaded = [line for line in lines if line.planned.loads]
    size = sum(line.file for line in loaded)
    seconds = _sum([line.planned.seconds for line in loaded])
    disk = _sum([line.disk for line in loaded])
    enough, room = _room(loaded, ledger)
    months = [line.planned.month for line in loaded]
    unknown = sum(line.planned.outcome is Outcome.UNKNOWN for line in lines)
    said = [f"{source.name}: {len(loaded)} of {counted(len(lines), 'file')} to load"]
    if unknown:
        said[0] += f" as far as mirrors have answered, {unknown} unknown"
    if loaded:
        said[0] += f", {format_size(size)} to download"
        if seconds is None:
            unlike = [line.planned.month for line in loaded if line.planned.seconds is None]
            loading = "loading" if len(unlike) == len(loaded) else f"loading {in_words(unlike)}"
            said.append(
                f"How long {loading} takes, and how many rows that brings, isn't known: the ledger has no load of a "
                f"file of about that size, with its duration"
            )
        else:
            said[0] += f", {_duration(seconds)} one after another"
        said += [room, how_to_load(source, months, warehouse, say="To load", held_back=ledger.held_back)]
    return enough, {
        "month": TOTAL,
        "plan": f"{len(loaded)} of {len(lines)}",
        "size": size,
        "cached": None,
        "release": None,
        "last_load": None,
        "published": None,
        "seconds": None if seconds is None else round(seconds, 1),
        "disk": None if disk is None else round(disk),
        SENTENCE: ". ".join(said),
    }


def _sum(values: Sequence[float | None]) -> float | None:
    """Add up; None if one isn't known."""
    return sum(value for value in values if value is not None) if None not in values else None


def _room(loaded: Sequence[Line], ledger: Ledger) -> tuple[bool, str]:
    """Return whether there is enough free disk, as far as that is known; and what there is, in words.

    While a month is loaded, its staging table and the server's log take up about as much as the month again.
    """
    files = sum(line.file for line in loaded)
    tables = [line.table for line in loaded if line.table is not None]
    least = "at least " if len(tables) < len(loaded) else ""
    needs = {_existing(cache_in_force().folder): float(files)}
    if ledger.table.folder is not None:
        needs[ledger.table.folder] = sum(tables) + max(tables, default=0)
    disks = dict[int, tuple[float, int, list[str]]]()
    for folder, need in needs.items():
        try:
            device, free = folder.stat().st_dev, shutil.disk_usage(folder).free
        except OSError:
            continue  # another machine's, or not to be seen
        before, _, names = disks.get(device, (0.0, 0, []))
        name = "the warehouse" if folder == ledger.table.folder else "the cache"
        disks[device] = before + need, free, [*names, name]
    said = [
        f"{least if 'the warehouse' in names else ''}{format_size(need)} needed of {format_size(free)} free on the "
        f"disk of {' and '.join(names)}"
        for need, free, names in disks.values()
    ]
    if ledger.bytes_per_row is None:
        any_rows = any(each.rows for each in ledger.recorded.values())
        why = "the warehouse doesn't say how large it is" if any_rows else "no row of the source is loaded yet"
        said.append(f"what the main table gains isn't known: {why}")
    elif tables and all("the warehouse" not in names for _, _, names in disks.values()):
        said.append(f"the main table gains {least}{format_size(sum(tables))}, and its disk can't be seen from here")
    enough = all(need <= free for need, free, _ in disks.values())
    return enough, ("" if enough else "The disk is too small: ") + "; ".join(said)


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def _for_people(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of a table: sizes, times and answers in words."""
    cached = {True: "yes", False: "no", None: ""}[record["cached"]]
    sizes = {key: None if record[key] is None else format_size(record[key]) for key in ("size", "disk")}
    duration = {"seconds": None if record["seconds"] is None else _duration(record["seconds"])}
    published = {"published": record["published"] and record["published"][:10]}
    return {**record, "cached": cached, **sizes, **duration, **published}


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
