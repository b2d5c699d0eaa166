"""``airflow taxi status``: which months are loaded, and what needs a person."""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from taxiway.cli.lines import Asked
from taxiway.cli.output import FINDINGS, FINE, SENTENCE, command, say, show
from taxiway.cli.warehouses import published_months
from taxiway.loads.deletions import ACCEPT_DELETIONS, ACCEPTING_CONF
from taxiway.loads.month_state import (
    FAILED,
    MISSING,
    NO_FILE,
    NOT_DUE,
    PUBLISHED,
    RUNNING,
    SKIPPED,
    WARNED,
    months_up_to_now,
    state_of,
)
from taxiway.loads.published_months import LastLoad
from taxiway.messages import printable
from taxiway.orchestration.load_command import how_to_load
from taxiway.sources.months import Month
from taxiway.sources.source import Source

SIGNS = {
    PUBLISHED: "#",
    WARNED: "!",
    RUNNING: "~",
    FAILED: "x",
    SKIPPED: "-",
    MISSING: ".",
    NOT_DUE: " ",
    NO_FILE: " ",
}
"""What stands for a month in a strip."""

LONGEST_ERROR = 500
"""Characters of an error that a sentence quotes; what is cut out is its middle, for an error ends with advice."""


@command
def status(arguments: Namespace) -> int:
    """Run the command.

    :return: the exit code
    """
    asked = Asked.of(arguments)
    strips, records = list[str](), list[dict[str, Any]]()
    with published_months(arguments.warehouse, "status") as warehouse:
        loads = warehouse.last_loads(tuple(asked.sources.values()))
        for source in asked.sources.values():
            found = loads.get(source.name, {})
            months = [month for month in months_up_to_now(source, found) if asked.have(month)]
            states = {month: state_of(source, month, found.get(month)) for month in months}
            strips += _strips(source, states, any_tried=bool(found))
            records += [
                _record(source, month, state, found.get(month), arguments.warehouse)
                for month, state in states.items()
                if state == FAILED or not arguments.failed
            ]
    failed = [record for record in records if record["state"] == FAILED]
    asking = [record for record in records if record["state"] == RUNNING and record[SENTENCE]]
    if arguments.output != "table":
        show(records, arguments.output)
    elif arguments.failed:
        show(failed, arguments.output)
    else:
        signs = "  ".join(f"{sign} {state}" for state, sign in SIGNS.items() if sign.strip())
        print("\n".join([*strips, "", signs]), flush=True)
        for record in (*failed, *asking):
            say(record[SENTENCE])
    return FINDINGS if failed or asking else FINE


def _strips(source: Source, states: Mapping[Month, str], *, any_tried: bool) -> Sequence[str]:
    """Return a line for each year, a sign for each of its months."""
    if not any_tried:
        return [f"{source.name:8} nothing loaded"]
    if source.stands_alone:
        return [f"{source.name:8} {SIGNS[state]}" for state in states.values()]
    lines = list[str]()
    for year, months in itertools.groupby(states, key=lambda month: month.year):
        signs = {month.number: SIGNS[states[month]] for month in months}
        strip = "".join(signs.get(number, " ") for number in range(1, 13)).rstrip()
        lines.append(f"{'' if lines else source.name:8} {year} {strip}")
    return lines


def _record(source: Source, month: Month, state: str, found: LastLoad | None, warehouse: str) -> dict[str, Any]:
    note, where = "", f"{source.name} {month}"
    if found is not None and state == FAILED:
        kept = f" {found.rows} rows of an earlier load are published." if found.rows is not None else ""
        # The conf that the error advises, for the same load would fail again.
        conf: dict[str, Any] = {ACCEPT_DELETIONS: True} if ACCEPTING_CONF in (found.error or "") else {}
        # Its DAG's own run may have succeeded before: the last load may be a run of taxi.
        again = how_to_load(source, [month], warehouse, "completed", **conf)
        note = f"{_named(where, found.error or 'no reason was recorded')}.{kept} {again}"
    elif found is not None and state == RUNNING and found.error:
        note = f"{_named(where, found.error)}. Answer it in Airflow's web UI, under Required Actions"
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
    return f"{where}: {printable(text.replace(f'{where}: ', '', 1).rstrip('.'), LONGEST_ERROR)}"
