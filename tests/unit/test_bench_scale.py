"""The size of a run of the benchmark: what is whole, what compares nothing, how much disk it takes; and its months."""

from __future__ import annotations

import gzip
from dataclasses import fields, replace
from pathlib import Path

import pytest

from bench.scale import CORRECTED, REAL, SCALES, SIZES, Scale, write_months


def test_the_scales_are_whole_runs_with_every_size() -> None:
    assert {"name", *SIZES} == {field.name for field in fields(Scale)}
    assert [(name, scale.name, scale.is_whole) for name, scale in SCALES.items()] == [
        ("budget", "budget", True),
        ("year", "year", True),
    ]
    assert Scale(rows=2_000_000, months=30).is_whole


@pytest.mark.parametrize(
    ("name", "size"), [(name, size) for name in SCALES for size in SIZES if (name, size) != ("year", "rounds")]
)
def test_a_run_that_is_smaller_anywhere_is_not_whole(name: str, size: str) -> None:
    assert not replace(SCALES[name], **{size: getattr(SCALES[name], size) - 1}).is_whole


@pytest.mark.parametrize("size", SIZES)
def test_a_run_that_compares_nothing_is_refused(size: str) -> None:
    least = SIZES[size][0]

    assert getattr(replace(Scale(), **{size: least}), size) == least
    with pytest.raises(ValueError, match=f"^{size.replace('_', '-')}: found {least - 1}, expected {least} or more"):
        replace(Scale(), **{size: least - 1})


def test_a_whole_run_has_room_for_its_months_and_the_log() -> None:
    for scale in SCALES.values():
        assert scale.disk_bytes > scale.months * scale.rows * 220 + (4 << 30)
    assert Scale(rows=300, months=3, rounds=1, transfer_mb=1).disk_bytes < 512 << 20


@pytest.mark.parametrize("rows", [149, 150, 151, 1000])
def test_one_row_of_a_hundred_is_corrected_and_none_is_a_duplicate(tmp_path: Path, rows: int) -> None:
    scale = Scale(rows=rows, months=2, rounds=1, tiny_months=1, side_months=2, transfer_mb=1)
    write_months(tmp_path, scale)

    real, corrected = (
        gzip.decompress((tmp_path / files.path()).read_bytes()).splitlines() for files in (REAL, CORRECTED)
    )
    assert len(real) == len(corrected) == len(set(real)) == len(set(corrected)) == 1 + rows
    assert len(set(real) - set(corrected)) == scale.corrected_rows == rows // 100 + (rows % 100 > 50)
