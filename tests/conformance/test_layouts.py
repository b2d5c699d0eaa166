"""A source gains columns in the middle of its history, and files may lack some."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from taxiway.errors import MainTableError
from taxiway.loads.load import Counts
from taxiway.loads.row_identity import unique_row_ids
from taxiway.loads.step_names import DOWNLOAD, PUBLISH
from taxiway.sources.checks import Check
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Layout, Source
from tests.conformance.conftest import Months
from tests.conformance.harness import Harness
from tests.conformance.run import Run
from tests.loading import write_gzip

FEE = Column("Airport_fee", "airport_fee", "numeric", "US dollars")


@dataclass(frozen=True)
class History:
    """A source with a table of its own, and its two months.

    :param months: what writes files, and begins runs
    :param source: without the column that it gains
    """

    months: Months
    source: Source

    @property
    def first(self) -> Month:
        return self.months.month

    @property
    def second(self) -> Month:
        return self.first.next()

    def gaining(self, column: Column = FEE, *, at: int = 2) -> Source:
        """The source with a column that files have from the second month on."""
        columns = self.source.columns
        return replace(self.source, columns=(*columns[:at], replace(column, since=self.second), *columns[at:]))

    def file(self, layout: Sequence[Column], month: Month, name: str = "file", *, spaced: bool = False) -> Path:
        """Write a file with these columns; two of its rows are equal.

        :param spaced: whether values are written so that it takes a closer look to read them: with a space before 7
        """
        values = {
            "lpep_pickup_datetime": f"{month}-01 08:30:00",
            "store_and_fwd_flag": "N",
            "pulocationid": " 7" if spaced else "7",
        }
        fares = ["1.50", "2.50", "2.50", "" if spaced else "4.25"]
        rows = [[values.get(column.name, fare) for column in layout] for fare in fares]
        path = self.months.folder / name / f"green_tripdata_{month}.csv.gz"
        path.parent.mkdir(exist_ok=True)
        lines = [",".join(f'"{value}"' if spaced and value else value for value in row) for row in rows]
        return write_gzip(path, [",".join(column.header for column in layout), *lines])

    def run(self, source: Source, month: Month, run_id: str) -> Run:
        return self.months.run(run_id, source=source, month=month)


@pytest.fixture
def history(months: Months) -> History:
    name = f"trips_of_{months.month.year}"
    return History(months, replace(months.source, name=name, main_table=name))


def ids_of(layout: Layout, path: Path) -> list[str]:
    """The ids of a file that has the layout's columns in their order."""
    with gzip.open(path, "rt") as stream:
        _, *lines = stream.read().splitlines()
    rows = [[value.strip('" ') for value in line.split(",")] for line in lines]
    return sorted(unique_row_ids(layout.columns, rows))


def fees(harness: Harness, run: Run) -> list[str | None]:
    found = harness.ask(
        f"SELECT airport_fee FROM {harness.main_table(run.load.source)} WHERE {harness.of_month(run.load)}"
    )
    return sorted((None if row[0] is None else f"{row[0]:.2f}" for row in found), key=str)


def layouts(harness: Harness, run: Run) -> list[tuple[str, str]]:
    """Each attempt's layout and state."""
    found = harness.ask(
        f"SELECT layout, state FROM $taxi.loads WHERE source = '{run.load.source.name}' "
        f"AND month = DATE '{run.load.month.first_day}' ORDER BY {harness.load_order}"
    )
    return [(row[0], row[1]) for row in found]


@pytest.mark.parametrize("spaced", [False, True], ids=["canonical", "text"])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_source_gains_a_column_in_the_middle_of_its_history(
    harness: Harness, history: History, at: int, spaced: bool
) -> None:
    gained = history.gaining(at=at)
    old, new = gained.layout_of(history.first), gained.layout_of(history.second)
    early = history.file(old.columns, history.first, spaced=spaced)
    late = history.file(new.columns, history.second, spaced=spaced)
    before = history.run(history.source, history.first, "manual__1")
    before.complete(early)
    ids = harness.ids(before.load)

    # The earlier month is what it was, before the table has the column and after.
    unchanged = history.run(gained, history.first, "manual__2").download(early)
    after = history.run(gained, history.second, "manual__3")
    assert after.complete(late) == Counts(4, 0, 0)
    again = history.run(gained, history.first, "manual__4")
    forced = history.run(gained, history.first, "manual__5")
    assert unchanged.nothing_to_do is not None
    assert again.download(early).nothing_to_do is not None
    assert forced.complete(early, force=True) == Counts(0, 0, 4)

    assert harness.ids(before.load) == ids == ids_of(old, early)
    assert harness.ids(after.load) == ids_of(new, late)
    assert fees(harness, forced) == [None] * 4
    assert fees(harness, after) == sorted(["1.50", "2.50", "2.50", None if spaced else "4.25"], key=str)
    states = ["published", "unchanged", "unchanged", "published"]
    assert layouts(harness, before) == [(old.name, state) for state in states]
    assert layouts(harness, after) == [(new.name, "published")]
    assert [entry.warnings for entry in harness.attempts(before.load)] == [()] * 4


def test_a_new_table_has_the_columns_of_every_month(harness: Harness, history: History) -> None:
    gained = history.gaining()
    old = gained.layout_of(history.first)
    early = history.file(old.columns, history.first)
    run = history.run(gained, history.first, "manual__1")

    assert run.complete(early) == Counts(4, 0, 0)

    assert harness.ids(run.load) == ids_of(old, early)
    assert fees(harness, run) == [None] * 4


def test_a_value_in_a_column_that_a_month_lacks_is_found_and_taken_away(harness: Harness, history: History) -> None:
    gained = history.gaining()
    old = gained.layout_of(history.first)
    early = history.file(old.columns, history.first)
    run = history.run(gained, history.first, "manual__1")
    run.complete(early)
    harness.change_row(run.load, ids_of(old, early)[0], "airport_fee = 7")

    again = history.run(gained, history.first, "manual__2")
    assert again.download(early).nothing_to_do is None
    assert again.finish() == Counts(inserted=1, deleted=1, unchanged=3)

    assert fees(harness, run) == [None] * 4
    (warning,) = harness.attempts(run.load)[1].warnings
    assert "changed" in warning


def test_a_month_is_loaded_again_when_its_columns_are_others(harness: Harness, history: History) -> None:
    """Somebody has found out later that files had the column before."""
    late = history.gaining(replace(FEE, optional=True))
    early = replace(late, columns=tuple(replace(column, since=None) for column in late.columns))
    file = history.file(early.layout_of(history.first).columns, history.first)
    without = history.file(late.layout_of(history.first).columns, history.first, "without")
    history.run(late, history.first, "manual__1").complete(without)

    # The layout is one that files of the month may still have.
    assert history.run(early, history.first, "manual__2").download(without).nothing_to_do is not None
    # It isn't, if the column isn't optional: the file can't be loaded so, and nothing says that it is published.
    strict = history.gaining()
    strict = replace(strict, columns=tuple(replace(column, since=None) for column in strict.columns))
    assert history.run(strict, history.first, "manual__3").download(without).nothing_to_do is None
    corrected = history.run(strict, history.first, "manual__4")
    assert corrected.complete(file) == Counts(4, 4, 0)

    assert harness.ids(corrected.load) == ids_of(strict.layout_of(history.first), file)


@pytest.mark.parametrize("spaced", [False, True], ids=["canonical", "text"])
def test_ids_come_from_the_columns_that_a_file_has(harness: Harness, history: History, spaced: bool) -> None:
    source = replace(history.source, columns=(*history.source.columns, replace(FEE, optional=True)))
    whole, lacking = source.layout_of(history.first), Layout(history.source.columns)
    with_fee = history.file(whole.columns, history.first, "with", spaced=spaced)
    without = history.file(lacking.columns, history.first, "without", spaced=spaced)
    first, second, third = (history.run(source, history.first, f"manual__{number}") for number in (1, 2, 3))

    assert first.complete(without) == Counts(4, 0, 0)
    assert harness.ids(first.load) == ids_of(lacking, without)
    assert second.complete(with_fee) == Counts(4, 4, 0)
    assert harness.ids(first.load) == ids_of(whole, with_fee)
    assert third.complete(without) == Counts(4, 4, 0)
    assert history.run(source, history.first, "manual__4").download(without).nothing_to_do is not None

    assert layouts(harness, first) == [
        (lacking.name, "published"),
        (whole.name, "published"),
        (lacking.name, "published"),
        (lacking.name, "unchanged"),
    ]


def test_a_check_of_a_column_that_a_month_lacks_is_not_measured(harness: Harness, history: History) -> None:
    gained = history.gaining()
    missing = Check("missing_fees", "share_null", FEE.name, None, 0.0, "fail", "no fees")
    checked = replace(gained, checks=(*gained.checks, missing))
    early = history.run(checked, history.first, "manual__1")
    late = history.run(checked, history.second, "manual__2")

    early.complete(history.file(checked.layout_of(history.first).columns, history.first))
    late.ready(history.file(checked.layout_of(history.second).columns, history.second))
    assert late.publish() == Counts(4, 0, 0)

    assert [entry.step for entry in harness.attempts(early.load)] == [PUBLISH]


def test_a_column_that_somebody_has_dropped_is_no_new_one(harness: Harness, history: History) -> None:
    """What it held is gone: only the files of its months bring it back."""
    gained = history.gaining()
    late = history.file(gained.layout_of(history.second).columns, history.second)
    run = history.run(gained, history.second, "manual__1")
    run.complete(late)
    harness.do(f"ALTER TABLE {harness.main_table(gained)} DROP COLUMN airport_fee")

    again = history.run(gained, history.second, "manual__2")
    with pytest.raises(MainTableError, match="airport_fee"):
        again.complete(late, force=True)

    assert "airport_fee" not in harness.columns_of(harness.main_table(gained))
    assert [entry.step for entry in harness.attempts(run.load)[1:]] != [DOWNLOAD, DOWNLOAD]


@pytest.mark.parametrize("spaced", [False, True], ids=["canonical", "text"])
def test_a_column_that_the_source_does_not_know_is_left_out_if_it_says_so(
    harness: Harness, history: History, spaced: bool
) -> None:
    source = replace(history.source, on_new_column="ignore")
    first, *rest = source.columns
    odd = replace(FEE, header="Some odd fee", name="odd")
    file = history.file((first, odd, *rest), history.first, spaced=spaced)
    plain = history.file(source.columns, history.first, "plain", spaced=spaced)
    run = history.run(source, history.first, "manual__1")

    assert run.complete(file) == Counts(4, 0, 0)

    assert harness.ids(run.load) == ids_of(Layout(source.columns), plain)
    assert history.run(source, history.first, "manual__2").complete(plain) == Counts(0, 0, 4)
    first_load, second_load = (entry.warnings for entry in harness.attempts(run.load))
    assert first_load[0] == "left out, as on_new_column says: Some odd fee"
    assert [text for text in second_load if text.startswith("left out")] == []


def test_a_rejected_row_of_a_file_with_a_column_that_is_left_out_is_found_again(
    harness: Harness, history: History
) -> None:
    source = replace(history.source, on_new_column="ignore", max_rejected_share=0.5)
    file = history.file((FEE, *source.columns), history.first)
    header, *rows = gzip.decompress(file.read_bytes()).decode().splitlines()
    bad = rows[1].replace(",7,", ",seven,")
    write_gzip(file, [header, rows[0], bad, *rows[2:], rows[0] + ",too many"])
    run = history.run(source, history.first, "manual__1")

    assert run.complete(file) == Counts(3, 0, 0)

    assert [(row[0], row[1]) for row in harness.rejects(run.load)] == [(3, bad), (6, rows[0] + ",too many")]
    (entry,) = harness.attempts(run.load)
    assert f"left out, as on_new_column says: {FEE.header}" in entry.warnings
