"""``bin/airflow`` finds its checkout from wherever it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.paths import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    checkout = tmp_path / "a checkout"
    (checkout / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "bin" / "airflow", checkout / "bin" / "airflow")
    return checkout


def call(command: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AIRFLOW_HOME": "/somewhere/else"}
    return subprocess.run(
        [command, *arguments], cwd="/", env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_before_setup_it_says_what_to_do(checkout: Path) -> None:
    done = call(checkout / "bin" / "airflow", "version")

    assert done.returncode == 1
    assert f"run 'make setup' in {checkout}" in done.stderr


def test_through_a_link_from_another_folder(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    shim = checkout / ".venv" / "bin" / "python"
    names = ("AIRFLOW_HOME", "TAXIWAY_PROGRAM", "PATH")
    shown = f"import os; print(*(os.environ[name].partition(os.pathsep)[0] for name in {names}), sep=os.linesep)"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{shown}" "$@"\n')
    shim.chmod(0o755)
    (checkout / "airflow.cfg").touch()
    (checkout / "plugins" / "taxiway").mkdir(parents=True)
    link = tmp_path / "af"
    link.symlink_to(checkout / "bin" / "airflow")

    # Tasks with an environment of their own call the checkout's Python by its name.
    assert call(link).stdout.splitlines() == [str(checkout), str(link), str(checkout / ".venv" / "bin")]
