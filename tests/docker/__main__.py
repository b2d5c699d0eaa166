"""``make test-docker``: prepares on this machine, then tests in namespaces of its own.

Docker's engine, its bridges and its firewall rules, the mirror and every container live in a network, a mount and a
process namespace. These end with the tests, however the tests end; another Docker on this machine sees nothing of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from taxiway.paths import ROOT
from tests.docker.stand_ins import debian_release, prepare

FOLDER = ROOT / ".taxiway" / "test-docker"
NEEDED = {
    "dockerd": "docker.io",
    "docker": "docker.io (bookworm) or docker-cli",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "ip": "iproute2",
}
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Debian's own programs, before others of the same names."""


def reason_to_skip() -> str:
    """Return why the tests can't run here; nothing if they can."""
    if not debian_release():
        return "this is not Debian, from whose packages it makes its images"
    if os.geteuid() != 0:
        return "it needs root, to start a Docker engine"
    if missing := sorted({package for name, package in NEEDED.items() if not shutil.which(name, path=PATH)}):
        return f"these packages of Debian are not installed: {', '.join(missing)}"
    if "\toverlay\n" not in Path("/proc/filesystems").read_text(encoding="utf-8"):
        return "the kernel has no overlay file system: modprobe overlay"
    return ""


def remove_control_groups(name: str) -> None:
    """Remove the engine's control groups, the one thing of it that is in no namespace.

    They are empty as soon as the processes that were killed have ended.
    """
    for _ in range(100):
        left = [folder for found in Path("/sys/fs/cgroup").glob(f"**/{name}") for folder, _, _ in os.walk(found)]
        if not left:
            return
        for folder in sorted(left, reverse=True):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        threading.Event().wait(0.1)


def main() -> int:
    """Run the tests, or say why not; return the exit code."""
    if reason := reason_to_skip():
        print(f"make test-docker: skipped: {reason}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("make test-docker: ended by SIGTERM"))
    prepare(FOLDER)
    place = Path(tempfile.mkdtemp(prefix="taxiway-docker-"))
    environment = {
        **os.environ,
        "PATH": f"{PATH}:{os.environ['PATH']}",
        "TAXIWAY_TEST_DOCKER": str(FOLDER),
        "TAXIWAY_TEST_DOCKER_PLACE": str(place),
    }
    tests = [sys.executable, "-m", "pytest", "-v", "--capture=tee-sys", "tests/docker", *sys.argv[1:]]
    # The shell is the first process of its namespace: it takes over what others leave, and all of it ends with the
    # shell, which ends with this process.
    script = 'ip link set lo up && "$@"; exit $?'
    namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = ["setpriv", "--pdeathsig", "KILL", *namespaces, "bash", "-c", script, "bash", *tests]
    try:
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    finally:
        shutil.rmtree(place, ignore_errors=True)
        remove_control_groups(place.name)


if __name__ == "__main__":
    sys.exit(main())
