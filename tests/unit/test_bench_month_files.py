"""The months that the benchmark loads."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

from bench.month_files import REAL, REPEATS, write_months
from bench.scale import FIRST_MONTH, Scale


def test_rows_stand_twice_in_the_month_that_is_there_for_it_only(tmp_path: Path) -> None:
    files = write_months(
        tmp_path, Scale(rows=1000, months=2, rounds=1, tiny_months=1, side_months=2, transfer_bytes=1000)
    )

    packed = {name: files.path(name, FIRST_MONTH).read_bytes() for name in (REAL, REPEATS)}
    lines = {name: Counter(gzip.decompress(content).splitlines()) for name, content in packed.items()}
    assert [sum(of.values()) for of in lines.values()] == [1001, 1001]
    assert [sum(of.values()) - len(of) for of in lines.values()] == [0, 3]
