"""The environment of every Python process of the project's virtual environment.

``make setup`` writes a line into the virtual environment that imports this module when Python starts. So ``airflow``,
``python`` and ``pytest`` know the project, and you need not activate or export anything. It imports nothing heavy:
every task's process pays for it. From here on, Ctrl-C ends a backfill that is
still starting with one line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from taxiway.proxies import spare_loopback
from taxiway_local.env_file import SERVICES_ENVIRONMENT, EnvFileError, read_assignments

ROOT = Path(__file__).resolve().parents[2]
"""The repository's root. Not taken from ``taxiway.paths``: this module stands alone."""

PROBLEM: str | None = None
"""Why the settings could not be read; said when Python started. Commands then refuse to work: see ``exits.py``."""


def apply() -> None:
    """Point Airflow at this repository, and read ``.env`` and the running services' settings.

    The caller's environment wins over ``.env``, with two exceptions: an ``AIRFLOW_HOME`` that isn't Taxiway's, and an
    ``AIRFLOW_CONFIG`` outside ``AIRFLOW_HOME``. A shell's profile may export them for another Airflow, and they would
    mix two installations. To use such a file on purpose, name it in ``.env``.
    """
    global PROBLEM
    given = os.environ.get("AIRFLOW_HOME")
    if not given or not (Path(given) / "plugins" / "taxiway").is_dir():
        os.environ["AIRFLOW_HOME"] = str(ROOT)
    home = Path(os.environ["AIRFLOW_HOME"])
    if not is_inside(os.environ.get("AIRFLOW_CONFIG", ""), home):
        os.environ.pop("AIRFLOW_CONFIG", None)
    try:
        for path in (home / ".env", home / SERVICES_ENVIRONMENT):
            for name, value in read_assignments(path).items():
                os.environ.setdefault(name, value)
    except EnvFileError as error:
        PROBLEM = str(error)
        print(f"Taxiway: {PROBLEM}", file=sys.stderr)
    spare_loopback(os.environ)


def is_inside(path: str, home: Path) -> bool:
    """Say whether a path, as Airflow expands it, lies below a folder."""
    expanded = Path(os.path.expanduser(os.path.expandvars(path)))  # noqa: PTH111 - the path may be empty
    return bool(path) and expanded.resolve().is_relative_to(home.resolve())


# A Python script, or a module by -m; sys.argv doesn't have the module's name yet.
if sys.argv[1:3] == ["dags", "backfill"] and Path(sys.orig_argv[-len(sys.argv)]).name == "airflow":
    # Airflow itself takes a second until it reads its local settings.
    from dags_backfill.signals import end_at_once_on_ctrl_c

    end_at_once_on_ctrl_c()
apply()
