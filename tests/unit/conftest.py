"""What the download tests share: a mirror that does as told, and a cache of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taxiway.download.cache import Cache
from tests.mirror_faults import FaultyMirror


@pytest.fixture
def mirror() -> Iterator[FaultyMirror]:
    with FaultyMirror() as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", limit_bytes=10**9)
