"""A network of its own for a process, which can vanish without a word."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from contextlib import suppress

IP = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def why_not() -> str | None:
    """Say why this machine can't make such a network; None if it can."""
    if os.geteuid() != 0 or IP is None:
        return "a network of its own needs root and iproute2"
    with suppress(subprocess.CalledProcessError), VanishingNetwork():
        return None
    return "this system lets nobody make a network of its own"


class VanishingNetwork:
    """A network namespace with one line to this machine; use it in a ``with`` statement.

    ``here`` is this machine's address on that line, one of the range that is set aside for tests (RFC 2544).
    """

    def __init__(self) -> None:
        number = uuid.uuid4().int
        self._name = f"taxiway-{number % 16**8:08x}"
        self._ends = [f"tx{end}{number % 16**8:08x}" for end in "ab"]
        subnet = f"198.{18 + number % 2}.{number // 2 % 256}.{number // 512 % 64 * 4}"
        prefix, _, last = subnet.rpartition(".")
        self.here, self._there = f"{prefix}.{int(last) + 1}", f"{prefix}.{int(last) + 2}"

    def __enter__(self) -> VanishingNetwork:
        here, there = self._ends
        try:
            _ip("netns", "add", self._name)
            _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self._name)
            _ip("address", "add", f"{self.here}/30", "dev", here)
            _ip("link", "set", here, "up")
            _ip("-n", self._name, "address", "add", f"{self._there}/30", "dev", there)
            _ip("-n", self._name, "link", "set", there, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for arguments in (("link", "delete", self._ends[0]), ("netns", "delete", self._name)):
            with suppress(subprocess.CalledProcessError):
                _ip(*arguments)

    def command(self, *arguments: str) -> Sequence[str]:
        """Return the command that runs another one in this network."""
        assert IP is not None
        return [IP, "netns", "exec", self._name, *arguments]

    def vanish(self) -> None:
        """Let nothing through any more, in either direction; neither end is told."""
        _ip("-n", self._name, "link", "set", self._ends[1], "down")


def _ip(*arguments: str) -> None:
    assert IP is not None
    subprocess.run([IP, *arguments], check=True, capture_output=True, timeout=30)
