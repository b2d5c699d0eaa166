"""The command lines that messages advise, with the program as the user calls it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

PROGRAM_VARIABLE = "TAXIWAY_PROGRAM"
"""Variable of the environment in which ``bin/airflow`` says how it was called."""


def airflow_command(*words: str) -> str:
    """Return a call of Airflow's command line, quoted for a shell.

    :param words: its subcommands and options
    """
    return shlex.join([program(), *words])


def program() -> str:
    """Return how the user calls ``airflow``: the word alone if it is on the PATH, or another program runs."""
    called = os.environ.get(PROGRAM_VARIABLE) or (sys.argv[0] if Path(sys.argv[0]).name == "airflow" else "airflow")
    name = Path(called).name
    return name if called == shutil.which(name) else called
