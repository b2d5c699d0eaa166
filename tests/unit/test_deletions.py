"""Whether publishing a corrected file may delete published rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from taxiway.errors import DestructiveCorrectionError
from taxiway.loads.attempts import Attempt
from taxiway.loads.deletions import ACCEPTING_CONF, DeletionGuard, Deletions
from taxiway.loads.known_samples import sample_tests
from taxiway.loads.load import Load
from taxiway.loads.publication import Published
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source

LOAD = Load(load_source(SOURCES_FOLDER / "green.yaml"), Month(2019, 1), "manual__1")
ATTEMPT = Attempt("2", "2", 1, "merge_month", "running", sha256="new", rows_staged=800, layout="layout")
PUBLISHED = Published("old", rows_read=1000, rows_rejected=0, rows_staged=1000, fetched_load_id="1", layout="layout")


def guarding(share: float, **changes: object) -> DeletionGuard:
    load = replace(LOAD, source=replace(LOAD.source, max_deleted_share=share))
    return DeletionGuard(load, replace(ATTEMPT, **changes))


def never() -> Deletions:
    raise AssertionError("nothing has to be counted")


@pytest.mark.parametrize(
    ("share", "deleted", "published"),
    [(0.2, 0, 0), (0.2, 0, 10), (0.2, 2, 10), (0.29, 29, 100), (1, 10, 10), (0, 0, 10)],
)
def test_as_many_rows_may_go_as_the_source_allows(share: float, deleted: int, published: int) -> None:
    guarding(share).require_few(PUBLISHED, lambda: Deletions(deleted, published))


@pytest.mark.parametrize(("share", "deleted", "published"), [(0.2, 3, 10), (0, 1, 1000), (0.9, 10, 10)])
@pytest.mark.parametrize("known", [PUBLISHED, None], ids=["known", "unknown to the ledger"])
def test_no_more_may_go(share: float, deleted: int, published: int, known: Published | None) -> None:
    with pytest.raises(DestructiveCorrectionError, match=f"delete {deleted} of the {published} published rows"):
        guarding(share).require_few(known, lambda: Deletions(deleted, published))


def test_the_error_says_how_many_of_how_many_and_how_to_accept() -> None:
    with pytest.raises(DestructiveCorrectionError) as caught:
        guarding(0.2).require_few(PUBLISHED, lambda: Deletions(400, 1000))

    assert str(caught.value) == (
        "green 2019-01: green_tripdata_2019-01.csv would delete 400 of the 1000 published rows, expected at most "
        "20.00% (max_deleted_share in include/sources/green.yaml). Nothing was published, and the published rows "
        "stay. If the file is right, load the month again with the conf "
        '{"accept_deletions": true}'
    )
    assert ACCEPTING_CONF in str(caught.value)


def test_a_person_may_accept_any_number() -> None:
    replace(guarding(0), accepts_all=True).require_few(PUBLISHED, never)


def test_a_person_may_approve_as_many_as_were_asked_about() -> None:
    approved = replace(guarding(0), approved=7)
    approved.require_few(PUBLISHED, lambda: Deletions(7, 9))

    with pytest.raises(DestructiveCorrectionError, match="delete 8 of the 9 published rows") as caught:
        approved.require_few(PUBLISHED, lambda: Deletions(8, 9))
    assert (caught.value.deleted, caught.value.published) == (8, 9)


def test_what_the_published_file_lacks_somebody_else_has_written() -> None:
    guarding(0, sha256="old").require_few(PUBLISHED, never)


def test_files_of_two_layouts_are_compared_by_the_numbers_of_their_rows() -> None:
    """The same rows have other ids."""
    guarding(0.2, layout="another").require_few(PUBLISHED, never)
    guarding(0, layout="another", rows_staged=1200).require_few(PUBLISHED, never)

    with pytest.raises(DestructiveCorrectionError, match="delete 201 of the 1000 published rows"):
        guarding(0.2, layout="another", rows_staged=799).require_few(PUBLISHED, never)
    with pytest.raises(DestructiveCorrectionError, match="delete 1000 of the 1000 published rows"):
        guarding(0.2, layout="another", rows_staged=None).require_few(PUBLISHED, never)


@pytest.mark.parametrize(
    ("earlier", "own"), [("layout", "layout"), (None, "layout"), ("layout", None)], ids=["same", "earlier", "own"]
)
def test_the_ids_are_compared_if_nothing_says_that_the_layouts_differ(earlier: str | None, own: str | None) -> None:
    """The ledger of version 0.1.0 has no layouts."""
    with pytest.raises(DestructiveCorrectionError, match="delete 9 of the 10 published rows"):
        guarding(0.2, layout=own).require_few(replace(PUBLISHED, layout=earlier), lambda: Deletions(9, 10))


@pytest.fixture
def samples() -> Iterator[list[object]]:
    """What is asked whether it is a sample; the file "sample" is one."""
    asked, before = list[object](), list(sample_tests)

    def is_sample(source: Source, month: Month, sha256: str, rows: int) -> bool:
        asked.append((source.name, str(month), sha256, rows))
        return sha256 == "sample"

    sample_tests[:] = [is_sample]
    yield asked
    sample_tests[:] = before


def test_a_sample_may_be_replaced_by_any_file(samples: list[object]) -> None:
    sample = replace(PUBLISHED, sha256="sample", rows_read=1001)

    guarding(0.2).require_few(sample, lambda: Deletions(1000, 1000))
    assert samples == [("green", "2019-01", "sample", 1001)]
    with pytest.raises(DestructiveCorrectionError):
        guarding(0.2).require_few(PUBLISHED, lambda: Deletions(1000, 1000))
    with pytest.raises(DestructiveCorrectionError):
        guarding(0.2).require_few(None, lambda: Deletions(1000, 1000))


def test_only_what_would_be_refused_is_asked_whether_it_is_a_sample(samples: list[object]) -> None:
    guarding(0.2).require_few(PUBLISHED, lambda: Deletions(200, 1000))
    assert samples == []
