"""bin/make-venv installs one lock: here, one of a wheel that this test makes."""

from __future__ import annotations

import hashlib
import os
import platform
import select
import shutil
import socket
import socketserver
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import packaging
import pytest
import socks

from taxiway.paths import ROOT
from tests.socks_proxy import SocksProxy, served


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


@dataclass(frozen=True)
class Made:
    """A virtual environment with pip, as the script makes it.

    :param said: what the script has printed
    """

    venv: Path
    said: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One for all tests: to make it takes most of the script's time. The wheel of the lock is taken out again."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "bin").mkdir()
    shutil.copy(ROOT / "bin" / "make-venv", folder / "bin")
    (folder / "requirements.txt").write_text(wheel(folder, "made-trip"))
    done = make_venv(folder)
    assert done.returncode == 0, done.stderr
    (made_trip,) = (folder / ".venv").rglob("made_trip.py")
    for path in made_trip.parent.glob("made_trip*"):
        path.unlink() if path.is_file() else shutil.rmtree(path)
    (made_trip.parent / "taxiway.pth").unlink()  # written when an install is done
    return Made(folder / ".venv", done.stdout)


@pytest.fixture
def with_venv(checkout: Path, made: Made) -> Path:
    """The folder, in which the virtual environment is there already, and nothing is installed."""
    shutil.copytree(made.venv, checkout / ".venv", symlinks=True)
    return checkout


def make_venv(checkout: Path, python: str = sys.executable, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the script where pip's own settings say that packages come from the folder alone."""
    environment = {
        "HOME": str(checkout),
        "PATH": os.environ["PATH"],
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(checkout),
        **settings,
    }
    command = [str(checkout / "bin" / "make-venv"), "requirements.txt", *([python] if python else [])]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_settings_of_pip_decide_where_packages_come_from(made: Made) -> None:
    """The wheel was there alone."""
    assert "pip installs requirements.txt" in made.said
    assert not (made.venv / "bin" / "uv").exists()


def test_a_home_that_cannot_be_written_to_is_not_complained_of(with_venv: Path) -> None:
    done = make_venv(with_venv, HOME="/dev/null")

    assert (done.returncode, done.stderr) == (0, "")


def test_another_file_than_the_locked_one_is_refused(with_venv: Path) -> None:
    lock = with_venv / "requirements.txt"
    lock.write_text(lock.read_text()[:-65] + "0" * 64 + "\n")

    done = make_venv(with_venv)

    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert list((with_venv / ".venv").rglob("tiny_trip.py")) == []


def test_a_lock_that_lacks_a_package_ends_the_install(with_venv: Path) -> None:
    """No resolver adds what is missing: the check after the install names it."""
    (with_venv / "requirements.txt").write_text(wheel(with_venv, requires="absent-package"))

    done = make_venv(with_venv)

    assert done.returncode != 0
    assert "tiny-trip 1.0 requires absent-package, which is not installed" in done.stderr


def test_what_an_older_lock_has_left_is_named_and_the_advice_leads_on(with_venv: Path) -> None:
    lock = with_venv / "requirements.txt"
    lock.write_text(lock.read_text() + wheel(with_venv, "old-trip", requires="tiny-trip<2"))
    assert make_venv(with_venv).returncode == 0
    lock.write_text(wheel(with_venv, version="2.0"))

    refused = make_venv(with_venv)

    assert refused.returncode != 0
    assert "old-trip 1.0 has requirement tiny-trip<2" in refused.stderr
    assert "rm -rf .venv, and try again" in refused.stderr
    shutil.rmtree(with_venv / ".venv")
    assert make_venv(with_venv).returncode == 0


def without_pythons(checkout: Path, said: str) -> str:
    """Return a PATH whose every Python is one that says its version, and can do no more."""
    folder = checkout / "other"
    folder.mkdir(exist_ok=True)
    for name in ("python3", "python3.13", "python3.12", "python3.11", "python3.10", "python"):
        (folder / name).write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{said}"\n')
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_without_a_supported_python_one_is_asked_for_and_what_is_half_made_is_made_anew(checkout: Path) -> None:
    """Python makes .venv first, and puts pip into it afterwards."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(checkout / ".venv")], check=True)
    for version in ("3.9.18", "3.14.0"):
        done = make_venv(checkout, python="", PATH=without_pythons(checkout, f"Python {version}"))

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"No Python 3.10, 3.11, 3.12 or 3.13 here (python3 is Python {version}): install one, or name it: make "
            "setup PYTHON=/path/to/python3.12\n"
        )
    # What it advises leads on.
    done = make_venv(checkout, PATH=os.environ["PATH"])
    assert done.returncode == 0, done.stderr
    assert len(list((checkout / ".venv").rglob("tiny_trip.py"))) == 1


def test_a_named_python_that_does_not_fit_is_refused_and_no_other_is_taken(checkout: Path) -> None:
    path = without_pythons(checkout, "Python 3.9.18")
    for name, said in (
        (path.partition(":")[0] + "/python3", "Python 3.9.18"),
        ("/nowhere/python3.12", "not one that runs"),
    ):
        done = make_venv(checkout, python=name)

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"PYTHON={name} is {said}, expected Python 3.10, 3.11, 3.12 or 3.13: name another, or leave PYTHON out\n"
        )
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_named_with_its_package(checkout: Path) -> None:
    """As Debian's is until python3-venv is installed."""
    (checkout / "lacking").mkdir()
    (checkout / "lacking" / "ensurepip.py").write_text("raise ImportError('not here')\n")

    done = make_venv(checkout, PYTHONPATH=str(checkout / "lacking"))

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"{sys.executable} (Python {platform.python_version()}) has no working venv module, expected one: on Debian "
        f"and Ubuntu, run apt-get install python{version}-venv; or name another Python: make setup "
        "PYTHON=/path/to/python3.12\n"
    )


class Tunnel(SocksProxy):
    """One for a client that is in the network of one server."""

    beyond: tuple[str, int]

    def handle(self) -> None:
        super().handle()
        with socket.create_connection(self.beyond, timeout=30) as server:
            pairs = {self.connection: server, server: self.connection}
            while True:
                for source in select.select(list(pairs), [], [], 30)[0] or [None]:
                    if not (data := source.recv(65536) if source else b""):
                        return
                    pairs[source].sendall(data)


def test_a_socks_proxy_is_used_with_the_pysocks_of_the_python_here(with_venv: Path) -> None:
    """pip needs PySocks to fetch the PySocks of the lock."""
    checkout = with_venv
    index = checkout / "simple" / "tiny-trip"
    index.mkdir(parents=True)
    (whl,) = checkout.glob("*.whl")
    whl.rename(index / whl.name)
    (index / "index.html").write_text(f'<a href="{whl.name}">{whl.name}</a>')
    pythons = {}
    for name, module in {"having": Path(socks.__file__).read_text(), "lacking": "raise ImportError"}.items():
        (checkout / name).mkdir()
        (checkout / name / "socks.py").write_text(module)
        pythons[name] = checkout / name / "python3"
        pythons[name].write_text(f'#!/bin/sh\nPYTHONPATH="{checkout}/{name}" exec "{sys.executable}" "$@"\n')
        pythons[name].chmod(0o755)
    asked: list[bytes] = []
    files = partial(SimpleHTTPRequestHandler, directory=str(checkout))
    with (
        served(ThreadingHTTPServer(("127.0.0.1", 0), files)) as beyond,
        served(
            socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("To", (Tunnel,), {"beyond": beyond, "asked": asked}))
        ) as proxy,
    ):
        settings = {
            "ALL_PROXY": f"socks5h://127.0.0.1:{proxy[1]}",
            "PIP_NO_INDEX": "0",
            "PIP_FIND_LINKS": "",
            "PIP_INDEX_URL": "http://index.test/simple",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_TRUSTED_HOST": "index.test",
        }
        lacking = make_venv(checkout, str(pythons["lacking"]), **settings)
        done = make_venv(checkout, str(pythons["having"]), **settings)

    assert lacking.returncode == 1
    assert lacking.stderr == (
        f"pip can't use the SOCKS proxy that ALL_PROXY or https_proxy names, for {pythons['lacking']} has no PySocks: "
        "install it (Debian and Ubuntu: apt-get install python3-socks, then make setup PYTHON=/usr/bin/python3), or "
        "give https_proxy an HTTP proxy for the install: https_proxy=http://HOST:PORT make setup\n"
    )
    assert done.returncode == 0, done.stderr
    assert set(asked) == {b"index.test"}
    assert len(list((checkout / ".venv").rglob("tiny_trip.py"))) == 1


def test_the_doctor_advises_what_installs_the_versions_of_the_lock(with_venv: Path) -> None:
    libraries = with_venv / "libraries"
    libraries.mkdir()
    (libraries / "packaging").symlink_to(Path(packaging.__file__).parent)
    environment = {
        "HOME": str(with_venv),
        "PATH": os.environ["PATH"],
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(with_venv),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(libraries)]),
    }
    look = (
        "from pathlib import Path; from taxiway.doctor.machine import packages; "
        "found = packages([Path('requirements.txt')]); print(found.state, found.found, found.mend, sep='\\n')"
    )

    def run(command: Sequence[str] | str, *, shell: bool = False) -> list[str]:
        done = subprocess.run(
            command, cwd=with_venv, env=environment, shell=shell, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    python = str(with_venv / ".venv" / "bin" / "python")
    state, found, mend = run([python, "-c", look])
    assert (state, found) == ("fail", "tiny-trip is absent, expected 1.0")
    run(mend.partition(" (")[0], shell=True)
    assert run([python, "-c", look])[:2] == ["ok", "all 1 packages of requirements.txt are installed"]

    # Another version than the lock's, as an upgrade by hand leaves it.
    with_venv.joinpath("requirements.txt").write_text(wheel(with_venv, version="1.1"))
    state, found, mend = run([python, "-c", look])
    assert (state, found) == ("fail", "tiny-trip is 1.0, expected 1.1")
    run(mend.partition(" (")[0], shell=True)
    assert run([python, "-c", look])[0] == "ok"
