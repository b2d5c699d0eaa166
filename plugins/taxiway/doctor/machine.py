"""The checks of the machine: Python, packages, disk, memory. They need no package but the one that each looks with."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from taxiway.doctor.check import Check, Finding, fail, ok, warn
from taxiway.paths import ROOT
from taxiway.settings import format_size

LOCKS = (ROOT / "requirements.txt", Path("/opt/taxiway/requirements.txt"))
"""What must be installed: of the checkout, and of the image that a container runs (``Dockerfile``)."""

OLDEST, NEWEST = (3, 10), (3, 13)
"""Versions of Python that Taxiway is tested on."""

LEAST_DISK, LITTLE_DISK = 10**9, 5 * 10**9
"""Bytes: with less than the first no month of the large sources fits, less than the second is soon used up."""

LEAST_MEMORY, LITTLE_MEMORY = 250 * 10**6, 10**9
"""Bytes: with less than the first a task may be killed, with less than the second :data:`MOST_TASKS` at once."""

MOST_TASKS = 8
"""Tasks that run at once, unless ``AIRFLOW__CORE__PARALLELISM`` says fewer."""

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says how much memory a container may have."""


def python() -> Finding:
    """Is this Python one that Taxiway is tested on?"""
    found = ".".join(map(str, sys.version_info[:3]))
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return ok(f"Python {found}, in {sys.prefix}")
    return fail(
        f"Python {found}, expected 3.{OLDEST[1]} to 3.{NEWEST[1]}",
        "rm -rf .venv, then make setup PYTHON=/path/to/python3.12",
    )


def packages(locks: Sequence[Path] = LOCKS) -> Finding:
    """Are the packages of the lock installed, in its versions?

    :param locks: the first one that is there counts
    """
    from packaging.requirements import Requirement

    lock = next((path for path in locks if path.exists()), None)
    if lock is None:
        return ok("no requirements.txt here to compare with")
    wrong, number = [], 0
    for line in lock.read_text(encoding="utf-8").splitlines():
        if not re.match("[A-Za-z0-9]", line):
            continue
        locked = Requirement(line.rstrip(" \\"))
        if locked.marker is not None and not locked.marker.evaluate():
            continue
        number += 1
        expected = str(locked.specifier).removeprefix("==")
        try:
            found = version(locked.name)
        except PackageNotFoundError:
            found = "absent"
        if found != expected:
            wrong.append(f"{locked.name} is {found}, expected {expected}")
    if not wrong:
        return ok(f"all {number} packages of {lock.name} are installed")
    more = f", and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return fail(
        f"{'; '.join(wrong[:5])}{more}",
        f"bin/make-venv {lock.name} (containers: docker compose up -d --build --wait)",
    )


def disk(folder: Path | None = None) -> Finding:
    """Is there room for logs, downloads and embedded Postgres?

    :param folder: on the disk; ``AIRFLOW_HOME`` unless given
    """
    folder = folder or Path(os.environ.get("AIRFLOW_HOME") or ROOT)
    free = shutil.disk_usage(folder).free
    found = f"{format_size(free)} free in {folder}"
    if free >= LITTLE_DISK:
        return ok(found)
    home = shlex.quote(str(folder))
    mend = (
        f"make room: du -sh {home}/.taxiway/* {home}/logs shows what takes it up; the Variable taxiway_cache_limit "
        f"limits the cache"
    )
    expected = f"{found}, expected {format_size(LITTLE_DISK)} or more"
    return warn(expected, mend) if free >= LEAST_DISK else fail(expected, mend)


def memory() -> Finding:
    """Is there memory for a few tasks?"""
    import psutil

    free = psutil.virtual_memory().available
    where = ""
    limit, used = (_number(CGROUP / f"memory.{name}") for name in ("max", "current"))
    if limit is not None and used is not None and limit - used < free:
        free, where = max(limit - used, 0), " of the container's limit"
    found = f"{format_size(free)} free{where}"
    given = os.environ.get("AIRFLOW__CORE__PARALLELISM", "")
    tasks = min(int(given), MOST_TASKS) if given.isdecimal() else MOST_TASKS
    enough = max(LEAST_MEMORY, LITTLE_MEMORY * tasks // MOST_TASKS)
    if free >= enough:
        return ok(found)
    mend = (
        "end what needs memory, or let fewer tasks run at a time: AIRFLOW__CORE__PARALLELISM=2 in .env, "
        "then make down and make up"
    )
    expected = f"{found}, expected {format_size(enough)} or more for {tasks} tasks at a time"
    return warn(expected, mend) if free >= LEAST_MEMORY else fail(expected, mend)


def _number(path: Path) -> int | None:
    """Return the number in a file of the system's; None if there is no such file, or no limit."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


CHECKS = (
    Check("Python", python, "make setup"),
    Check("packages", packages, "rm -rf .venv, then make setup"),
    Check("disk", disk, "look whether the folder AIRFLOW_HOME is there, and readable"),
    Check("memory", memory, "bin/make-venv requirements.txt"),
)
"""All of them."""
