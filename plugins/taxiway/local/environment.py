"""The environment of every Python process of the project's virtual environment.

``make setup`` leaves a line in the virtual environment that imports this module
when Python starts, so that plain ``airflow``, ``python`` and ``pytest`` know the
project without anything being activated or exported. It imports nothing heavy:
every task's process pays for it.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The repository's root. Not taken from ``core.paths``: this module stands alone."""

SERVICES_ENVIRONMENT = ".taxiway/services.env"
"""Where ``make up`` writes the settings of the services that it started, below ``AIRFLOW_HOME``."""


def apply() -> None:
    """Point Airflow at this repository, and read ``.env`` and the running services' settings.

    What the caller's environment already sets wins, but for ``AIRFLOW_HOME``: one that belongs to
    another Airflow, exported in a shell's profile, would mix two installations.
    """
    given = os.environ.get("AIRFLOW_HOME")
    if not given or not (Path(given) / "plugins" / "taxiway").is_dir():
        os.environ["AIRFLOW_HOME"] = str(ROOT)
    home = Path(os.environ["AIRFLOW_HOME"])
    for path in (home / ".env", home / SERVICES_ENVIRONMENT):
        for name, value in read_env_file(path).items():
            os.environ.setdefault(name, value)


def read_env_file(path: Path) -> dict[str, str]:
    """Read ``KEY=value`` lines as Docker Compose does: comments, empty lines and quotes around a value.

    :param path: the file; one that is absent holds nothing
    :return: names and values
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    values = {}
    for line in lines:
        name, separator, value = line.strip().partition("=")
        if not separator or name.startswith("#"):
            continue
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        elif value and not value.startswith(("'", '"', "{")):
            value = value.partition(" #")[0].rstrip()
        values[name.removeprefix("export ").strip()] = value
    return values


apply()
