"""The ledger's attempts: of steps that fail, of workers that are lost, of runs that nobody works on any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taxiway.download.download import Download
from taxiway.errors import BalanceError, DownloadError, TransientWarehouseError
from taxiway.loads.load import Counts
from taxiway.loads.step_names import CHECK, PUBLISH, STAGE
from tests.conformance.conftest import Months
from tests.conformance.harness import Harness


def test_every_try_of_a_failed_step_is_another_attempt_with_its_error(harness: Harness, months: Months) -> None:
    """One fails before it has a file; the other goes on with what the steps before have found."""
    run = months.run()

    def download() -> Download:
        raise DownloadError("the mirror is down")

    with pytest.raises(DownloadError):
        run.download(download)
    run.download(months.file(months.rows()), again=True)
    run.go_on(before=CHECK)
    with (
        pytest.raises(TransientWarehouseError),
        harness.open(run.load) as warehouse,
        warehouse.step(CHECK),
    ):
        raise TransientWarehouseError("the server is shutting down")
    run.do(CHECK, again=True)

    assert run.publish() == Counts(6, 0, 0)
    entries = harness.attempts(run.load)
    assert [(*entry.stands[1:], entry.error) for entry in entries] == [
        (1, "failed", "download_month: the mirror is down"),
        (2, "failed", "check_month: the server is shutting down"),
        (3, "published", None),
    ]
    assert [entry.counts for entry in entries] == [(None, None, None), (6, 0, 6), (6, 0, 6)]


def test_a_worker_that_is_lost_leaves_an_abandoned_attempt(harness: Harness, months: Months) -> None:
    """The step is begun again although nobody has ended it; another attempt goes on with the file."""
    run = months.run()
    run.download(months.file(months.rows()))
    run.go_on(before=STAGE)
    harness.lose_worker(run.load, STAGE)

    run.do(STAGE, again=True)
    run.go_on(after=STAGE)

    assert run.publish() == Counts(6, 0, 0)
    lost, published = harness.attempts(run.load)
    assert (*lost.stands, lost.error) == (
        "manual__1",
        1,
        "abandoned",
        "stage_month: its worker ended without a word",
    )
    assert (published.stands, published.counts) == (("manual__1", 2, "published"), (6, 0, 6))
    assert published.url is not None
    assert published.url == lost.url


def test_an_attempt_of_another_run_is_abandoned_when_it_is_too_old(harness: Harness, months: Months) -> None:
    """One that is younger is left alone; and the old one, if it lives, goes on with another attempt."""
    file = months.file(months.rows())
    old, young, new = (months.run(f"manual__{name}") for name in ("old", "young", "new"))
    old.download(file)
    young.download(file)
    harness.make_old(old.load)

    new.download(file)

    assert [entry.stands for entry in harness.attempts(old.load)] == [
        ("manual__old", 1, "abandoned"),
        ("manual__young", 1, "running"),
        ("manual__new", 1, "running"),
    ]
    assert "its worker ended without a word" in str(harness.attempts(old.load)[0].error)
    assert old.finish() == Counts(6, 0, 0)
    assert [entry.stands for entry in harness.attempts(old.load) if entry.run_id == "manual__old"] == [
        ("manual__old", 1, "abandoned"),
        ("manual__old", 2, "published"),
    ]


def test_a_worker_that_is_lost_after_publishing_says_the_same_counts_again(harness: Harness, months: Months) -> None:
    run = months.run()
    run.ready(months.file(months.rows()))

    assert [run.publish(), run.publish(again=True)] == [Counts(6, 0, 0), Counts(6, 0, 0)]

    (entry,) = harness.attempts(run.load)
    assert (entry.stands, entry.changes) == (("manual__1", 1, "published"), (6, 0, 0))
    assert len(harness.ids(run.load)) == 6


def test_an_attempt_that_has_published_says_why_its_step_failed_afterwards(harness: Harness, months: Months) -> None:
    """Until another try succeeds."""
    run = months.run()
    run.ready(months.file(months.rows()))
    published = run.publish()
    before = harness.attempts(run.load)

    with (
        pytest.raises(TransientWarehouseError),
        harness.open(run.load) as warehouse,
        warehouse.step(PUBLISH),
    ):
        raise TransientWarehouseError("the server is shutting down")
    assert harness.attempts(run.load) == [replace(before[0], error="merge_month: the server is shutting down")]
    later = replace(run, load=replace(run.load, source=replace(run.load.source, yaml_sha256="later")))
    assert later.publish(again=True) == published
    assert harness.attempts(run.load) == before
    assert harness.ask("SELECT yaml_sha256 FROM $taxi.loads WHERE yaml_sha256 = 'later'") == []

    harness.delete_row(run.load, harness.ids(run.load)[0])
    with pytest.raises(BalanceError) as caught:
        run.publish(again=True)
    assert harness.attempts(run.load) == [replace(before[0], error=f"merge_month: {caught.value}")]
