"""``airflow taxi status``: which months are loaded, and what needs a person."""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from taxiway.cli.lines import Asked
from taxiway.cli.output import FINDINGS, FINE, SENTENCE, command, in_truth, say, show
from taxiway.cli.warehouses import last_loads, published_months, said_of_stranded
from taxiway.errors import TaxiwayError
from taxiway.loads.month_state import (
    CHANGED,
    FAILED,
    MISSING,
    NO_FILE,
    NOT_DUE,
    PUBLISHED,
    RUNNING,
    SKIPPED,
    WARNED,
    Watched,
    is_new,
    months_up_to_now,
    state_of,
)
from taxiway.loads.published_months import LastLoad
from taxiway.messages import counted, printable
from taxiway.orchestration.load_command import how_to_load
from taxiway.orchestration.standing import UNKNOWN_CHANGES, seen_by_watch
from taxiway.sources.months import Month
from taxiway.sources.source import Source

SIGNS = {
    PUBLISHED: "#",
    WARNED: "!",
    CHANGED: "*",
    RUNNING: "~",
    FAILED: "x",
    SKIPPED: "-",
    MISSING: ".",
    NOT_DUE: " ",
    NO_FILE: " ",
}
"""What stands for a month in a strip."""

STYLES = {
    "#": "green",
    "!": "bold yellow",
    "*": "bold blue",
    "~": "bold cyan",
    "x": "bold red",
    "-": "magenta",
    ".": "dim",
}
"""How a terminal that has colours shows a sign."""

PURPOSE = "status"
"""What the months are read for, for messages."""


@command
def status(arguments: Namespace) -> int:
    """Run the command.

    :return: the exit code
    """
    asked = Asked.of(arguments)
    strips, any_month = list[Text](), False
    records, failed, asking = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    with published_months(arguments.warehouse, PURPOSE) as warehouse:
        loads = last_loads(warehouse, arguments.warehouse, tuple(asked.sources.values()))
    stranded, watched = said_of_stranded(loads, arguments.warehouse), _watched(arguments.warehouse)
    for source in asked.sources.values():
        found, seen = loads.get(source.name, {}), watched.get(source.name, {})
        tried = {*found, *(month for month, each in seen.items() if is_new(each))}
        months = [month for month in months_up_to_now(source, tried) if asked.have(month)]
        states = {month: state_of(source, month, found.get(month), seen.get(month)) for month in months}
        any_month = any_month or bool(months)
        strips += _strips(source, states, any_tried=bool(found))
        for month, state in states.items():
            if arguments.failed and state != FAILED:
                continue
            record = _record(source, month, state, found.get(month), seen.get(month), arguments.warehouse)
            if idle := stranded.get((source.name, month)):
                note = record[SENTENCE]
                record[SENTENCE] = f"{note}; {idle}" if note else f"{source.name} {month}: {idle}"
            records.append(record)
            if state == FAILED:
                failed.append(record)
            elif idle or (state == RUNNING and record[SENTENCE]):
                asking.append(record)
    if arguments.output != "table":
        show(records, arguments.output)
    elif arguments.failed:
        show(failed, arguments.output)
    else:
        signs = [Text.assemble((sign, STYLES[sign]), f" {state}") for state, sign in SIGNS.items() if sign.strip()]
        lines = [*strips, Text(), *(Text("  ").join(part) for part in (signs[:3], signs[3:]))]
        Console(highlight=False).print(Text("\n").join(lines), soft_wrap=True)
        for record in (*failed, *asking):
            say(record[SENTENCE])
    if not any_month:
        for source in asked.sources.values():
            say(asked.why_none(source))
    return FINDINGS if failed or asking else FINE


def _watched(warehouse: str) -> Mapping[str, Mapping[Month, Watched]]:
    try:
        return seen_by_watch(warehouse, PURPOSE)
    except TaxiwayError as error:
        say(f"{UNKNOWN_CHANGES}: {in_truth(error)}")
        return {}


def _strips(source: Source, states: Mapping[Month, str], *, any_tried: bool) -> Sequence[Text]:
    """Return a line for each year, a sign for each of its months."""
    if source.stands_alone and not states:
        return []
    if not any_tried:
        return [Text(f"{source.name:8} nothing loaded")]
    if source.stands_alone:
        return [_strip(source.name, [SIGNS[state]]) for state in states.values()]
    lines = list[Text]()
    for year, months in itertools.groupby(states, key=lambda month: month.year):
        signs = {month.number: SIGNS[states[month]] for month in months}
        strip = [signs.get(number, " ") for number in range(1, 13)]
        lines.append(_strip(f"{'' if lines else source.name:8} {year}", strip))
    return lines


def _strip(head: str, signs: Sequence[str]) -> Text:
    text = Text.assemble(f"{head:8} ", *((sign, STYLES.get(sign, "")) for sign in signs))
    text.rstrip()
    return text


def _record(
    source: Source, month: Month, state: str, found: LastLoad | None, seen: Watched | None, warehouse: str
) -> dict[str, Any]:
    note, where = "", f"{source.name} {month}"
    if found is not None and state == FAILED:
        kept = f" Published of an earlier load: {counted(found.rows, 'row')}." if found.rows is not None else ""
        again = how_to_load(source, [month], warehouse, held_back=[month] if found.is_held_back else ())
        note = f"{_named(where, found.error or 'no reason was recorded')}.{kept} {again}"
    elif found is not None and state == RUNNING and found.error:
        note = f"{_named(where, found.error)}. Approve or reject it in Airflow's web UI, under Required Actions"
    elif seen is not None and state == CHANGED:
        note = _named(where, seen.reason)
    elif found is not None and state in (WARNED, SKIPPED):
        note = _named(where, "; ".join(found.warnings) or found.error or "")
    return {
        "source": source.name,
        "month": str(month),
        "state": state,
        "rows": found.rows if found else None,
        "rejected": found.rejected if found and found.rows is not None else None,
        SENTENCE: note,
    }


def _named(where: str, text: str) -> str:
    """Return a text that begins with source and month, which most errors name behind their step."""
    return f"{where}: {printable(text.replace(f'{where}: ', '', 1).rstrip('.'))}"
