"""A file that somebody's tool has saved again: it is loaded with the ids of the rows that it was saved from."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from taxiway.loads.load import Counts
from taxiway.loads.row_identity import unique_row_ids
from tests.conformance.conftest import Months
from tests.conformance.harness import Harness

Saved = Callable[[list[list[str]]], str]


def quoted(rows: list[list[str]]) -> str:
    """Every text in quotation marks, the header's too, and times with a fraction."""
    header, *others = rows
    lines = [[f'"{name}"' for name in header]]
    lines += [[f"{stamp}.000000", f'"{flag}"', zone, fare] for stamp, flag, zone, fare in others]
    return "".join(",".join(line) + "\n" for line in lines)


def all_quoted(rows: list[list[str]]) -> str:
    """Every field in quotation marks, and lines that end as Windows ends them."""
    return "".join(",".join(f'"{field}"' for field in row) + "\r\n" for row in rows)


def with_mark(rows: list[list[str]]) -> str:
    """A byte order mark, as Excel writes it in front of CSV in UTF-8, before a header in quotation marks."""
    return "\ufeff" + all_quoted(rows)


def blank_lines(rows: list[list[str]]) -> str:
    """Lines without anything at the end, and no end of the last one."""
    return "\n".join(",".join(row) for row in rows) + "\n\n\r\n\n\r"


def doubles(rows: list[list[str]]) -> str:
    """Integers as decimal numbers, as pandas writes a column with empty fields; a nought for each nanosecond."""
    header, *others = rows
    lines = [
        [f"{stamp}.000000000", flag, zone + form, f"{fare}000"]
        for (stamp, flag, zone, fare), form in zip(others, itertools.cycle([".0", ".", ".00"]))
    ]
    return "".join(",".join(line) + "\n" for line in [header, *lines])


def in_capitals(rows: list[list[str]]) -> str:
    """A header in capitals, spaces around its names."""
    header, *others = rows
    return "\n".join(",".join(row) for row in [[f" {name.upper()} " for name in header], *others])


def turned(rows: list[list[str]]) -> str:
    """Columns in another order, behind a byte order mark; lines that end as Windows ends them."""
    header, *others = rows
    return "\ufeff" + "".join(",".join(reversed(row)) + "\r\n" for row in [[name.upper() for name in header], *others])


SAVED: tuple[Saved, ...] = (quoted, all_quoted, with_mark, blank_lines, doubles, in_capitals, turned)


def test_its_rows_have_the_ids_of_the_file_that_it_was(harness: Harness, months: Months) -> None:
    """Each file replaces the one before, and changes no row; so does the file that they were saved from."""
    header = [column.header for column in months.source.columns]
    fields = [[f"{months.month}-0{day} 08:30:00", "Y", str(day), f"{day}.50"] for day in range(1, 7)]
    fields.append(fields[0])
    for number, saved in enumerate(SAVED):
        run = months.run(f"manual__{number}")

        counts = run.complete(write(months, saved([header, *fields])))

        assert counts == (Counts(0, 0, 7) if number else Counts(7, 0, 0)), saved.__name__
        assert harness.ids(run.load) == sorted(unique_row_ids(months.source.columns, fields)), saved.__name__
        assert harness.rejects(run.load) == [], saved.__name__
    canonical = months.file([",".join(row) for row in fields], "canonical")
    assert months.run("manual__canonical").complete(canonical) == Counts(0, 0, 7)


STAMPS = (
    "{} 08:30:00.5",
    "{} 08:30:00.",
    "{} 08:30:000",
    "{} 08:30:00.0000000000",
    "{}T08:30:00",
    "{} 08:30:00Z",
    "{}",
)


def test_another_time_is_rejected_with_its_reason(harness: Harness, months: Months) -> None:
    rows, bad = months.rows(), [stamp.format(f"{months.month}-01") + ",N,9,9.50" for stamp in STAMPS]
    run = months.run(source=replace(months.source, max_rejected_share=0.9))

    assert run.complete(months.file([*rows, *bad])) == Counts(6, 0, 0)

    rejects = harness.rejects(run.load)
    assert [(number, line) for number, line, _ in rejects] == list(enumerate(bad, len(rows) + 2))
    for _, line, reason in rejects:
        assert "lpep_pickup_datetime is" in reason, line
        assert "expected a time as YYYY-MM-DD HH:MM:SS" in reason, line


def write(months: Months, text: str) -> Path:
    path = months.file([], "saved again")
    path.write_bytes(gzip.compress(text.encode()))
    return path
