"""Which files are samples: known by their bytes, whatever address they were loaded from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.home import Home
from taxiway_local.samples import SampleMonth, write_sample_month

MOST_ROWS = 20_000
"""Rows of a sample that is made again to compare it, a tenth of a second each; larger ones must have been noted."""


def note_samples(home: Home, samples: Iterable[SampleMonth]) -> None:
    """Note the digests of samples before they are loaded.

    The note lies with the data that they are loaded into, and goes with it; the samples themselves may be deleted.
    """
    digests = _noted(home) | {sample.sha256 for sample in samples}
    draft = _note(home).with_suffix(".part")
    draft.write_text(json.dumps(sorted(digests), indent=0) + "\n", encoding="utf-8")
    draft.replace(_note(home))


def is_sample(home: Home, source: Source, month: Month, sha256: str | None, rows: int | None) -> bool:
    """Say whether a loaded file is a sample.

    :param sha256: of the file, as the ledger has it
    :param rows: of the file
    """
    if sha256 is None:
        return False
    if sha256 in _noted(home):
        return True
    if not rows or rows > MOST_ROWS:
        return False
    # Loaded by an earlier version, which noted nothing, or from a mirror of somebody's own samples.
    with tempfile.TemporaryDirectory() as folder:
        return write_sample_month(source, month, Path(folder) / "sample", rows=rows).sha256 == sha256


def _note(home: Home) -> Path:
    return home.postgres / "samples.json"


def _noted(home: Home) -> set[str]:
    try:
        return set(json.loads(_note(home).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return set()
