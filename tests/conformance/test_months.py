"""A month arrives whole, again, corrected, empty or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from taxiway.download.download import Download
from taxiway.errors import EmptyMonthError
from taxiway.loads.load import Counts
from taxiway.loads.row_identity import digest
from taxiway.loads.step_names import DOWNLOAD, HASH, PUBLISH
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from tests.conformance.conftest import HARNESSES, Months
from tests.conformance.harness import Entry, Harness
from tests.loading import source_file, specified_ids
from tests.releases import ending, from_path


def test_every_warehouse_is_tested() -> None:
    assert set(HARNESSES) == set(WAREHOUSES)


def test_a_month_arrives_whole_with_the_ids_of_the_specification(harness: Harness, months: Months) -> None:
    odd = f"{months.month}-28 23:59:59,\u00e9,42.0,-.250"
    file = months.file([*months.rows(), odd])
    run = months.run()

    assert run.complete(file) == Counts(inserted=7, deleted=0, unchanged=0)

    assert harness.ids(run.load) == sorted(specified_ids(months.source, file))
    url = source_file(file).url
    assert harness.attempts(run.load) == [
        Entry("manual__1", 1, PUBLISH, "published", None, url, (7, 0, 7), (7, 0, 0), ()),
    ]
    assert harness.left_behind(run.load) == []
    of_load = f"SELECT filename, finished_at >= started_at FROM $taxi.loads WHERE source = 'green' AND url = '{url}'"
    assert [tuple(row) for row in harness.ask(of_load)] == [(run.load.filename, True)]


def test_a_real_file_has_its_golden_ids(harness: Harness, months: Months, green: Source, tlc: Path) -> None:
    """The first rows of a month; tests of the DAGs load whole ones."""
    file = "heads/green/green_tripdata_2019-01.csv.gz"
    golden = {entry["file"]: entry for entry in json.loads((tlc / "golden_row_ids.json").read_text())["files"]}[file]
    run = months.run(source=green, month=Month(2019, 1))

    assert run.complete(tlc / file) == Counts(golden["rows"], 0, 0)

    assert digest(harness.ids(run.load)) == golden["digest"]


def test_loading_again_changes_nothing_and_says_so(harness: Harness, months: Months) -> None:
    file = months.file(months.rows())
    first, again, forced = (months.run(f"manual__{number}") for number in (1, 2, 3))
    first.complete(file)
    before = harness.ids(first.load)

    found = again.download(file)
    counts = forced.complete(file, force=True)

    assert found.nothing_to_do is not None
    assert "is published with the same bytes" in found.nothing_to_do
    assert counts == Counts(0, 0, 6)
    assert harness.ids(first.load) == before
    url = source_file(file).url
    assert harness.attempts(first.load)[1:] == [
        Entry("manual__2", 1, DOWNLOAD, "unchanged", None, url, (6, 0, 6), (0, 0, 6), ()),
        Entry("manual__3", 1, PUBLISH, "published", None, url, (6, 0, 6), (0, 0, 6), ()),
    ]


def test_a_correction_replaces_its_month_and_no_other(harness: Harness, months: Months) -> None:
    rows, other = months.rows(12), months.month.next()
    first, neighbour, correction = (
        months.run("manual__1"),
        months.run("manual__2", month=other),
        months.run("manual__3"),
    )
    first.complete(months.file(rows))
    neighbour.complete(months.file(months.rows(4, other), "neighbour"))
    before = harness.ids(neighbour.load)
    # One row is gone, one has another fare, two are new: fewer are deleted than the guard allows.
    new = [row.replace("08:30", "09:30") for row in rows[:2]]
    corrected = months.file([*rows[1:11], rows[11].replace("11.50", "11.75"), *new], "corrected")

    assert correction.complete(corrected) == Counts(inserted=3, deleted=2, unchanged=10)

    assert harness.ids(first.load) == sorted(specified_ids(months.source, corrected))
    assert harness.ids(neighbour.load) == before
    assert len(before) == 4
    assert [entry.changes for entry in harness.attempts(first.load)] == [(12, 0, 0), (3, 2, 10)]


def test_rows_that_are_equal_all_stay_and_are_numbered(harness: Harness, months: Months) -> None:
    first, second, *others = months.rows()
    file = months.file([first, second, *others, first, second, first.replace(".50", ".500")])
    run = months.run()

    assert run.complete(file) == Counts(9, 0, 0)

    ids = harness.ids(run.load)
    assert len(set(ids)) == 9
    assert ids == sorted(specified_ids(months.source, file))
    # Neither they nor values that are NULL look like rows that somebody has changed.
    assert months.run("manual__2").download(file).nothing_to_do is not None
    assert months.run("manual__3").complete(file, force=True) == Counts(0, 0, 9)
    assert harness.ids(run.load) == ids


def test_an_empty_month_is_an_error_unless_the_source_allows_it(harness: Harness, months: Months) -> None:
    file = months.file([])
    refused = months.run()
    allowed = months.run("manual__2", source=replace(months.source, allow_empty=True))

    with pytest.raises(EmptyMonthError, match="allow_empty: true"):
        refused.complete(file)

    assert allowed.complete(file) == Counts(0, 0, 0)
    assert [entry.stands for entry in harness.attempts(refused.load)] == [
        ("manual__1", 1, "failed"),
        ("manual__2", 1, "published"),
    ]
    assert harness.ids(refused.load) == []


def test_a_month_that_the_source_does_not_have_is_skipped(harness: Harness, months: Months) -> None:
    run = months.run(source=ending(months.source, months.month.previous()))

    def download() -> Download:
        raise AssertionError("a month that isn't there is not asked for")

    found = run.download(download)

    assert found.file is None
    assert found.nothing_to_do is not None
    assert "not available" in found.nothing_to_do
    (entry,) = harness.attempts(run.load)
    assert (entry.stands, entry.error) == (("manual__1", 1, "skipped"), found.nothing_to_do)


def test_rows_that_were_deleted_or_changed_by_hand_are_loaded_again_and_said(harness: Harness, months: Months) -> None:
    file = months.file(months.rows())
    run = months.run()
    run.complete(file)
    before = harness.ids(run.load)
    harness.delete_row(run.load, before[0])
    harness.change_row(run.load, before[1], "fare_amount = -1")
    values = f"SELECT sum(fare_amount) FROM {harness.main_table(months.source)} WHERE {harness.of_month(run.load)}"
    changed = harness.ask(values)
    again = months.run("manual__2")

    assert again.download(file).nothing_to_do is None
    assert again.finish() == Counts(inserted=2, deleted=1, unchanged=4)
    again.drop()

    assert harness.ids(run.load) == before
    assert harness.ask(values) != changed
    (warning,) = harness.attempts(run.load)[1].warnings
    assert "the ledger has 6" in warning
    assert months.run("manual__3").download(file).nothing_to_do is not None


def test_a_main_table_that_was_dropped_by_hand_is_loaded_again_and_said(harness: Harness, months: Months) -> None:
    """Equal rows get the same ids again."""
    source = replace(months.source, main_table="dropped_trips")
    rows = months.rows()
    file = months.file([*rows, rows[0]])
    first, again = months.run(source=source), months.run("manual__2", source=source)
    first.complete(file)
    before = harness.ids(first.load)
    harness.do(f"DROP TABLE {harness.main_table(source)}")

    assert again.download(file).nothing_to_do is None
    assert again.finish() == Counts(7, 0, 0)
    again.drop()

    assert harness.ids(first.load) == before
    (warning,) = harness.attempts(first.load)[1].warnings
    assert "the ledger has 7 rows" in warning
    assert months.run("manual__3", source=source).download(file).nothing_to_do is not None


def test_nothing_is_left_behind_whatever_became_of_the_run(harness: Harness, months: Months) -> None:
    """Also of a file with lines that can't be read, and if it is dropped twice."""
    lenient = replace(months.source, max_rejected_share=0.5)
    run = months.run(source=lenient)
    run.download(months.file([*months.rows(), "1,2"]))
    run.go_on(before=HASH)
    assert harness.left_behind(run.load) != []
    run.do(HASH)
    assert harness.left_behind(run.load) != []

    run.drop()
    assert harness.left_behind(run.load) == []
    run.drop()


def test_a_month_that_moves_to_another_release_replaces_that_of_the_one_before(
    harness: Harness, months: Months
) -> None:
    rows = months.rows()
    moved = from_path(months.source, "official/trips_{month}.csv.gz")
    first, second, back = (
        months.run("manual__1"),
        months.run("manual__2", source=moved),
        months.run("manual__3"),
    )
    mirror, official = months.file(rows), months.file([*rows[1:], rows[0].replace("0.50", "7.25")], "official")
    first.complete(mirror)

    # Rows that both files have stay, and are of the other file now.
    assert second.complete(official) == Counts(inserted=6, deleted=6, unchanged=0)

    assert harness.ids(second.load) == sorted(specified_ids(months.source, official))
    filename = f"SELECT DISTINCT filename FROM {harness.main_table(moved)} WHERE {harness.of_month(second.load)}"
    assert [tuple(row) for row in harness.ask(filename)] == [(f"trips_{months.month}.csv",)]
    (entry,) = harness.attempts(first.load)[1:]
    assert entry.state == "published"
    assert back.complete(mirror).inserted == 6
    assert harness.ids(first.load) == sorted(specified_ids(months.source, mirror))
