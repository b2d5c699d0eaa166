"""What a check is, how checks are made one after the other, and how their findings are written."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import IO

from taxiway.errors import TaxiwayError
from taxiway.messages import one_line, printable

OK, WARN, FAIL, SKIP = "ok", "warn", "fail", "skip"
"""Fine; it works, and there is a risk or something left; something doesn't work; not looked at."""

LONGEST_MEND = 10_000
"""Characters of what is to be done: it may name many tables."""

_THREAD = "check of "

_COLORS = {OK: "32", WARN: "33", FAIL: "1;31", SKIP: "2"}


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    :param state: :data:`OK`, :data:`WARN`, :data:`FAIL` or :data:`SKIP`
    :param found: in words
    :param mend: what to do; empty if nothing is to be done
    """

    state: str
    found: str
    mend: str = ""


def ok(found: str) -> Finding:
    """Return that all is fine."""
    return Finding(OK, found)


def warn(found: str, mend: str) -> Finding:
    """Return that it works, and that something is to be done all the same."""
    return Finding(WARN, found, mend)


def fail(found: str, mend: str) -> Finding:
    """Return that something doesn't work."""
    return Finding(FAIL, found, mend)


def skip(found: str) -> Finding:
    """Return that nothing was looked at, and why."""
    return Finding(SKIP, found)


@dataclass(frozen=True)
class Check:
    """A check.

    :param name: what it looks at
    :param look: looks; an error of it is a finding
    :param mend: what to do if it raises an error, or takes too long
    :param needs: name of a check before it, without which it can't look
    :param seconds: how long it may take
    """

    name: str
    look: Callable[[], Finding]
    mend: str
    needs: str = ""
    seconds: float = 30.0


def examine(checks: Sequence[Check]) -> Iterator[tuple[str, Finding]]:
    """Make checks one after the other; none keeps another from looking.

    If a check fails, those that need it are skipped. If it was skipped itself, nothing is said of them.

    :param checks: in their order
    :return: the name of each, and what it has found
    """
    states = dict[str, str]()
    for check in checks:
        needed = states.get(check.needs)
        if needed == SKIP:
            states[check.name] = SKIP
            continue
        if needed == FAIL:
            finding = skip(f"not looked at: mend first what is said of {check.needs}")
        else:
            finding = _within_its_time(check)
        states[check.name] = finding.state
        yield check.name, finding


def hangs(name: str) -> bool:
    """Say whether a check still waits for what it looks at.

    :param name: of the check
    """
    return any(thread.name == f"{_THREAD}{name}" for thread in threading.enumerate())


def any_hangs() -> bool:
    """Say whether a check still waits for what it looks at."""
    return any(thread.name.startswith(_THREAD) for thread in threading.enumerate())


def _within_its_time(check: Check) -> Finding:
    """Look in a thread, which is left alone if it takes too long: what it waits for can't be told to stop."""
    answers: queue.SimpleQueue[Finding] = queue.SimpleQueue()
    context = copy_context()
    threading.Thread(
        target=lambda: answers.put(context.run(_look, check)), name=f"{_THREAD}{check.name}", daemon=True
    ).start()
    try:
        return answers.get(timeout=check.seconds)
    except queue.Empty:
        return fail(f"no answer within {check.seconds:g} s", check.mend)


def _look(check: Check) -> Finding:
    try:
        finding = check.look()
        # Names and errors that it quotes may be anybody's.
        return replace(finding, found=printable(finding.found), mend=printable(finding.mend, LONGEST_MEND))
    except TaxiwayError as error:
        return fail(str(error), check.mend)
    except BaseException as error:  # a library may also raise SystemExit
        return fail(f"{type(error).__name__}: {one_line(str(error), 300)}", check.mend)


def write_line(name: str, finding: Finding, stream: IO[str]) -> None:
    """Write what a check has found in one line, and what mends it in another.

    A long line isn't broken: a command in it can be copied.

    :param name: of the check
    :param stream: written to, and flushed
    """
    mend = f"\n      mend: {finding.mend}" if finding.mend else ""
    print(painted(f"{finding.state:<5} {name}: {finding.found}{mend}", stream), file=stream, flush=True)


def painted(line: str, stream: IO[str]) -> str:
    """Return a line with its state in a colour, if it goes to a terminal.

    :param line: as :func:`write_line` writes it; any other stays as it is
    :param stream: where it goes to
    """
    color = state_of(line) and stream.isatty() and not os.environ.get("NO_COLOR") and _COLORS[state_of(line)]
    return f"\x1b[{color}m{line[:5]}\x1b[0m{line[5:]}" if color else line


def state_of(line: str) -> str:
    """Return the state that a line begins with; empty if it is no line of a check."""
    state = line[:5].rstrip()
    return state if state in _COLORS and line[5:6] == " " else ""
