"""A clean clone installs on each supported Python, with its oldest pip: ``make test-install``.

Not part of ``make test``: every install fetches half a gigabyte from the package index and unpacks 1.6 GB.
``TAXIWAY_TEST_INSTALL`` holds the Pythons, as names or paths; continuous integration tries one, before the suite.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from taxiway.paths import ROOT
from tests.locked import LOCKS, marker_environment, pins, requirements

OLDEST_PIP = {"3.10": "21.2.3", "3.11": "22.3", "3.12": "23.2.1", "3.13": "24.2"}
"""The pip that came with the first release of each Python. Debian 12 has 3.11 with pip 23.0.1."""

PYTHONS = os.environ.get("TAXIWAY_TEST_INSTALL", "").split()
pytestmark = pytest.mark.skipif(not PYTHONS, reason="make test-install runs it: each install unpacks 1.6 GB")


def ask(python: str, expression: str) -> str:
    """Return what a Python prints of an expression of :mod:`sys` and :mod:`platform`; nothing if it can't be run."""
    code = f"import platform, sys; print({expression})"
    # By a shell: a name in PATH may stand for a Python that a version manager doesn't have.
    found = subprocess.run(["sh", "-c", 'exec "$0" -c "$1"', python, code], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def version_of(python: str) -> str:
    """Return a Python's version, ``3.12.1``."""
    return ask(python, "platform.python_version()")


def line_of(python: str) -> str:
    """Return a Python's release line, ``3.12``."""
    return ".".join(version_of(python).split(".")[:2])


@pytest.fixture(scope="module", params=PYTHONS or [""])
def python(request: pytest.FixtureRequest) -> str:
    """The path of one Python itself, not of a version manager's stand-in for it."""
    name = str(request.param)
    found = ask(name, "sys.executable")
    if not found:
        pytest.skip(f"{name} is not on this machine: make test-install PYTHONS=/path/to/{name}")
    if line_of(found) not in OLDEST_PIP:
        pytest.fail(f"{name} is Python {version_of(found)}, expected {', '.join(OLDEST_PIP)}: name another in PYTHONS")
    if not ask(found, "__import__('ensurepip') and __import__('venv')"):
        pytest.fail(f"{name} has no venv module, expected one: apt-get install python{line_of(found)}-venv")
    return found


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """What the repository tracks, as a clean clone has it, with changes that aren't committed yet."""
    folder = tmp_path / "a clone"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    yield folder
    shutil.rmtree(folder)  # 1.6 GB


def bare_environment(home: Path, **settings: str) -> dict[str, str]:
    """That of a new user: no setting of this shell, of pip or of uv but what is given."""
    home.mkdir(exist_ok=True)
    return {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", **settings}


def run(folder: Path, environment: dict[str, str], *command: str) -> str:
    """Run a command to its end; return what it printed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


def installed(clone: Path, environment: dict[str, str]) -> set[tuple[str, str]]:
    """Names and versions of what ``.venv`` holds."""
    lines = run(clone, environment, ".venv/bin/python", "-m", "pip", "list", "--format=freeze").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {(canonicalize_name(name), version) for name, version in pairs}


def locked(python: str) -> set[tuple[str, str]]:
    """Names and versions that requirements.txt pins for a Python."""
    pinned = pins("requirements", marker_environment(version_of(python)))
    return {(name, next(iter(pin.specifier)).version) for name, pin in pinned.items()}


def test_the_oldest_pip_installs_the_lock_and_nothing_else(python: str, clone: Path, tmp_path: Path) -> None:
    """pip does it if uv can't: here, because it is sent to an index that nobody serves."""
    environment = bare_environment(tmp_path / "home", UV_DEFAULT_INDEX="http://127.0.0.1:9/simple")
    oldest = OLDEST_PIP[line_of(python)]
    run(clone, environment, python, "-m", "venv", ".venv")
    run(clone, environment, ".venv/bin/python", "-m", "pip", "install", "--quiet", f"pip=={oldest}")

    run(clone, environment, "bin/make-venv", "requirements.txt")

    found = installed(clone, environment)
    assert ("pip", oldest) in found
    assert found - locked(python) <= {(name, version) for name, version in found if name in ("pip", "setuptools")}
    assert locked(python) <= found
    assert run(clone, environment, ".venv/bin/airflow", "version").split()[-1] == "3.3.2"


def test_a_new_user_sees_the_demo(python: str, clone: Path, tmp_path: Path) -> None:
    environment = bare_environment(tmp_path / "home")
    try:
        printed = run(clone, environment, "make", "demo", "ROWS=100", f"PYTHON={python}")

        assert locked(python) <= installed(clone, environment)
        assert "12 of 12 months succeeded" in printed
    finally:
        run(clone, environment, "make", "down")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_resolver_adds_nothing_to_the_lock(python: str, lock: str, tmp_path: Path) -> None:
    """With the index's own metadata, also of releases that this machine's Python doesn't get."""
    version = version_of(python)
    resolved = tmp_path / "resolved.txt"
    command = [str(ROOT / ".venv" / "bin" / "uv"), "pip", "compile", "--quiet", "--system-certs", "--no-header"]
    run(
        ROOT,
        bare_environment(tmp_path / "home"),
        *(*command, "--no-annotate", "--no-strip-extras", "--python", python, "--python-version", version),
        *(f"{lock}.txt", "--output-file", str(resolved)),
    )

    def canonical(pin: Requirement) -> tuple[str, str, frozenset[str]]:
        return canonicalize_name(pin.name), str(pin.specifier), frozenset(map(canonicalize_name, pin.extras))

    expected = pins(lock, marker_environment(version)).values()
    assert {canonical(pin) for pin in requirements(resolved)} == {canonical(pin) for pin in expected}
