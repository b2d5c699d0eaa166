"""What a warehouse no longer needs: which runs are over, which attempts and rejected lines may go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from taxiway.loads.attempts import LONGEST_PAUSE, LONGEST_RUN
from taxiway.loads.load import run_name
from taxiway.loads.maintenance import Kept, LedgerEntry, Trimmed, expired, is_over, trim
from taxiway.sources.months import Month

NOW = datetime(2026, 1, 5, 12, tzinfo=timezone.utc)
MARCH, APRIL = Month(2019, 3), Month(2019, 4)
KEPT = Kept(timedelta(days=30), timedelta(days=100))


def entry(load_id: int, state: str, days: float, *, month: Month = MARCH, **known: Any) -> LedgerEntry:
    """An attempt that ended some days ago; one that is under way began then."""
    moment = NOW - timedelta(days=days)
    finished = None if state == "running" else moment
    known = {"run_id": f"run {load_id}", "attempt": 1, **known}
    return LedgerEntry(
        str(load_id), "green", month, state=state, begun_at=moment - timedelta(hours=1), finished_at=finished, **known
    )


@dataclass
class Warehouse:
    """A warehouse that notes what it is asked for."""

    ledger: Sequence[LedgerEntry]
    left: Collection[str] = ()
    locked: Collection[str] = ()
    rejects: int = 2
    done: list[tuple[str, Any]] = field(default_factory=list)

    def entries(self) -> Sequence[LedgerEntry]:
        return self.ledger

    def staging(self) -> Collection[str]:
        return self.left

    def drop(self, name: str) -> str:
        self.done.append(("drop", name))
        return "it is locked" if name in self.locked else ""

    def count_rejected_rows(self, load_ids: Collection[str]) -> int:
        self.counted = sorted(load_ids)
        return self.rejects * len(load_ids)

    def delete_rejected_rows(self, load_ids: Collection[str]) -> None:
        self.done.append(("rejects", sorted(load_ids)))

    def delete_attempts(self, load_ids: Collection[str]) -> None:
        self.done.append(("attempts", sorted(load_ids)))


LEDGER = [
    entry(1, "failed", 900),
    entry(2, "published", 800, sha256="old"),
    entry(3, "published", 700, sha256="new"),
    entry(4, "published", 600, sha256="new", is_published=True),
    entry(5, "unchanged", 500, sha256="new"),
    entry(6, "abandoned", 400),
    entry(7, "failed", 50),
    entry(8, "skipped", 40),
    entry(9, "failed", 20, is_last=True),
    entry(10, "failed", 900, month=APRIL, is_last=True),
]


def test_the_ledger_keeps_what_loads_decide_by() -> None:
    assert expired(LEDGER, NOW - KEPT.attempts) == {"1", "2", "6"}
    # Whatever its age.
    assert expired(LEDGER, NOW) == {"1", "2", "6", "7", "8"}


def test_an_attempt_that_fetched_the_file_of_a_kept_one_is_kept() -> None:
    ledger = [
        entry(1, "failed", 900, sha256="new"),
        entry(2, "failed", 900, sha256="old"),
        entry(3, "published", 900, sha256="new", fetched_load_id="1", is_published=True, is_last=True),
        entry(4, "failed", 900, sha256="old", fetched_load_id="2"),
    ]

    assert expired(ledger, NOW) == {"2", "4"}


def test_an_attempt_under_way_is_kept_however_old_it_is() -> None:
    assert expired([entry(1, "running", 900), entry(2, "failed", 1, is_last=True)], NOW) == set()


def test_what_is_deleted_is_counted_and_a_dry_run_deletes_nothing() -> None:
    for dry_run in (True, False):
        warehouse = Warehouse(LEDGER)

        found = trim(warehouse, KEPT, NOW, dry_run=dry_run)

        rejecting = ["1", "10", "2", "5", "6", "7", "8"]
        assert found == Trimmed(rejected_rows=14, attempts=3)
        assert warehouse.counted == rejecting
        assert warehouse.done == ([] if dry_run else [("rejects", rejecting), ("attempts", ["1", "2", "6"])])


def test_nothing_to_delete_asks_for_nothing() -> None:
    warehouse = Warehouse([entry(1, "published", 900, sha256="new", is_published=True, is_last=True)])

    assert trim(warehouse, KEPT, NOW, dry_run=False) == Trimmed()
    assert trim(Warehouse([]), KEPT, NOW, dry_run=False) == Trimmed()
    assert warehouse.done == []


PAUSE, RUN = LONGEST_PAUSE.total_seconds() / 86400, LONGEST_RUN.total_seconds() / 86400


@pytest.mark.parametrize(
    ("state", "days", "over"),
    [
        ("published", 0, True),
        ("unchanged", 0, True),
        ("skipped", 0, True),
        ("failed", PAUSE - 0.01, False),
        ("failed", PAUSE + 0.01, True),
        ("abandoned", PAUSE - 0.01, False),
        ("running", RUN - 0.1, False),
        ("running", RUN, True),
    ],
)
def test_a_run_that_may_go_on_keeps_its_tables(state: str, days: float, over: bool) -> None:
    assert is_over(entry(1, state, days), NOW) == over


def test_what_runs_have_left() -> None:
    ledger = [
        entry(1, "failed", 2, run_id="cut off"),
        # Its second attempt is under way.
        entry(2, "failed", 2, run_id="goes on"),
        entry(3, "running", 0, run_id="goes on", attempt=2),
        entry(4, "published", 0, run_id="locked"),
    ]
    names = {run: run_name("green", MARCH, run) for run in ("cut off", "goes on", "locked", "of nobody")}
    for dry_run in (True, False):
        warehouse = Warehouse(ledger, names.values(), [names["locked"]])

        found = trim(warehouse, KEPT, NOW, dry_run=dry_run)

        gone = sorted([names["cut off"], names["locked"]])
        assert found.unknown == (names["of nobody"],)
        assert (found.staging, found.kept) == (
            (tuple(gone), {}) if dry_run else ((names["cut off"],), {names["locked"]: "it is locked"})
        )
        assert warehouse.done == ([] if dry_run else [("drop", name) for name in gone])
