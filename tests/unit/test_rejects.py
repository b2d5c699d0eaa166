from __future__ import annotations

import re
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import pytest

from taxiway.errors import RejectLimitError
from taxiway.files.rejects import (
    LONGEST_KEPT,
    LONGEST_SHOWN,
    MOST_BYTES_KEPT,
    MOST_KEPT,
    Reject,
    RejectedLines,
    check_limit,
    reason_against_field,
)
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


def test_a_line_of_the_longest_that_is_kept_is_whole() -> None:
    rejected = RejectedLines()
    rejected.add(2, b"x" * LONGEST_KEPT, "odd")

    assert rejected.kept == [Reject(2, b"x" * LONGEST_KEPT, "odd")]


def test_as_many_bytes_are_kept_as_there_is_room_for() -> None:
    rejected = RejectedLines()
    whole, rest = divmod(MOST_BYTES_KEPT, LONGEST_KEPT)
    for number in range(whole):
        rejected.add(number, b"x" * LONGEST_KEPT, "odd")
    rejected.add(whole, b"x" * (rest + 1), "too long")
    rejected.add(whole + 1, b"x" * rest, "fits")
    rejected.add(whole + 2, b"x", "too long")

    assert [reject.line_number for reject in rejected.kept] == [*range(whole), whole + 1]
    assert rejected.count == whole + 3


def test_a_line_of_any_bytes_can_be_printed() -> None:
    assert Reject(2, b"a\xff\0\xc3\xa9", "odd").printable_line == "a\\xff\\x00é"


def test_a_field_is_named_with_what_it_holds_and_should_hold() -> None:
    assert reason_against_field("Fare", "x", "a decimal number") == "Fare is 'x', expected a decimal number"
    long = reason_against_field("Fare", "x" * 2 * LONGEST_SHOWN, "a decimal number")
    assert long == f"Fare is '{'x' * (LONGEST_SHOWN - 1)}…', expected a decimal number"


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

    with pytest.raises(RejectLimitError) as caught:
        limited(green, rejected, rows, 0)

    advised = re.search(r"'max_rejected_share: ([\d.]+)'", str(caught.value))
    assert advised is not None
    limited(green, rejected, rows, float(advised[1]))


LOOK = "To see and mend the lines: airflow taxi rejects green 2019-01"
AND_NOW = (
    f"{LOOK}. If the month is right without them, set 'max_rejected_share: 0.0201' in that file, and clear the task "
    "stage_month with its downstream tasks. If the mirror has a better file by now, clear download_month with its "
    "downstream tasks"
)


def limited(green: Source, rejected: int, rows: int, share: float = 0.02, named: Sequence[Reject] = ()) -> str | None:
    return check_limit(
        replace(green, max_rejected_share=share),
        Month(2019, 1),
        rejected,
        rows,
        named=named,
        look="airflow taxi rejects green 2019-01",
        first_step="stage_month",
    )


def test_a_share_within_the_limit_is_said(green: Source) -> None:
    assert limited(green, 0, 0) is None
    assert limited(green, 2, 100) == (
        f"green 2019-01: {green.filename(Month(2019, 1))}: 2 of 100 rows can't be read, and are left out. {LOOK}"
    )


def test_without_a_word_of_the_source_one_row_of_a_thousand_may_be_rejected(green: Source) -> None:
    assert limited(green, 1, 1000, green.max_rejected_share)

    with pytest.raises(RejectLimitError, match=r"2 of 1000 rows can't be read, expected at most 0\.10%"):
        limited(green, 2, 1000, green.max_rejected_share)


@pytest.mark.parametrize(
    ("named", "first"),
    [
        (0, ""),
        (1, "The first: line 5: odd. "),
        (4, "The first: line 5: odd; line 6: odd; line 7: odd. "),
    ],
)
def test_a_share_above_the_limit_fails_the_month_with_what_to_do(named: int, first: str, green: Source) -> None:
    with pytest.raises(RejectLimitError) as caught:
        limited(green, 201, 10_000, named=[Reject(5 + number, b"x", "odd") for number in range(named)])

    assert str(caught.value) == (
        f"green 2019-01: {green.filename(Month(2019, 1))}: 201 of 10000 rows can't be read, expected at most 2.00% "
        f"(max_rejected_share in include/sources/green.yaml). {first}Nothing was published. {AND_NOW}"
    )
