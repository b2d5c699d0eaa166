"""The size of a run of the benchmark: what is whole, what compares nothing, how much disk it takes."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from rich.console import Console

from bench import disk
from bench.report import LATEST, RESULTS, places
from bench.scale import Scale

SMALLER = {
    "rows": 999_999,
    "months": 23,
    "rounds": 4,
    "tiny_months": 11,
    "side_months": 3,
    "transfer_bytes": 99_999_999,
}


def test_the_defaults_are_a_whole_run() -> None:
    assert Scale().is_whole
    assert Scale(rows=2_000_000, months=30).is_whole


def test_small_months_have_a_quarter_of_the_rows() -> None:
    assert Scale().small_rows == 250_000


@pytest.mark.parametrize(("name", "size"), SMALLER.items())
def test_a_run_that_is_smaller_anywhere_is_not_whole(name: str, size: int) -> None:
    assert {field.name for field in fields(Scale)} == SMALLER.keys()
    assert not replace(Scale(), **{name: size}).is_whole


@pytest.mark.parametrize(
    ("name", "size"),
    [("rows", 0), ("rows", 99), ("months", 1), ("rounds", 0), ("tiny_months", 0), ("side_months", 1)],
)
def test_a_run_that_compares_nothing_is_refused(name: str, size: int) -> None:
    with pytest.raises(ValueError, match=f"^{name.replace('_', ' ')}: found {size}, expected "):
        replace(Scale(), **{name: size})


def test_only_a_whole_run_replaces_the_projects_own_results() -> None:
    asked = Path("elsewhere.json")

    assert places(Scale(), None) == [LATEST, RESULTS]
    assert places(Scale(rounds=1), None) == [LATEST]
    assert places(Scale(), asked) == places(Scale(rounds=1), asked) == [asked]


def test_a_whole_run_has_room_for_its_months_and_the_log() -> None:
    months_published = 24 * 1_000_000 * 220

    assert Scale().disk_bytes > months_published + (4 << 30)
    assert Scale(rows=300, months=3, rounds=1, transfer_bytes=1_000_000).disk_bytes < 512 << 20


def test_a_disk_that_is_too_small_is_said(tmp_path: Path) -> None:
    console = Console(record=True, width=300)

    assert disk.is_enough(tmp_path / "new", 1, console)
    assert not disk.is_enough(tmp_path / "new", 1 << 60, console)
    assert "That is not enough" in console.export_text()
