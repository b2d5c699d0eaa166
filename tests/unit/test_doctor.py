"""Checks stand alone and have a time limit; the checks of the machine find what is wrong with it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from taxiway.doctor import machine
from taxiway.doctor.check import FAIL, OK, SKIP, WARN, Check, Finding, any_hangs, examine, fail, ok, painted, write_line
from taxiway.errors import SettingError
from taxiway.next_try import of_command
from taxiway.paths import ROOT
from taxiway_local import doctor as local_doctor


def raising(error: BaseException) -> Check:
    def look() -> Finding:
        raise error

    return Check("it", look, "mend it")


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (SettingError("the size is 'x'"), "the size is 'x'"),
        (KeyError("conn"), "KeyError: 'conn'"),
        (SystemExit(3), "SystemExit: 3"),
        (ImportError("No module named 'x'\n  second line"), "ImportError: No module named 'x' second line"),
    ],
)
def test_an_error_is_a_finding_in_one_line(error: BaseException, found: str) -> None:
    assert list(examine([raising(error)])) == [("it", Finding(FAIL, found, "mend it"))]


def test_what_a_check_quotes_is_printable() -> None:
    ((_, found),) = examine([Check("it", lambda: fail("a\x1b[2Jb", "c\nd"), "")])

    assert found == Finding(FAIL, "a\\x1b[2Jb", "c\\nd")


def test_a_check_that_hangs_is_left_alone_and_the_next_one_is_made() -> None:
    end = threading.Event()
    try:
        hanging = Check("mirror", lambda: ok(str(end.wait(60))), "pull the plug", seconds=0.05)
        assert list(examine([hanging, Check("disk", lambda: ok("fine"), "")])) == [
            ("mirror", Finding(FAIL, "no answer within 0.05 s", "pull the plug")),
            ("disk", Finding(OK, "fine")),
        ]
        assert any_hangs()
    finally:
        end.set()


def test_what_a_failed_check_is_needed_for_is_skipped() -> None:
    checks = [
        Check("a", lambda: fail("x", "y"), ""),
        Check("b", lambda: ok("never asked"), "", needs="a"),
        Check("c", lambda: ok("never asked"), "", needs="b"),
        Check("d", lambda: ok("fine"), "", needs="not there"),
    ]

    states = {name: finding.state for name, finding in examine(checks)}

    assert states == {"a": FAIL, "b": SKIP, "d": OK}, "of c nothing is said"


def test_an_error_knows_that_no_task_is_at_work() -> None:
    def look() -> Finding:
        raise SettingError("The task is tried again")

    with of_command():
        ((_, found),) = examine([Check("it", look, "mend it")])

    assert found.found == "Give the command again"


def test_a_line_is_coloured_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    file, terminal = io.StringIO(), Terminal()
    for stream in (file, terminal):
        write_line("disk", fail("it is full", "make room"), stream)

    assert file.getvalue() == "fail  disk: it is full\n      mend: make room\n"
    assert terminal.getvalue() == "\x1b[1;31mfail \x1b[0m disk: it is full\n      mend: make room\n"
    assert painted("      mend: make room", terminal) == "      mend: make room"
    monkeypatch.setenv("NO_COLOR", "1")
    assert painted("ok    disk: fine", terminal) == "ok    disk: fine"


def test_a_checkout_that_has_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setattr(local_doctor, "ROOT", tmp_path)
    assert local_doctor.set_up() == fail(
        f"{tmp_path}/airflow.cfg isn't there: this checkout isn't set up", "make setup"
    )
    (tmp_path / "airflow.cfg").touch()
    assert local_doctor.set_up().state == OK

    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".path").write_text("/elsewhere\n")

    assert local_doctor.set_up() == fail(".venv was made in /elsewhere: the checkout has moved", "make setup")
    (tmp_path / ".venv" / ".path").write_text(f"{tmp_path}\n")
    assert local_doctor.set_up().state == OK


def test_a_setting_that_is_none(tmp_path: Path) -> None:
    look = "from taxiway_local.doctor import settings; found = settings(); print(found.state, found.found, found.mend)"

    def said() -> str:
        environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "plugins")}
        done = subprocess.run(
            [sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
        )
        return done.stdout

    (tmp_path / "plugins").symlink_to(ROOT / "plugins")
    (tmp_path / ".env").write_text("half a setting\n")
    broken = said()
    (tmp_path / ".env").write_text("HALF_A=setting\n")

    assert broken.startswith(f"fail {tmp_path}/.env can't be read: found text without = in line 1")
    assert "correct the line: .env.example shows the form" in broken
    assert said() == "ok .env can be read \n"


def test_a_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.python().state == OK

    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    found = machine.python()

    assert (found.state, found.found) == (FAIL, "Python 3.9.18, expected 3.10 to 3.13")
    assert "make setup PYTHON=" in found.mend


def test_packages_are_compared_with_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        "# a comment\n"
        "psutil==0.1 \\\n    --hash=sha256:00\n"
        f"PyTest=={pytest.__version__} \\\n"
        "no-such-package==1.0\n"
        'only-elsewhere==1.0 ; sys_platform == "plan9" \\\n'
    )

    found = machine.packages([lock])

    assert found.state == FAIL
    assert found.found == f"psutil is {psutil.__version__}, expected 0.1; no-such-package is absent, expected 1.0"
    lock.write_text(f"pytest=={pytest.__version__}\n")
    assert machine.packages([tmp_path / "absent.txt", lock]) == ok("all 1 packages of requirements.txt are installed")
    assert machine.packages([tmp_path / "absent.txt"]).state == OK


FILLED = """
import subprocess, sys
from pathlib import Path
from taxiway.doctor import machine
machine.LEAST_DISK, machine.LITTLE_DISK = 4 * 10**6, 10**7
home = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", home], check=True)
(home / "logs").mkdir()
(home / ".taxiway" / "cache").mkdir(parents=True)
kept = home / ".taxiway" / "cache" / "kept"
for size in (1, 12, 18):
    kept.write_bytes(bytes(size * 2**20))
    found = machine.disk(home)
    print(found.state, found.found)
command = found.mend.removeprefix("make room: ").partition(" shows ")[0]
print(subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout)
kept.unlink()
print(machine.disk(home).state)
"""
"""Fills a small disk of its own, and makes room as the advice says."""


def test_a_disk_without_room(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    home.mkdir()
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives users no mounts of their own (unshare --user --mount)")

    done = subprocess.run(
        [*alone, sys.executable, "-c", FILLED, str(home)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )

    ample, little, least, *taken, again = done.stdout.splitlines()
    assert [line.split()[0] for line in (ample, little, least, again)] == [OK, WARN, FAIL, OK]
    assert f"free in {home}, expected 10.0 MB or more" in little
    assert f"18M\t{home}/.taxiway/cache" in taken


def test_a_disk_that_is_not_there() -> None:
    assert machine.disk(Path("/proc")).state == FAIL  # a file system of size 0


@pytest.mark.filterwarnings("ignore:.* memory stats couldn't be determined")  # a meminfo has more lines
@pytest.mark.parametrize(("free", "state"), [(2_000_000, OK), (600_000, WARN), (100_000, FAIL)])
def test_memory_is_what_linux_says(free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path), raising=False)
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    fields = {
        "MemTotal": 8_000_000,
        "MemFree": 0,
        "MemAvailable": free,
        "Buffers": 0,
        "Cached": 0,
        "Active": 0,
        "Inactive": 0,
    }
    (tmp_path / "meminfo").write_text("".join(f"{name}: {size} kB\n" for name, size in fields.items()))

    monkeypatch.delenv("AIRFLOW__CORE__PARALLELISM", raising=False)
    found = machine.memory()
    assert found.state == state
    # What it advises mends it, unless there is none left for one task.
    if state != OK:
        variable, _, tasks = found.mend.partition("AIRFLOW__")[2].partition(" ")[0].partition("=")
        monkeypatch.setenv(f"AIRFLOW__{variable}", tasks)
        assert machine.memory().state == (OK if state == WARN else FAIL)
        monkeypatch.delenv("AIRFLOW__CORE__PARALLELISM")

    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert machine.memory().state == state
    (tmp_path / "memory.max").write_text(f"{300 * 10**6 + 1000}\n")
    found = machine.memory()
    assert found.state == (FAIL if state == FAIL else WARN)
    assert ("300.0 MB free of the container's limit" in found.found) == (state != FAIL)
