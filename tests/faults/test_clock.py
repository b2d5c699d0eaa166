"""A clock that goes back, for a real server and a real worker: what was done later counts, whatever the times say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped

from taxiway.sources.months import Month
from tests.faults.aftermath import assert_rejected, assert_survived
from tests.faults.conftest import loading_on
from tests.faults.cutting_proxy import Cut
from tests.faults.faked_clock import FakedClock, find_library
from tests.faults.killable_server import KillableServer
from tests.faults.loading_by_operators import Loading
from tests.faults.loading_worker import LoadingWorker, TaskKilledError
from tests.faults.served_months import ServedMonths
from tests.loading import query, source_file

ROWS = 400
TWO_DAYS = timedelta(days=2)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TIMES = "SELECT to_char(month, 'YYYY-MM'), state, started_at, finished_at FROM taxiway.loads ORDER BY load_id"


@dataclass
class Faked:
    """A server and a worker that run by a clock of their own."""

    clock: FakedClock
    server: KillableServer
    worker: LoadingWorker


@pytest.fixture(scope="module")
def faked() -> Iterator[Faked]:
    find_library()
    with KillableServer() as server:
        server.kill()
        clock = FakedClock(server.socket_folder / "clock")
        server.start(clock.environment)
        with LoadingWorker(clock.environment) as worker:
            yield Faked(clock, server, worker)


@pytest.fixture
def clock(faked: Faked) -> FakedClock:
    faked.clock.set(timedelta())
    return faked.clock


@pytest.fixture
def loading(
    faked: Faked, clock: FakedClock, tmp_path: Path, served_months: ServedMonths, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loading]:
    """By the worker, with a cache that has no room for a second file."""
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_LIMIT", "1 KiB")
    with loading_on(faked.server, tmp_path, served_months, monkeypatch) as loading:
        loading.execute = faked.worker.execute
        yield loading


def assert_clock_was_at(connection: psycopg.Connection[object], clock: FakedClock) -> None:
    """The server's clock is the faked one."""
    ((now,),) = query(connection, "SELECT clock_timestamp()")
    assert abs(now - clock.now) < MINUTE


@pytest.mark.parametrize("worker_is", ["killed", "cut off"])
def test_between_two_attempts(
    worker_is: str, faked: Faked, loading: Loading, clock: FakedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each step the worker is gone, or its connection; when it is tried again, it is two days earlier."""
    worker = faked.worker
    month = Month(2019, 1)
    loading.serve(month, rows=ROWS)
    loading.load(month, "before")
    loading.before_retry = lambda: clock.go(-TWO_DAYS)

    def breaking(step: str) -> Callable[..., Any]:
        """Break the first try of a step off, after the commit that records it in the ledger."""
        cut = Cut(2, "messages", lost=True, reset=False, behind=(f"'{step}'".encode(), b"COMMIT"))

        def execute(task_id: str, source: str, month: str, run_id: str, try_number: int, *values: Any) -> Any:
            if (task_id, try_number) == (step, 1):
                loading.proxy.arm(cut, worker.kill_task if worker_is == "killed" else None)
            return worker.execute(task_id, source, month, run_id, try_number, *values)

        return execute

    broken = ["stage_month", "hash_rows", "merge_month"]
    for number, step in enumerate(broken, start=1):
        loading.serve(month, rows=ROWS, revision=number, kind="rejects" if step == "hash_rows" else "canonical")
        with monkeypatch.context() as patched:
            patched.setattr(loading, "execute", breaking(step))
            loading.load(month, f"run {number}")

        assert loading.proxy.cuts == number
        with closing(loading.connect()) as connection:
            assert_clock_was_at(connection, clock)
            ledger = assert_survived(connection, loading.source, loading.expected)
            assert_rejected(connection, loading.served)
            file = source_file(loading.served[str(month)].path)
            assert query(connection, "SELECT last_state, sha256 FROM taxiway.months") == [("published", file.sha256)]
            times = query(connection, TIMES)
        assert [task for task, _ in loading.tried_again] == broken[:number], loading.tried_again
        assert {type(error) is TaskKilledError for _, error in loading.tried_again} == {worker_is == "killed"}
        first, second = ledger[-2:]
        assert (first[1], second[1]) == ("abandoned" if worker_is == "killed" else "failed", "published")
        (_, _, began, _), (_, _, began_again, _) = times[-2:]
        assert abs(began - TWO_DAYS - began_again) < MINUTE, "the next attempt began two days before the first"


def test_a_correction_stays(loading: Loading, clock: FakedClock) -> None:
    """The older file is ready to be published when the clock goes back and the corrected one overtakes it."""
    month = Month(2019, 1)
    loading.serve(month, rows=ROWS, revision=0)
    loading.stage(month, "older")
    loading.run("hash_rows", month, "older")
    clock.go(-TWO_DAYS)
    corrected = loading.serve(month, rows=ROWS, revision=1)
    loading.load(month, "corrected")
    of_corrected = [("published", source_file(corrected.path).sha256)]
    months = "SELECT last_state, sha256 FROM taxiway.months"

    with pytest.raises(AirflowFailException, match="a run that began later has published the month meanwhile"):
        loading.publish(month, "older")
    loading.run("drop_staging", month, "older")
    with pytest.raises(DownstreamTasksSkipped):
        loading.run("download_month", month, "corrected again")

    with closing(loading.connect()) as connection:
        assert_survived(connection, loading.source, loading.expected, last_states=["unchanged"])
        assert query(connection, months) == [("unchanged", of_corrected[0][1])]
        (_, older, older_began, _), (_, published, began, ended), (_, _, began_last, _) = query(connection, TIMES)
    assert (older, published) == ("failed", "published")
    assert began < ended <= began_last < older_began - TWO_DAYS + MINUTE

    # Back to the older file, by a run of its own and yet two days earlier: what is done last counts.
    clock.go(-TWO_DAYS)
    loading.serve(month, rows=ROWS, revision=0)
    loading.load(month, "older again")
    with closing(loading.connect()) as connection:
        assert_survived(connection, loading.source, loading.expected)
        sha256 = source_file(loading.served[str(month)].path).sha256
        assert query(connection, months) == [("published", sha256)]


def test_files_of_the_cache_are_of_a_time_to_come(loading: Loading, clock: FakedClock, tmp_path: Path) -> None:
    """They count as just used: no step loses its file; used again, they are of the present and go in their time."""
    used_again, unused, evicts, last = (Month(2019, number) for number in range(1, 5))

    def load(month: Month) -> None:
        loading.serve(month, rows=ROWS)
        loading.load(month, str(clock.now))

    def cached(month: Month) -> datetime | None:
        """When a file was used last."""
        found = list((tmp_path / "cache").rglob(loading.source.download_name(month)))
        return datetime.fromtimestamp(found[0].stat().st_mtime, clock.now.tzinfo) if found else None

    load(used_again)
    load(unused)
    clock.go(-TWO_DAYS)
    before = cached(used_again)
    assert before is not None
    assert before > clock.now + TWO_DAYS - MINUTE
    with pytest.raises(DownstreamTasksSkipped):
        loading.run("download_month", used_again, "used again")
    assert loading.mirror.seen[-1].status == 304
    after = cached(used_again)
    assert after is not None
    assert abs(after - clock.now) < MINUTE

    clock.go(2 * HOUR)
    load(evicts)
    assert cached(used_again) is None, "unused for two hours"
    assert cached(unused) is not None, "may have been used a minute before the clock went back"

    clock.go(TWO_DAYS)
    load(last)
    assert (cached(unused), cached(evicts)) == (None, None)
    assert cached(last) is not None
    with closing(loading.connect()) as connection:
        assert_survived(connection, loading.source, loading.expected, last_states=["published", "unchanged"])
