"""``airflow taxi doctor``: makes every check, and says what each has found."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from taxiway.cli.doctor import alerts, dag_files, metadata, mirrors, warehouses
from taxiway.cli.output import FINDINGS, FINE, command, say, show
from taxiway.doctor import machine
from taxiway.doctor.check import FAIL, WARN, Check, any_hangs, examine, write_line


def all_checks(warehouse: str | None) -> Sequence[Check]:
    """Return the checks in their order: one that another needs comes before it.

    :param warehouse: the warehouse to look at; None for all of them
    """
    return [
        *machine.CHECKS,
        *dag_files.CHECKS,
        *metadata.CHECKS,
        *mirrors.checks(),
        *alerts.CHECKS,
        *(check for name, checks in warehouses.CHECKS.items() if warehouse in (None, name) for check in checks),
    ]


@command
def doctor(arguments: Namespace) -> int:
    """Run the command.

    :return: the exit code: warnings are no findings
    """
    records = []
    for name, finding in examine(all_checks(arguments.warehouse)):
        records.append({"check": name, "state": finding.state, "found": finding.found, "mend": finding.mend})
        if arguments.output == "table":
            write_line(name, finding, sys.stdout)
    if arguments.output != "table":
        show(records, arguments.output)
    failed, warned = (sum(record["state"] == state for record in records) for state in (FAIL, WARN))
    say(f"{len(records)} checks: {failed} failed, {warned} warned")
    code = FINDINGS if failed else FINE
    if any_hangs():
        # Airflow would close its session when Python ends, and fail with a stack trace.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
