"""Whether a month may be published."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taxiway.errors import BalanceError, CheckFailedError, EmptyMonthError, RejectLimitError, SupersededError
from taxiway.files.rejects import Reject
from taxiway.loads.load import Load
from taxiway.loads.publication import (
    Counted,
    Measured,
    Published,
    are_new,
    difference_of_layout,
    judge_month,
    measured_checks,
    require_balance,
    require_checks,
    require_few_rejects,
    require_latest,
    require_rows,
    warnings_of,
    with_left_out,
)
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.checks import Check, Verdict
from taxiway.sources.months import Month
from taxiway.sources.source import load_source
from tests.releases import on_mirror

LOAD = Load(on_mirror(load_source(SOURCES_FOLDER / "green.yaml")), Month(2019, 1), "manual__1")
BALANCED = Counted(read=10, rejected=2, ready=8, of_file=8, distinct_ids=8)


@pytest.mark.parametrize("counted", [BALANCED, replace(BALANCED, distinct_ids=None), Counted(0, 0, 0, 0, 0)])
def test_a_month_balances_if_every_row_is_ready_or_rejected(counted: Counted) -> None:
    require_balance(LOAD, counted)


@pytest.mark.parametrize(
    "change",
    [{"read": 11}, {"read": 9}, {"rejected": 1}, {"ready": 9}, {"of_file": 7}, {"of_file": 9}, {"distinct_ids": 7}],
    ids=str,
)
def test_a_month_that_does_not_balance_is_named_with_all_counts(change: dict[str, int]) -> None:
    counted = replace(BALANCED, **change)
    with pytest.raises(BalanceError) as caught:
        require_balance(LOAD, counted)

    assert str(caught.value) == unbalanced(counted, f", with {counted.distinct_ids} different ids")


def unbalanced(counted: Counted, ids: str) -> str:
    return (
        f"green 2019-01: the month doesn't balance: {counted.read} rows read, {counted.ready} ready to be published "
        f"({counted.of_file} of them of {LOAD.filename}{ids}), {counted.rejected} rejected; expected read = ready + "
        f"rejected, and a name and an id for each. Nothing was published: clear the task stage_month with its "
        f"downstream tasks to stage the file again"
    )


def test_ids_that_an_index_keeps_apart_are_not_spoken_of() -> None:
    counted = replace(BALANCED, read=11, distinct_ids=None)
    with pytest.raises(BalanceError) as caught:
        require_balance(LOAD, counted)

    assert str(caught.value) == unbalanced(counted, "")


def test_every_failed_check_is_named() -> None:
    with pytest.raises(CheckFailedError) as caught:
        require_checks(LOAD, Verdict(failures=("one", "two"), warnings=("three",), skipped=()))

    assert str(caught.value) == (
        f"green 2019-01: {LOAD.filename}: one; two. Nothing was published: if the file is right, change the check in "
        f"include/sources/green.yaml and clear the task stage_month with its downstream tasks"
    )


def test_a_warning_fails_nothing() -> None:
    require_checks(LOAD, Verdict(failures=(), warnings=("three",), skipped=("four",)))


@pytest.mark.parametrize(
    ("found", "later"), [(None, True), (None, False), ("aa", True), ("aa", False), ("bb", False)], ids=str
)
def test_a_month_is_published_over_none_the_same_or_an_earlier_file(found: str | None, later: bool) -> None:
    require_latest(LOAD, "aa", found, later=later)


def test_a_later_file_stays() -> None:
    with pytest.raises(SupersededError) as caught:
        require_latest(LOAD, "aa", "bb", later=True)

    assert str(caught.value) == (
        "green 2019-01: a run that began later has published the month meanwhile, or found it published, from another "
        "file (SHA-256 bb); expected to publish aa. Nothing was changed: run the month again if this file is the right "
        "one"
    )


def test_a_month_is_compared_with_its_neighbours_and_its_columns_with_their_bounds() -> None:
    checks = (
        Check("rows", "rows_to_neighbours", None, 0.5, 2, "fail", "look"),
        Check("nulls", "share_null", "total", None, 0.1, "warn", "look"),
    )
    load = replace(LOAD, source=replace(LOAD.source, checks=checks))
    counted = replace(BALANCED, ready=10)

    assert judge_month(load, Measured(counted, {"nulls": 0.1}, [10, 20])) == Verdict((), (), ())
    assert judge_month(load, Measured(counted, {"nulls": None}, [])) == Verdict((), (), ("rows", "nulls"))
    assert judge_month(load, Measured(counted, {"nulls": 0.2}, [30])) == Verdict(
        ("rows: rows to neighbours is 0.3333, expected at least 0.5 and at most 2: look",),
        ("nulls: share null of total is 0.2, expected at most 0.1: look",),
        (),
    )


def test_a_month_without_rows_is_an_error_unless_the_source_allows_it() -> None:
    require_rows(LOAD, 1)
    require_rows(replace(LOAD, source=replace(LOAD.source, allow_empty=True)), 0)
    with pytest.raises(EmptyMonthError) as caught:
        require_rows(LOAD, 0)

    assert str(caught.value) == (
        f"green 2019-01: {LOAD.filename}: found a header and no rows, expected at least one. If an empty month is "
        f"right for this source, set 'allow_empty: true' in include/sources/green.yaml and clear the task upload_month "
        f"with its downstream tasks"
    )


def test_rejected_rows_within_the_limit_are_said_and_more_fail() -> None:
    load = replace(LOAD, source=replace(LOAD.source, max_rejected_share=0.1))
    look = "airflow taxi rejects green 2019-01"
    named = [Reject(7, b"x", "odd")]

    assert require_few_rejects(load, 0, 10) is None
    assert require_few_rejects(load, 1, 10, named) == (
        f"green 2019-01: {LOAD.filename}: 1 of 10 rows can't be read, and are left out. "
        f"To see and mend the lines: {look}"
    )
    with pytest.raises(RejectLimitError) as caught:
        require_few_rejects(load, 2, 10, named)
    for part in ("2 of 10 rows", "The first: line 7: odd.", look, "clear the task upload_month"):
        assert part in str(caught.value)


def test_a_month_is_from_a_file_with_the_same_bytes() -> None:
    published = Published("aa", rows_read=1, rows_rejected=0, rows_staged=1, fetched_load_id="1")

    assert published.is_from("aa")
    assert not published.is_from("bb")


def test_a_layout_that_files_of_the_month_no_longer_have_is_a_difference() -> None:
    *rest, last = LOAD.source.columns
    shorter = replace(LOAD, source=replace(LOAD.source, columns=tuple(rest)))
    optional = replace(LOAD.source, columns=(*rest, replace(last, optional=True)))
    known, other = LOAD.layout.name, shorter.layout.name

    assert difference_of_layout(LOAD.source, LOAD.month, known) is None
    assert difference_of_layout(LOAD.source, LOAD.month, None) is None
    assert difference_of_layout(optional, LOAD.month, known) is None
    assert difference_of_layout(optional, LOAD.month, other) is None
    found = difference_of_layout(LOAD.source, LOAD.month, other)
    assert found is not None
    assert found.must_change
    assert found.said == (
        f"the month was loaded with other columns than include/sources/green.yaml says now "
        f"(layout {other}, now {known})"
    )


def test_a_column_is_new_if_no_published_month_was_loaded_with_it() -> None:
    *rest, last = LOAD.source.columns
    first, second = LOAD.month, LOAD.month.next()
    gained = replace(LOAD.source, columns=(*rest, replace(last, since=second)))
    old, new = (gained.layout_of(month).name for month in (first, second))

    assert are_new(gained, {last.name}, [])
    assert are_new(gained, {last.name}, [(first, old), (first, None)])
    # Loaded before the source knew of the column, though its files had it.
    assert are_new(gained, {last.name}, [(second, old)])
    assert not are_new(gained, {last.name}, [(first, old), (second, new)])
    assert not are_new(gained, {last.name}, [(second, None)])
    assert not are_new(gained, {rest[0].name}, [(first, old)])
    assert not are_new(gained, {last.name}, [(first, "another")])


def test_checks_of_columns_that_the_file_has_are_measured() -> None:
    names = [check.name for check in LOAD.source.checks if check.column is not None]
    without = tuple(
        replace(column, since=LOAD.month.next()) if column.name == "vendorid" else column
        for column in LOAD.source.columns
    )
    later = replace(LOAD, source=replace(LOAD.source, columns=without))

    assert [check.name for check in measured_checks(LOAD)] == names
    assert [check.name for check in measured_checks(later)] == [name for name in names if name != "missing_vendors"]
    verdict = judge_month(later, Measured(Counted(1, 0, 1, 1), {}, []))
    assert set(verdict.skipped) == {check.name for check in LOAD.source.checks}


def test_columns_that_are_left_out_are_among_the_warnings_once() -> None:
    before = ["before this load, a row was lost"]

    first = with_left_out(before, ["fee", "a,b"])
    assert first == [*before, "left out, as on_new_column says: fee, a,b"]
    assert with_left_out(first, ["fee"]) == [*before, "left out, as on_new_column says: fee"]
    assert with_left_out(first, []) == before
    # A check takes the place of what checks have said before, and of nothing else.
    assert warnings_of([*first, "refunds: too many"], Verdict((), ("refunds: few",), ())) == [*first, "refunds: few"]
