"""Whether a loaded file is a sample: only the machine that has made samples knows them, and says how to ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taxiway.sources.months import Month
    from taxiway.sources.source import Source

IsSample = Callable[["Source", "Month", str, int], bool]
"""Says whether a file is a sample, by source, month, SHA-256 and rows."""

sample_tests: list[IsSample] = []
"""What ``config/airflow_local_settings.py`` has registered; empty if no sample can have been loaded."""


def is_known_sample(source: Source, month: Month, sha256: str, rows: int) -> bool:
    """Say whether a file is a sample that is known here.

    :param sha256: of the file, in hexadecimal
    :param rows: of the file
    """
    return any(is_sample(source, month, sha256, rows) for is_sample in sample_tests)
