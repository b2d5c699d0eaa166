"""Runs of the same month beside each other: the later file stays, and no row is there twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from taxiway.errors import SupersededError, TransientWarehouseError
from taxiway.loads.load import Counts
from taxiway.loads.step_names import PUBLISH
from tests.conformance.conftest import Months
from tests.conformance.harness import Harness
from tests.conformance.run import Run
from tests.loading import specified_ids


@pytest.fixture
def first_file(months: Months) -> Path:
    return months.file(months.rows(), "first")


@pytest.fixture
def second_file(months: Months) -> Path:
    return months.file(months.rows(7), "second")


def holds(months: Months, run: Run, file: Path) -> bool:
    return months.harness.ids(run.load) == sorted(specified_ids(months.source, file))


def test_an_older_file_does_not_replace_a_later_one_however_often_it_is_tried(
    harness: Harness, months: Months, first_file: Path, second_file: Path
) -> None:
    early, late = months.run("manual__1"), months.run("manual__2")
    early.ready(first_file)
    late.ready(second_file)
    late.publish()

    for again in (False, True):
        with pytest.raises(SupersededError, match="a run that began later has published the month"):
            early.publish(again=again)
    # Nor if the steps before are done again, with the file of that download.
    with pytest.raises(SupersededError):
        early.finish()
    assert holds(months, late, second_file)
    assert [entry.stands for entry in harness.attempts(early.load)] == [
        ("manual__1", 1, "failed"),
        ("manual__2", 1, "published"),
        ("manual__1", 2, "failed"),
        ("manual__1", 3, "failed"),
    ]

    # A new download of the same run is the later file.
    early.ready(first_file)
    assert early.publish() == Counts(inserted=0, deleted=1, unchanged=6)
    assert holds(months, early, first_file)


def test_a_later_file_replaces_one_whose_publication_took_several_tries(
    harness: Harness, months: Months, first_file: Path, second_file: Path
) -> None:
    """Another try makes an attempt, and no file, later."""
    early, late = months.run("manual__1"), months.run("manual__2")
    early.ready(first_file)
    late.ready(second_file)
    with (
        pytest.raises(TransientWarehouseError),
        harness.open(early.load) as warehouse,
        warehouse.step(PUBLISH),
    ):
        raise TransientWarehouseError("the server is shutting down")
    early.publish(again=True)

    assert late.publish() == Counts(inserted=1, deleted=0, unchanged=6)

    assert holds(months, late, second_file)
    assert months.run("manual__3").download(second_file).nothing_to_do is not None


def test_a_file_that_was_found_published_later_stays(
    harness: Harness, months: Months, first_file: Path, second_file: Path
) -> None:
    """Its publisher took another file back, which a run has at hand still."""
    months.run("manual__0").complete(first_file)
    early, late = months.run("manual__1"), months.run("manual__2")
    early.download(second_file)
    assert late.download(first_file).nothing_to_do is not None

    with pytest.raises(SupersededError, match=r"a run that began later has published the month .* or found it"):
        early.finish()

    assert holds(months, late, first_file)


def test_loads_of_a_month_at_once_do_not_double_it(harness: Harness, months: Months, first_file: Path) -> None:
    runs = [months.run(f"manual__{number}") for number in range(2)]
    for run in runs:
        run.ready(first_file)
    together = Barrier(len(runs))

    def publish(run: Run) -> Counts:
        together.wait(60)
        return run.publish()

    with ThreadPoolExecutor(len(runs)) as pool:
        counts = sorted(pool.map(publish, runs), key=lambda each: each.inserted)

    assert counts == [Counts(0, 0, 6), Counts(6, 0, 0)]
    assert holds(months, runs[0], first_file)
