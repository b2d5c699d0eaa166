"""A clock that a test sets while real processes run by it: libfaketime, of Debian's package ``faketime``."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

LIBRARIES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")


def find_library() -> Path:
    """Find libfaketime; a test that needs it is skipped where it is absent, except in CI."""
    found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    if not found:
        if os.environ.get("CI"):
            pytest.fail("no libfaketime: .ci/run installs it, and this test must run there")
        pytest.skip("no libfaketime on this machine: apt-get install faketime")
    return found[0]


class FakedClock:
    """The wall clock of the processes that run in its environment; their monotonic clock is the system's.

    :param file: read at every look at the clock, by whoever runs by it
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(find_library()),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Files have the times that were written to them; a clock that goes back doesn't change them.
            "NO_FAKE_STAT": "1",
        }
        self.set(timedelta())

    def set(self, offset: timedelta) -> None:
        """Set the clock, for all its processes at once.

        :param offset: from the system's clock
        """
        self._offset = offset
        new = self._file.with_name(f"{self._file.name}.new")
        new.write_text(f"{offset.total_seconds():+.0f}\n")
        new.chmod(0o644)
        new.replace(self._file)

    def go(self, by: timedelta) -> None:
        """Set the clock forward, or back."""
        self.set(self._offset + by)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), timezone.utc) + self._offset
