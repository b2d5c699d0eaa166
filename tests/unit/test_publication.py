"""Whether a month may be published."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from taxiway.errors import BalanceError, CheckFailedError, SupersededError
from taxiway.loads.load import Load
from taxiway.loads.publication import Counted, require_balance, require_checks, require_latest
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.checks import Verdict
from taxiway.sources.months import Month
from taxiway.sources.source import load_source

LOAD = Load(load_source(SOURCES_FOLDER / "green.yaml"), Month(2019, 1), "manual__1")
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
    said = (
        f"green 2019-01: the month doesn't balance: {counted.read} rows read, {counted.ready} ready to be published "
        f"({counted.of_file} of them of {LOAD.filename}, with {counted.distinct_ids} different ids), "
        f"{counted.rejected} rejected"
    )
    with pytest.raises(BalanceError, match=f"^{re.escape(said)}.*clear the task stage_month"):
        require_balance(LOAD, counted)


def test_ids_that_an_index_keeps_apart_are_not_spoken_of() -> None:
    with pytest.raises(BalanceError) as failed:
        require_balance(LOAD, replace(BALANCED, read=11, distinct_ids=None))

    assert "different ids" not in str(failed.value)


def test_every_failed_check_is_named() -> None:
    with pytest.raises(CheckFailedError, match=r"^green 2019-01: green.*: one; two\. Nothing was published"):
        require_checks(LOAD, Verdict(failures=("one", "two"), warnings=("three",), skipped=()))


def test_a_warning_fails_nothing() -> None:
    require_checks(LOAD, Verdict(failures=(), warnings=("three",), skipped=("four",)))


@pytest.mark.parametrize(
    ("found", "later"), [(None, True), (None, False), ("aa", True), ("aa", False), ("bb", False)], ids=str
)
def test_a_month_is_published_over_none_the_same_or_an_earlier_file(found: str | None, later: bool) -> None:
    require_latest(LOAD, "aa", found, later=later)


def test_a_later_file_stays() -> None:
    with pytest.raises(SupersededError, match=r"a run that began later .*\(SHA-256 bb\); expected to publish aa"):
        require_latest(LOAD, "aa", "bb", later=True)
