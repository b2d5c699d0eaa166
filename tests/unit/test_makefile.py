"""What the Makefile's targets call."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.paths import ROOT


def environment() -> dict[str, str]:
    """That of a shell: a make that runs this test would have its own go on, and print where it goes."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MAKE") and name not in {"MFLAGS", "TAXIWAY_TEST_GCP_PROJECT"}
    }


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``make`` in a folder, with the project's Makefile."""
    return subprocess.run(
        ["make", "--file", str(ROOT / "Makefile"), *arguments],
        cwd=folder,
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ((), "taxiway_local.psql"),
        (("AS=postgres",), '--as "postgres"'),
        (("AS=",), "taxiway_local.psql"),
    ],
)
def test_psql_is_opened_as_the_loader_unless_somebody_is_named(given: tuple[str, ...], called: str) -> None:
    """GNU make has a variable AS of its own: the assembler."""
    done = make(ROOT, "--dry-run", "psql", *given)

    assert done.returncode == 0
    assert done.stdout.strip().splitlines()[-1].rstrip().endswith(called)


@pytest.mark.parametrize("left", [None, "postgres/postmaster.pid", "services.json"])
def test_down_says_what_it_cannot_stop_without_a_python(left: str | None, tmp_path: Path) -> None:
    may_run = left is not None
    (tmp_path / ".taxiway" / "postgres").mkdir(parents=True)
    if left is not None:
        (tmp_path / ".taxiway" / left).touch()

    done = make(tmp_path, "down")

    assert done.stdout == ""
    # GNU make ends with 2 when a command of its ends with 1.
    assert done.returncode == (2 if may_run else 0)
    assert ("Airflow or embedded Postgres may still run: run make setup, then make down" in done.stderr) == may_run


def test_doctor_says_what_is_wrong_without_a_python(tmp_path: Path) -> None:
    done = make(tmp_path, "doctor")

    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "fail  setup: .venv isn't there, or its Python doesn't run",
        "      mend: make setup",
    ]


@pytest.mark.parametrize(("target", "stays"), [("help", True), ("down", True), ("doctor", True), ("lint", False)])
def test_what_needs_no_python_leaves_a_moved_environment_alone(target: str, stays: bool, tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".path").write_text("/elsewhere\n")

    make(tmp_path, "--dry-run", target)

    assert (tmp_path / ".venv").exists() == stays


@pytest.mark.parametrize(("given", "fits"), [(sys.executable, True), ("/no/python", False), ("/bin/true", False)])
def test_another_python_than_that_of_the_environment_is_refused(given: str, fits: bool, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "make-venv").symlink_to(ROOT / "bin" / "make-venv")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    shim = tmp_path / ".venv" / "bin" / "python"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    shim.chmod(0o755)

    done = make(tmp_path, "asked-python", f"PYTHON={given}")

    assert (done.returncode == 0) == fits
    assert (f"PYTHON={given} isn't what .venv was made with" in done.stderr) != fits
    assert ("rm -rf .venv" in done.stderr) != fits


def test_a_python_that_is_exported_is_meant_for_other_programs(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)

    done = make(tmp_path, "asked-python", PYTHON="/no/python")

    assert done.returncode == 0


def test_the_cloud_is_not_tested_without_one() -> None:
    """A run that skips everything would look like one that has passed."""
    done = make(ROOT, "--assume-old=.venv/.development", "test-gcp")

    assert done.returncode == 2
    assert "TAXIWAY_TEST_GCP_PROJECT is not set" in done.stderr


@pytest.mark.parametrize("variable", ["ROWS", "MONTHS", "ROUNDS"])
def test_a_size_of_the_benchmark_that_is_no_number_is_refused(variable: str) -> None:
    done = make(ROOT, "--assume-old=.venv/.bench", "bench", f"{variable}=abc")

    assert done.returncode == 2
    assert f"make bench: {variable.lower()}: found 'abc', expected a whole number\n" in done.stdout + done.stderr
    assert "usage" not in done.stdout + done.stderr


def test_the_tests_keep_what_python_compiles(tmp_path: Path) -> None:
    """A process of the tests compiles no module that another one has compiled, whatever the shell has exported."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "pytest").write_text('#!/bin/sh\necho "kept: ${PYTHONDONTWRITEBYTECODE-always}"\n')
    (programs / "pytest").chmod(0o755)
    stamps = [f".venv/{name}" for name in (".development", ".bench")]
    for stamp in stamps:
        (tmp_path / stamp).touch()

    done = make(tmp_path, *(f"--assume-old={stamp}" for stamp in stamps), "test", PYTHONDONTWRITEBYTECODE="1")

    assert (done.returncode, done.stdout) == (0, "kept: always\n"), done.stderr
