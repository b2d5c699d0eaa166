"""Samples are known by their bytes, with or without a note of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from taxiway.files.formats import FORMATS
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.home import Home
from taxiway_local.known_samples import MOST_ROWS, is_sample, note_samples
from taxiway_local.samples import write_sample_month

MARCH = Month(2019, 3)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.postgres.mkdir(parents=True)
    return home


def test_a_noted_sample_is_known_when_its_file_is_gone(home: Home, green: Source) -> None:
    many = MOST_ROWS + 1
    first = write_sample_month(green, MARCH, home.samples / "first.gz", rows=many)
    assert not is_sample(home, green, MARCH, first.sha256, many), "too large to be made again"
    note_samples(home, [first])
    note_samples(home, [write_sample_month(green, MARCH, home.samples / "other.gz", rows=7, seed=3)])
    shutil.rmtree(home.samples)

    assert is_sample(home, green, MARCH, first.sha256, many)


def test_a_sample_that_nobody_noted_is_known(home: Home, green: Source, tmp_path: Path) -> None:
    sample = write_sample_month(green, MARCH, tmp_path / "elsewhere.gz", rows=1234)

    assert is_sample(home, green, MARCH, sample.sha256, 1234)
    assert not is_sample(home, green, MARCH.next(), sample.sha256, 1234)
    assert not is_sample(home, green, MARCH, "0" * 64, 1234)


@pytest.mark.parametrize("name", FORMATS)
def test_a_sample_in_any_format_is_known_by_its_bytes(name: str, home: Home, green: Source, tmp_path: Path) -> None:
    (release,) = green.releases
    source = replace(green, releases=(replace(release, path=f"{{month}}.{name}", format=name),))
    sample = write_sample_month(source, MARCH, tmp_path / "elsewhere", rows=5000)

    assert is_sample(home, source, MARCH, sample.sha256, 5000)


@pytest.mark.parametrize(("sha256", "rows"), [(None, 10), ("0" * 64, None), ("0" * 64, 0)])
def test_what_the_ledger_does_not_know_is_real(home: Home, green: Source, sha256: str | None, rows: int | None) -> None:
    assert not is_sample(home, green, MARCH, sha256, rows)
