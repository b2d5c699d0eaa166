"""A worker that lacks the downloaded file fetches it again, and loads the file that the load has begun with."""

from __future__ import annotations

import gzip
import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests

from taxiway.download.cache import Cache
from taxiway.download.download import Download, download_month
from taxiway.errors import ChangedFileError, DownloadError, LostFileError
from taxiway.loads.load import Counts
from taxiway.loads.step_names import DOWNLOAD
from tests.conformance.conftest import Months
from tests.conformance.harness import Harness
from tests.conformance.run import Run
from tests.mirror_faults import FaultyMirror, status


@dataclass
class Served:
    """A month on a real mirror, and a run that downloads it.

    :param path: the file's address at the mirror
    :param cache: the folder of the worker at hand
    """

    mirror: FaultyMirror
    path: str
    run: Run
    cache: Path

    @property
    def file(self) -> Path:
        """The downloaded file."""
        return Path(self.run.outputs[DOWNLOAD]["path"])

    def fetch(self) -> Download:
        """Download the month, as a task of any worker does."""
        load = self.run.load
        with requests.Session() as session:
            return download_month(session, self.mirror.url, load.source, load.month, Cache(self.cache, 10**9))

    def serve(self, rows: list[str]) -> bytes:
        """Put the month on the mirror."""
        header = ",".join(column.header for column in self.run.load.source.columns)
        body = gzip.compress("\n".join([header, *rows, ""]).encode())
        self.mirror.put(self.path, body)
        return body


@pytest.fixture
def served(months: Months) -> Iterator[Served]:
    """A row can be read by nobody, so that every step that may read the file does."""
    source = replace(months.source, max_rejected_share=0.5)
    run = months.run(source=source)
    with FaultyMirror() as mirror:
        served = Served(mirror, f"/{source.file_path(months.month)}", run, months.folder / "cache")
        run.fetch = served.fetch
        yield served


def rows_with_a_reject(months: Months) -> list[str]:
    rows = months.rows()
    return [*rows[:2], rows[2].replace(",2,", ",two,"), *rows[3:]]


def steps_that_read(run: Run) -> list[str]:
    return [step.name for step in run.steps if DOWNLOAD in step.needs]


def test_a_cache_that_is_emptied_between_all_steps_changes_nothing(
    harness: Harness, months: Months, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.serve(rows_with_a_reject(months))
    run = served.run
    run.download(served.fetch)
    for name in run.load.steps[1:]:
        shutil.rmtree(served.cache, ignore_errors=True)
        run.do(name)
    run.drop()

    assert run.counts == Counts(5, 0, 0)
    assert [row[:2] for row in harness.rejects(run.load)] == [(4, rows_with_a_reject(months)[2])]
    (entry,) = harness.attempts(run.load)
    assert (entry.state, entry.error, entry.counts) == ("published", None, (6, 1, 5))
    # The first step that reads the file, and hash_rows, which looks for the rejected line.
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    fetched = [said for said in warnings if said.endswith(": fetching it again")]
    assert len(fetched) == 2
    assert all(f"{run.load.where}: " in said and "is gone, expected it in the cache" in said for said in fetched)
    assert [seen.status for seen in served.mirror.seen] == [200] * 3
    assert harness.left_behind(run.load) == []


def replaced(path: Path) -> None:
    path.write_bytes(gzip.compress(b"another month\n1\n"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def in_a_file(path: Path) -> None:
    """A file of another machine's has the folder's name."""
    shutil.rmtree(path.parent)
    path.parent.write_text("")


@pytest.mark.parametrize("lose", [Path.unlink, replaced, cut, in_a_file])
def test_what_was_lost_or_damaged_is_fetched_again(
    harness: Harness, months: Months, served: Served, lose: Callable[[Path], None]
) -> None:
    served.serve(rows_with_a_reject(months))
    run = served.run
    run.download(served.fetch)
    lose(served.file)
    served.cache = months.folder / "cache of another machine"

    assert run.finish() == Counts(5, 0, 0)

    assert [entry.state for entry in harness.attempts(run.load)] == ["published"]
    # Once for the machine that lacked it, then asked whether it is still the same.
    assert [seen.status for seen in served.mirror.seen] == [200, 200, 304]


@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
def test_other_bytes_at_the_source_are_an_error_that_names_both(
    harness: Harness, months: Months, served: Served, place: int
) -> None:
    before = months.run("manual__0", source=served.run.load.source)
    before.complete(months.file(months.rows(3)))
    ids = harness.ids(before.load)
    first = served.serve(rows_with_a_reject(months))
    run = served.run
    run.download(served.fetch)
    step = steps_that_read(run)[place]
    run.go_on(before=step)
    shutil.rmtree(served.cache)
    second = served.serve(months.rows())

    with pytest.raises(ChangedFileError) as caught:
        run.do(step)

    said = str(caught.value)
    assert said.startswith(f"{run.load.where}: ")
    for body in (first, second):
        assert hashlib.sha256(body).hexdigest() in said
    assert "clear the task download_month with its downstream tasks" in said
    assert harness.ids(before.load) == ids
    entry = harness.attempts(run.load)[-1]
    assert (entry.step, entry.state, said[:200] in str(entry.error)) == (step, "failed", True)
    # What the error advises.
    run.download(served.fetch)
    assert run.finish() == Counts(3, 0, 3)


def test_a_source_that_does_not_answer_is_asked_again_by_the_next_try(
    harness: Harness, months: Months, served: Served
) -> None:
    served.serve(rows_with_a_reject(months))
    run = served.run
    run.download(served.fetch)
    shutil.rmtree(served.cache)
    served.mirror.script(served.path, status(503))
    step = steps_that_read(run)[0]

    with pytest.raises(DownloadError, match="503"):
        run.do(step)
    run.do(step, again=True)
    run.go_on(after=step)

    assert run.publish() == Counts(5, 0, 0)
    assert [entry.state for entry in harness.attempts(run.load)] == ["failed", "published"]


def test_a_step_that_may_not_fetch_says_which_task_does(months: Months, served: Served) -> None:
    served.serve(rows_with_a_reject(months))
    run = served.run
    run.download(served.fetch)
    run.fetch = None
    shutil.rmtree(served.cache)

    with pytest.raises(LostFileError, match="Clear the task download_month with its downstream tasks"):
        run.finish()
    run.download(served.fetch)

    assert run.finish() == Counts(5, 0, 0)
