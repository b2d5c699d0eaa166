"""A month of every release of include/sources is loaded from a sample, once, into each warehouse."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxiway.loads.load import Counts
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_sources
from taxiway_local.samples import write_sample_month
from tests.conformance.harness import Harness
from tests.conformance.run import Run

MONTHS = {
    f"{source.name}-{release.first}": (source, release.first)
    for source in load_sources(SOURCES_FOLDER)
    for release in source.releases
}


@pytest.mark.parametrize(("source", "month"), MONTHS.values(), ids=MONTHS)
def test_a_sample_is_loaded_once(harness: Harness, source: Source, month: Month, tmp_path: Path) -> None:
    file = write_sample_month(source, month, tmp_path / source.download_name(month), rows=40)
    corrected = write_sample_month(source, month, tmp_path / "1" / source.download_name(month), rows=40, revision=1)
    first, second, third = (Run.of(harness, source, month, f"manual__{number}") for number in range(3))

    assert first.complete(file.path) == Counts(40, 0, 0)
    assert second.download(file.path).nothing_to_do is not None
    assert third.complete(corrected.path) == Counts(corrected.inserted, corrected.deleted, corrected.unchanged)

    assert len(set(harness.ids(third.load))) == corrected.rows
