"""``airflow taxi verify``: compares published months with what they must hold."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from taxiway.cli import course
from taxiway.cli.lines import Asked, load_command
from taxiway.cli.output import FINDINGS, FINE, command, say, show
from taxiway.cli.warehouses import published_months
from taxiway.compare.comparison import compare_months
from taxiway.compare.known_figures import DIFFERS, RIGHT, check_figures, find_months, read_figures
from taxiway.errors import InvalidArgumentError
from taxiway.loads.known_samples import is_known_sample
from taxiway.loads.published_months import PublishedMonths, Verified
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.paths import FIGURES_FILE
from taxiway.sources.months import Month
from taxiway.sources.source import Source

PURPOSE = "verify"
"""What the months are read for, for messages and for the labels of BigQuery's jobs."""

UNSETTLED, NOT_COMPARED = "unsettled", "not compared"
"""A month that a load changes while it is compared, and one that only one warehouse holds."""


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
    compare = _with_another if arguments.against else _with_ledger
    records = compare(asked, arguments)
    if not records:
        say(
            f"Nothing was compared: {WAREHOUSES[arguments.warehouse].title} holds no published month that was asked for"
        )
        return FINDINGS
    show(records, arguments.output)
    return FINDINGS if any(record["result"] in (DIFFERS, UNSETTLED) for record in records) else FINE


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
    found = {}
    with published_months(arguments.warehouse, PURPOSE) as warehouse:
        for name in {figure.source: None for figure in figures}:
            months = sorted({month for figure in figures if figure.source == name for month in figure.all_months})
            found[name] = find_months(warehouse, asked.sources[name], months, is_known_sample)
    checked = check_figures(figures, asked.sources, found)
    show([course.record(each, arguments.warehouse) for each in checked], arguments.output)
    if not any(each.counted for each in checked):
        say(course.nothing_compared(checked, arguments.warehouse))
        return FINDINGS
    return FINDINGS if any(each.result == DIFFERS for each in checked) else FINE


def _with_ledger(asked: Asked, arguments: Namespace) -> list[dict[str, Any]]:
    """Compare the rows of each month with the ledger of their warehouse."""
    with published_months(arguments.warehouse, PURPOSE) as warehouse:
        return [
            _line(source, month, warehouse.verify(source, month), arguments.warehouse)
            for source in asked.sources.values()
            for month in _months(asked, source, warehouse)
        ]


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


def _line(source: Source, month: Month, found: Verified, warehouse: str) -> dict[str, Any]:
    where = f"{source.name} {month}"
    note = ""
    if found.difference:
        changed = f" ({', '.join(found.changed)})" if found.changed else ""
        again = load_command(source.name, [month], warehouse, "completed")
        note = f"{where}: {found.difference}{changed}. To load it again: {again}"
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
