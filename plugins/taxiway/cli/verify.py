"""``airflow taxi verify``: compares published months with what they must hold."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from functools import cache
from typing import Any

from taxiway.cli import course
from taxiway.cli.lines import Asked
from taxiway.cli.output import FINDINGS, FINE, command, say, show
from taxiway.cli.warehouses import published_months
from taxiway.compare.comparison import compare_months
from taxiway.compare.known_figures import DIFFERS, RIGHT, check_figures, find_months, read_figures
from taxiway.errors import InvalidArgumentError, TaxiwayError
from taxiway.loads.file_months import FileMonth, FileMonths
from taxiway.loads.known_samples import is_known_sample
from taxiway.loads.published_months import PublishedMonths
from taxiway.messages import counted
from taxiway.orchestration.downloads import download
from taxiway.orchestration.load_command import how_to_load
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.paths import FIGURES_FILE
from taxiway.sources.months import Month
from taxiway.sources.source import Source

PURPOSE = "verify"
"""What the months are read for, for messages."""

UNSETTLED, NOT_COMPARED = "unsettled", "not compared"
"""A month that a load changes while it is compared, and one that only one warehouse holds."""


AGAINST_FILE = "file"
"""The value of ``--against`` for the files that the months were loaded from."""

OTHER_FILE, UNREADABLE = "other file", "unreadable"
"""A month whose source serves another file by now, and one whose file can't be had, or read."""

_How = Callable[..., str]
"""Says how a month of a source is loaded, in sentences."""


@command
def verify(arguments: Namespace) -> int:
    """Run the command.

    :return: the exit code
    :raises InvalidArgumentError: an option can't be used
    """
    asked = Asked.of(arguments)
    if arguments.against == arguments.warehouse or (arguments.against and arguments.course):
        other = "--course" if arguments.course else f"--warehouse {arguments.warehouse}"
        raise InvalidArgumentError(f"--against {arguments.against} and {other} exclude each other: give one of them")
    if arguments.course:
        return _with_figures(asked, arguments)
    compare = {None: _with_ledger, AGAINST_FILE: _with_file}.get(arguments.against, _with_another)
    records = compare(asked, arguments)
    if not records:
        say(
            f"Nothing was compared: {WAREHOUSES[arguments.warehouse].title} holds no published month that was asked for"
        )
        return FINDINGS
    show(records, arguments.output)
    wrong = (DIFFERS, UNSETTLED, OTHER_FILE, UNREADABLE)
    return FINDINGS if any(record["result"] in wrong for record in records) else FINE


def _with_figures(asked: Asked, arguments: Namespace) -> int:
    figures = [
        figure
        for figure in read_figures(FIGURES_FILE)
        if figure.source in asked.sources and asked.have(figure.first, figure.last)
    ]
    if not figures:
        raise InvalidArgumentError(
            f"no figure of include/known_figures.csv is about {', '.join(asked.sources)} in these months: give other "
            f"ones, or leave --source, --from and --to out"
        )
    found, held_back = {}, {}
    with published_months(arguments.warehouse, PURPOSE) as warehouse:
        for name in {figure.source: None for figure in figures}:
            months = sorted({month for figure in figures if figure.source == name for month in figure.all_months})
            found[name] = find_months(warehouse, asked.sources[name], months, is_known_sample)
            held_back[name] = warehouse.held_back(asked.sources[name])
    checked = check_figures(figures, asked.sources, found)
    records = [
        course.record(each, asked.sources[each.figure.source], arguments.warehouse, held_back[each.figure.source])
        for each in checked
    ]
    show(records, arguments.output)
    if not any(each.counted for each in checked):
        say(course.nothing_compared(checked[0], asked.sources[checked[0].figure.source], arguments.warehouse))
        return FINDINGS
    return FINDINGS if any(each.result == DIFFERS for each in checked) else FINE


def _with_ledger(asked: Asked, arguments: Namespace) -> list[dict[str, Any]]:
    """Compare the rows of each month with the ledger of their warehouse."""
    with published_months(arguments.warehouse, PURPOSE) as warehouse:
        how = _how_to_load(warehouse, arguments.warehouse)
        return [
            _line(warehouse, source, month, how)
            for source in asked.sources.values()
            for month in _months(asked, source, warehouse)
        ]


def _with_file(asked: Asked, arguments: Namespace) -> list[dict[str, Any]]:
    """Compare the rows of each month with the ledger, and with the file that it was loaded from."""
    records = []
    with published_months(arguments.warehouse, PURPOSE) as warehouse:
        how = _how_to_load(warehouse, arguments.warehouse)
        for source in asked.sources.values():
            for month in _months(asked, source, warehouse):
                line = _line(warehouse, source, month, how)
                result, rows, note = _against_file(warehouse, source, month, how)
                if result == DIFFERS or line["result"] == RIGHT != result:
                    line |= {"result": result, "note": note}
                order = ("source", "month", "rows", "ledger", "file", "result", "note")
                records.append({key: {**line, "file": rows}[key] for key in order})
    return records


def _against_file(warehouse: PublishedMonths, source: Source, month: Month, how: _How) -> tuple[str, int | None, str]:
    """Return the result of a month, the rows of its file, and a sentence.

    :param how: says how the month is loaded
    """
    where, recorded = f"{source.name} {month}", warehouse.months(source).get(month)
    if recorded is None:
        said = f"the ledger doesn't say which file it is from. {how(source, month, 'To load it')}"
        return NOT_COMPARED, None, f"{where}: {said}"
    rejected = warehouse.rejected(source, month) if recorded.rejected else None
    lines = rejected.lines if rejected and rejected.sha256 == recorded.sha256 else ()
    if len(lines) != recorded.rejected:
        said = f"its file has {counted(recorded.rejected, 'rejected line')}, and the ledger keeps {len(lines)}"
        return NOT_COMPARED, None, f"{where}: {said}: nobody knows which rows it must hold"
    try:
        file = download(source, month)
        if file.sha256 != recorded.sha256:
            said = f"the source serves another file now, SHA-256 {file.sha256}; loaded was {recorded.sha256}"
            return OTHER_FILE, None, f"{where}: {said}. {how(source, month, 'To load the one that is served')}"
        opened = FileMonth(source, month, file, {line.line_number for line in lines})
        rows = int(opened.sums()["row_count"] or 0)
    except TaxiwayError as error:
        return UNREADABLE, None, str(error)
    compared = compare_months(warehouse, FileMonths(opened), source, [month])
    if said := "; ".join([*compared.unsettled, *compared.not_compared]):
        return UNSETTLED, rows, said
    if compared.differences:
        return DIFFERS, rows, f"{compared.differences[0]}. {how(source, month)}"
    return RIGHT, rows, ""


def _with_another(asked: Asked, arguments: Namespace) -> list[dict[str, Any]]:
    """Compare rows, sums and ids with those of another warehouse."""
    records = []
    with (
        published_months(arguments.warehouse, PURPOSE) as ours,
        published_months(arguments.against, PURPOSE) as theirs,
    ):
        for source in asked.sources.values():
            months = sorted({*_months(asked, source, ours), *_months(asked, source, theirs)})
            for month in months:
                compared = compare_months(ours, theirs, source, [month])
                result, note = [
                    *((RIGHT, "") for _ in compared.same),
                    *((DIFFERS, text) for text in compared.differences),
                    *((UNSETTLED, text) for text in compared.unsettled),
                    *((NOT_COMPARED, text) for text in compared.not_compared),
                ][0]
                rows = next(iter(compared.same.values()), None)
                records.append(
                    {"source": source.name, "month": str(month), "rows": rows, "result": result, "note": note}
                )
    return records


def _months(asked: Asked, source: Source, warehouse: PublishedMonths) -> list[Month]:
    """Return the months that were asked for, of those that the ledger or the main table has."""
    there = {*warehouse.months(source), *warehouse.months_of_table(source)}
    return sorted(month for month in there if asked.have(month))


def _how_to_load(warehouse: PublishedMonths, name: str) -> _How:
    """Return what says how a month is loaded. It asks the ledger about a source once at most: BigQuery bills each job.

    :param name: of the warehouse
    """
    held_back = cache(warehouse.held_back)

    def how(source: Source, month: Month, say: str = "To load it again") -> str:
        return how_to_load(source, [month], name, say=say, held_back=held_back(source))

    return how


def _line(warehouse: PublishedMonths, source: Source, month: Month, how: _How) -> dict[str, Any]:
    """Compare a month with the ledger, and return its line.

    :param how: says how the month is loaded
    """
    where, found = f"{source.name} {month}", warehouse.verify(source, month)
    note = ""
    if found.difference:
        changed = f" ({', '.join(found.changed)})" if found.changed else ""
        note = f"{where}: {found.difference}{changed}. {how(source, month)}"
    elif found.rewritten:
        note = f"{where}: its rows were written again since they were published, and each still fits its id"
    return {
        "source": source.name,
        "month": str(month),
        "rows": found.rows,
        "ledger": found.recorded,
        "result": DIFFERS if found.difference else RIGHT,
        "note": note,
    }
