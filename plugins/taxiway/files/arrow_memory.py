"""Chooses how Arrow takes memory, before Arrow is imported."""

from __future__ import annotations

import os
import sys

_VARIABLE = "ARROW_DEFAULT_MEMORY_POOL"
# Arrow reads it when it is imported. A pool that is chosen later is used beside the first one, which takes more memory.


def take_little_memory() -> None:
    """Have Arrow, if it isn't imported yet, give memory back that it doesn't need, as its default allocator doesn't."""
    if sys.platform == "linux":
        os.environ.setdefault(_VARIABLE, "jemalloc")
