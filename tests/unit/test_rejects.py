from __future__ import annotations

import re
import tracemalloc
from dataclasses import replace

import pytest

from taxiway.errors import RejectLimitError
from taxiway.files.rejects import LONGEST_KEPT, MOST_BYTES_KEPT, MOST_KEPT, RejectedLines, check_limit
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.text_rows import TextRows


def test_all_are_counted_and_the_first_kept() -> None:
    rejected = RejectedLines()
    for number in range(MOST_KEPT + 5):
        rejected.add(number, b"x", "odd")

    assert rejected.count == MOST_KEPT + 5
    assert [reject.line_number for reject in rejected.kept] == list(range(MOST_KEPT))


def test_long_lines_are_kept_in_part_and_say_so() -> None:
    rejected = RejectedLines()
    rejected.add(2, b"x" * (LONGEST_KEPT + 1), "odd")

    (reject,) = rejected.kept
    assert reject.raw_line == b"x" * LONGEST_KEPT
    assert reject.reason == f"odd (the first {LONGEST_KEPT} of {LONGEST_KEPT + 1} bytes are kept)"


def test_memory_stays_small_whatever_a_file_unpacks_to() -> None:
    tracemalloc.start()
    try:
        rejected = RejectedLines()
        for number in range(5000):
            rejected.add(number, b"x" * 100_000, "odd")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert rejected.count == 5000
    assert peak < 1.3 * MOST_BYTES_KEPT


@pytest.mark.parametrize(
    ("columns", "blocks", "sound"),
    [
        (2, [b'1,"a"\n2,"b"\n', b"3,c"], True),
        (2, [b"1,a\r\n", b"2,b\r\n"], True),
        (2, [b'1,"a\nb",2\n'], False),
        (2, [b"1,a\r2,b\n"], False),
        (2, [b"1,a", b"b\n"], False),
        (1, [b"1\n2\n"], True),
        (1, [b"1\n\n2\n"], False),
        (1, [b"1\n", b"\r\n"], False),
    ],
)
def test_every_line_is_a_row_or_the_file_is_looked_at_line_by_line(
    columns: int, blocks: list[bytes], sound: bool
) -> None:
    rows = TextRows(columns)

    assert all(rows.add(block) for block in blocks) is sound
    if sound:
        assert rows.count == len(b"".join(blocks).splitlines())


@pytest.mark.parametrize(("rejected", "rows"), [(29, 100), (63, 90), (29, 50), (1, 3), (1, 30_000), (7, 7)])
def test_the_share_that_the_error_advises_takes_the_month(rejected: int, rows: int, green: Source) -> None:
    """Binary fractions are no decimal ones: 0.29 * 100 is less than 29."""

    def check(share: float) -> None:
        source = replace(green, max_rejected_share=share)
        check_limit(source, Month(2019, 1), rejected, rows, kept_in="taxiway.rejected_rows", first_step="stage_month")

    with pytest.raises(RejectLimitError) as caught:
        check(0)

    advised = re.search(r"'max_rejected_share: ([\d.]+)'", str(caught.value))
    assert advised is not None
    check(float(advised[1]))
