"""`make down` and `make clean` stop what a killed benchmark or demo has left; one that is running is left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from taxiway.paths import ROOT
from taxiway_local.own_home import clear_leftovers

RUN = """
import sys
from pathlib import Path
from taxiway_local import database
from taxiway_local.own_home import own_home

with own_home(Path(".taxiway"), "demo-gcp", print) as home:
    database.start(home)
    print(home.root, flush=True)
    sys.stdin.read()
"""
"""A run that has its server, and waits."""


def environment(checkout: Path) -> dict[str, str]:
    """That of a shell, with the checkout's own code."""
    names = [name for name in os.environ if not name.startswith(("AIRFLOW", "MAKE")) and name != "MFLAGS"]
    return {**{name: os.environ[name] for name in names}, "PYTHONPATH": str(checkout / "plugins")}


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A checkout with what the two commands need, whose Python is this one."""
    # Not below pytest's own folder: the server's user must pass.
    with tempfile.TemporaryDirectory(prefix="taxiway-checkout-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        shutil.copy(ROOT / "Makefile", folder)
        for part in ("config", "include", "plugins"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        python = folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        try:
            yield folder
        finally:
            clear_leftovers(folder / ".taxiway", print)  # of a test that failed


def make(checkout: Path, target: str) -> subprocess.CompletedProcess[str]:
    """Run one of the Makefile's targets in the checkout."""
    command = ["make", target]
    return subprocess.run(
        command, cwd=checkout, env=environment(checkout), capture_output=True, text=True, timeout=300, check=False
    )


def begin(checkout: Path) -> tuple[subprocess.Popen[str], Path, psutil.Process]:
    """Begin a run, and return it with its folder and its server."""
    run = subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=checkout,
        env=environment(checkout),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    folder = Path(run.stdout.readline().strip())
    pid = int((folder / ".taxiway" / "postgres" / "postmaster.pid").read_text().split()[0])
    return run, folder, psutil.Process(pid)


def runs(process: psutil.Process) -> bool:
    """Say whether a process runs; one that has ended may wait for whoever adopted it to notice."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_running_command_is_left_alone_and_a_killed_one_is_cleared_up(checkout: Path) -> None:
    run, folder, server = begin(checkout)
    with run:
        try:
            refused = make(checkout, "clean")  # which does what down does first
            assert refused.returncode == 2
            assert f"make bench or make demo-gcp is running in {folder}: stop it with Ctrl-C" in refused.stderr
            assert runs(server)
            assert folder.is_dir()
        finally:
            run.kill()
    assert runs(server)

    down = make(checkout, "down")

    assert down.returncode == 0, down.stderr
    assert f"removing {folder}, which a killed run has left" in down.stdout
    assert not runs(server)
    assert not folder.exists()

    assert make(checkout, "clean").returncode == 0
    assert not (checkout / ".taxiway").exists()
    assert not (checkout / ".venv").exists()
