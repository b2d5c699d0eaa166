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


def wheel(folder: Path, name: str = "tiny-trip", version: str = "1.0", *, requires: str = "") -> str:
    """Make the wheel of a package of one module; return the lines of a lock that pin it.

    :param requires: another package that it asks for
    """
    module = name.replace("-", "_")
    path = folder / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    more = f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{module}.py", "DISTANCE = 1.5\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}")
        file.writestr(f"{info}/RECORD", f"{module}.py,,\n{info}/WHEEL,,\n{info}/METADATA,,\n{info}/RECORD,,\n")
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script, and a lock of one wheel."""
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "bin" / "make-venv", tmp_path / "bin")
    (tmp_path / "requirements.txt").write_text(wheel(tmp_path))
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
    (checkout / "requirements.txt").write_text(wheel(checkout, requires="absent-package"))

    done = make_venv(checkout)

    assert done.returncode != 0
    assert "tiny-trip 1.0 requires absent-package, which is not installed" in done.stderr


def test_what_an_older_lock_has_left_is_named_and_the_advice_leads_on(checkout: Path) -> None:
    lock = checkout / "requirements.txt"
    lock.write_text(lock.read_text() + wheel(checkout, "old-trip", requires="tiny-trip<2"))
    assert make_venv(checkout).returncode == 0
    lock.write_text(wheel(checkout, version="2.0"))

    refused = make_venv(checkout)

    assert refused.returncode != 0
    assert "old-trip 1.0 has requirement tiny-trip<2" in refused.stderr
    assert "rm -rf .venv, and try again" in refused.stderr
    shutil.rmtree(checkout / ".venv")
    assert make_venv(checkout).returncode == 0


def test_an_environment_that_was_left_half_made_is_made_anew(checkout: Path) -> None:
    """Python makes .venv first, and puts pip into it afterwards."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(checkout / ".venv")], check=True)

    done = make_venv(checkout)

    assert done.returncode == 0, done.stderr
    assert len(list((checkout / ".venv").rglob("tiny_trip.py"))) == 1
