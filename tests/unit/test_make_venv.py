"""bin/make-venv installs one lock: here, one of a wheel that this test makes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from taxiway.core.paths import ROOT


def wheel(folder: Path) -> Path:
    """Make the wheel of a package of one module."""
    path = folder / "tiny_trip-1.0-py3-none-any.whl"
    info = "tiny_trip-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("tiny_trip.py", "DISTANCE = 1.5\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-trip\nVersion: 1.0\n")
        file.writestr(f"{info}/RECORD", f"tiny_trip.py,,\n{info}/WHEEL,,\n{info}/METADATA,,\n{info}/RECORD,,\n")
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script, and a lock of one wheel."""
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "bin" / "make-venv", tmp_path / "bin")
    digest = hashlib.sha256(wheel(tmp_path).read_bytes()).hexdigest()
    (tmp_path / "requirements.txt").write_text(f"tiny-trip==1.0 \\\n    --hash=sha256:{digest}\n")
    return tmp_path


def make_venv(checkout: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the script where pip's own settings say that packages come from the folder alone."""
    environment = {
        "HOME": str(checkout),
        "PATH": os.environ["PATH"],
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(checkout),
        **settings,
    }
    command = [str(checkout / "bin" / "make-venv"), "requirements.txt", sys.executable]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_settings_of_pip_decide_where_packages_come_from(checkout: Path) -> None:
    done = make_venv(checkout)

    assert done.returncode == 0, done.stderr
    assert "pip installs requirements.txt" in done.stdout
    assert not (checkout / ".venv" / "bin" / "uv").exists()
    assert len(list((checkout / ".venv").rglob("tiny_trip.py"))) == 1


def test_another_file_than_the_locked_one_is_refused(checkout: Path) -> None:
    lock = checkout / "requirements.txt"
    lock.write_text(lock.read_text()[:-65] + "0" * 64 + "\n")

    done = make_venv(checkout)

    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert list((checkout / ".venv").rglob("tiny_trip.py")) == []


def test_a_lock_that_lacks_a_package_ends_the_install(checkout: Path) -> None:
    """No resolver adds what is missing: the check after the install names it."""
    path = checkout / "tiny_trip-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            more = b"Requires-Dist: absent-package\n" if name.endswith("METADATA") else b""
            file.writestr(name, content + more)
    lock = checkout / "requirements.txt"
    lock.write_text(lock.read_text()[:-65] + hashlib.sha256(path.read_bytes()).hexdigest() + "\n")

    done = make_venv(checkout)

    assert done.returncode != 0
    assert "tiny-trip 1.0 requires absent-package, which is not installed" in done.stderr
