"""Finds what is wrong, and says what mends it: ``make doctor``.

The checks are those of ``airflow taxi doctor``, which runs as a process of its own. If Airflow doesn't start, those
that need no Airflow are made here, so this module imports no package.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from taxiway.doctor import machine
from taxiway.doctor.check import FAIL, Check, Finding, examine, fail, ok, painted, state_of, write_line
from taxiway.messages import one_line
from taxiway.paths import ROOT
from taxiway.program import PROGRAM_VARIABLE
from taxiway_local import environment
from taxiway_local.home import Home


def settings() -> Finding:
    """Can ``.env`` be read?"""
    if environment.PROBLEM:
        return fail(environment.PROBLEM, "correct the line: .env.example shows the form")
    return ok(".env can be read" if (Home.current().root / ".env").exists() else "no .env, so every default holds")


def set_up() -> Finding:
    """Has this checkout been set up, and is it still in its place?"""
    config, made_in = Home.current().airflow_config, ROOT / ".venv" / ".path"
    if not config.exists():
        return fail(f"{config} isn't there: this checkout isn't set up", "make setup")
    if made_in.exists() and made_in.read_text(encoding="utf-8").rstrip("\n") != str(ROOT):
        return fail(
            f".venv was made in {made_in.read_text(encoding='utf-8').rstrip()}: the checkout has moved", "make setup"
        )
    return ok(str(config))


OWN_CHECKS = (
    Check("settings", settings, "correct .env"),
    Check("setup", set_up, "make setup"),
)
"""What must be right before Airflow can start."""


def main() -> int:
    """Make all checks.

    :return: the exit code, that of ``airflow taxi doctor``
    """
    failed = _any_fails(OWN_CHECKS)
    code, said = (1, "") if failed else _ask_airflow()
    if said is None:
        return code
    _any_fails(machine.CHECKS)
    if said:
        mend = "mend what fails above; then bin/airflow version shows whether it starts"
        write_line("Airflow", fail(f"it doesn't start: {said}", mend), sys.stdout)
    return 1


def _any_fails(checks: Sequence[Check]) -> bool:
    states = []
    for name, finding in examine(checks):
        write_line(name, finding, sys.stdout)
        states.append(finding.state)
    return FAIL in states


def _ask_airflow() -> tuple[int, str | None]:
    """Run ``airflow taxi doctor``, and pass on what it writes.

    :return: its exit code; and the last line of its errors, if it ended before it made a check
    """
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        with subprocess.Popen(
            [sys.executable, "-m", "airflow", "taxi", "doctor"],
            env={PROGRAM_VARIABLE: "bin/airflow", **os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
        ) as process:
            started = False
            for line in process.stdout or ():
                started = started or bool(state_of(line))
                print(painted(line, sys.stdout), end="", flush=True)
        errors.seek(0)
        said = errors.read()
    if started:
        print(said, end="", file=sys.stderr)
        return process.returncode, None
    return process.returncode, one_line((said.strip().splitlines() or ["it said nothing"])[-1], 400)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
