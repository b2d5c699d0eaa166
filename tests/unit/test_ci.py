"""What continuous integration installs starts nothing, and the machine is as it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from taxiway.paths import ROOT

INVOKE = shutil.which("deb-systemd-invoke")
OWN = "#!/bin/sh\nexit 0\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The part of a Debian with systemd that packages ask: a systemctl that only notes what it is told."""
    (tmp_path / "usr" / "sbin").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n[ "$2" != is-enabled ] || echo enabled\n')
    systemctl.chmod(0o755)
    return tmp_path


def policy(machine: Path) -> Path:
    return machine / "usr" / "sbin" / "policy-rc.d"


def give_policy(machine: Path) -> None:
    policy(machine).write_text(OWN)
    policy(machine).chmod(0o755)


def environment(machine: Path) -> dict[str, str]:
    return {"PATH": f"{machine / 'bin'}:{os.environ['PATH']}", "DPKG_ROOT": str(machine)}


def run(machine: Path, *command: str) -> int:
    return subprocess.run(command, env=environment(machine), check=False).returncode


def installing(*command: str) -> list[str]:
    return [str(ROOT / ".ci" / "without-services"), *command]


@pytest.mark.skipif(
    INVOKE is None, reason="no deb-systemd-invoke: not a Debian, or one without its init-system-helpers"
)
@pytest.mark.parametrize("has_policy", [False, True])
def test_a_package_starts_no_service(has_policy: bool, machine: Path) -> None:
    if has_policy:
        give_policy(machine)
    start = ("deb-systemd-invoke", "start", "docker.service")
    assert run(machine, *installing(*start)) == 0
    assert not (machine / "asked").exists()
    assert policy(machine).exists() == has_policy

    # Afterwards, or without, it would.
    assert run(machine, *start) == 0
    assert "start docker.service" in (machine / "asked").read_text()


@pytest.mark.parametrize("has_policy", [False, True])
@pytest.mark.parametrize(("command", "code"), [("true", 0), ("exit 7", 7), ("kill -TERM $PPID; exit 1", 143)])
def test_the_policy_is_as_it_was(has_policy: bool, command: str, code: int, machine: Path) -> None:
    if has_policy:
        give_policy(machine)
    assert run(machine, *installing("sh", "-c", command)) == code

    assert sorted(path.name for path in policy(machine).parent.iterdir()) == (["policy-rc.d"] if has_policy else [])
    if has_policy:
        assert policy(machine).read_text() == OWN
        assert os.access(policy(machine), os.X_OK)


@pytest.mark.parametrize("has_policy", [False, True])
def test_what_a_killed_call_has_left_is_put_in_order(has_policy: bool, machine: Path) -> None:
    if has_policy:
        give_policy(machine)
    assert run(machine, *installing("sh", "-c", "kill -KILL $PPID")) == -signal.SIGKILL
    assert policy(machine).read_text() != OWN

    assert run(machine, *installing("true")) == 0

    assert [path.read_text() for path in policy(machine).parent.iterdir()] == ([OWN] if has_policy else [])
