"""Maintenance: what nobody needs is deleted, and what loads decide by stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from taxiway.loads.load import Counts, run_name
from taxiway.loads.maintenance import Kept, Trimmed, trim
from taxiway.loads.step_names import HASH
from tests.conformance.conftest import Months
from tests.conformance.harness import Harness

KEPT = Kept(timedelta(days=180), timedelta(days=730))
DAY = timedelta(days=1)


def test_what_nobody_needs_is_deleted_and_what_loads_need_stays(harness: Harness, months: Months) -> None:
    rows = months.rows(27)
    lenient = replace(months.source, max_rejected_share=0.5)
    for run_id, count in (("first", 27), ("second", 26)):
        run = months.run(run_id, source=lenient)
        second = months.file([*rows[:count], f"{run_id},no row"], run_id)
        run.ready(second)
        run.publish()
        run.do("drop_staging")
    lost = months.run("lost", source=lenient)
    lost.download(second, force=True)
    lost.go_on(before=HASH)
    harness.lose_worker(lost.load, HASH)
    left = harness.left_behind(lost.load)
    assert left
    now = datetime.now(timezone.utc)

    def trimmed(after: timedelta, *, dry_run: bool = False) -> Trimmed:
        with harness.upkeep() as upkeep:
            return trim(upkeep, KEPT, now + after, dry_run=dry_run)

    # Its worker is lost, and nobody knows: the run may go on.
    assert trimmed(timedelta()) == Trimmed()
    staging = (run_name(months.source.name, months.month, "lost"),)
    assert trimmed(731 * DAY, dry_run=True) == Trimmed(staging, rejected_rows=1, attempts=1)
    assert sorted(harness.left_behind(lost.load)) == sorted(left)
    assert trimmed(181 * DAY) == Trimmed(staging, rejected_rows=1)
    assert trimmed(731 * DAY) == Trimmed(attempts=1)
    assert trimmed(731 * DAY) == Trimmed()

    assert [name for name in harness.left_behind(lost.load) if harness.name == "postgres" or "/" in name] == []
    assert {entry.run_id for entry in harness.attempts(lost.load)} == {"second", "lost"}
    lines = {line for _, line, _ in harness.rejects(lost.load)}
    assert "first,no row" not in lines
    assert "second,no row" in lines
    again = months.run("again", source=lenient)
    assert again.download(second).nothing_to_do
    corrected = months.run("corrected", source=lenient)
    corrected.ready(months.file(rows, "third"))
    assert corrected.publish() == Counts(1, 0, 26)
