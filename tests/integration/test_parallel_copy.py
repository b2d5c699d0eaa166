"""Sessions of COPY end whatever happens: an error, a timeout while the server keeps them waiting, a server gone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any

import psycopg
import pytest

from taxiway.warehouses.postgres import session
from taxiway.warehouses.postgres.parallel_copy import copy_in_parallel, default_sessions
from tests.conftest import Connect
from tests.integration.airflow_environment import wait_until
from tests.loading import query

STATEMENT = "COPY public.numbers FROM STDIN WITH (FORMAT csv)"
WAITING = "SELECT count(*) FROM pg_locks WHERE relation = 'public.numbers'::regclass AND NOT granted"


@pytest.fixture
def connection(connect: Connect) -> psycopg.Connection[Any]:
    made = connect()
    with made.transaction():
        made.execute("CREATE TABLE public.numbers (number integer)")
    return made


@contextmanager
def time_is_up_in_a_wait(connect: Connect, holder: psycopg.Connection[Any]) -> Iterator[None]:
    """As Airflow's timeout: an exception in the main thread, once; it comes as soon as both sessions wait for a lock.

    The lock stays held: whoever comes back has not waited for it. Only so that a hang is an error, and no endless
    test, it is let go after a time that no machine needs.
    """
    watcher, over, hung = connect(), threading.Event(), []

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError("the task's time is over")

    def watch() -> None:
        wait_until(lambda: query(watcher, WAITING) == [(2,)], timeout=60, what="both sessions to wait")
        os.kill(os.getpid(), signal.SIGALRM)
        if not over.wait(60):
            hung.append(True)
            holder.close()

    before = signal.signal(signal.SIGALRM, ring)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGALRM, before)
    assert not hung, "the sessions went on waiting for the lock"


def test_blocks_arrive_over_both_sessions(connection: psycopg.Connection[Any]) -> None:
    assert copy_in_parallel(connection, STATEMENT, (b"%d\n" % number for number in range(500))) == 500
    assert query(connection, "SELECT count(*), sum(number) FROM numbers") == [(500, 124_750)]


@pytest.mark.parametrize("sessions", [1, 3, 5])
def test_as_many_sessions_copy_as_are_asked_for(
    sessions: int, connect: Connect, connection: psycopg.Connection[Any]
) -> None:
    watcher = connect()
    with ThreadPoolExecutor(1) as thread:
        with connect() as holder:
            holder.execute("LOCK TABLE public.numbers")
            copying = thread.submit(copy_in_parallel, connection, STATEMENT, [b"1\n"] * 500, sessions)
            wait_until(lambda: query(watcher, WAITING) == [(sessions,)], timeout=60, what="all sessions to wait")
        assert copying.result() == 500


@pytest.mark.parametrize(("cores", "sessions"), [(1, 2), (2, 2), (3, 3), (4, 4), (64, 4)])
def test_a_core_has_a_session_from_two_to_four(cores: int, sessions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(cores)), raising=False)
    assert default_sessions() == sessions
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert default_sessions() == sessions


def test_a_bad_row_is_told_by_the_session_that_met_it(connection: psycopg.Connection[Any]) -> None:
    blocks = (b"word\n" if number == 7 else b"1\n" for number in range(50))

    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="word"):
        copy_in_parallel(connection, STATEMENT, blocks)


def test_an_error_of_the_file_ends_both(connection: psycopg.Connection[Any]) -> None:
    def blocks() -> Iterator[bytes]:
        yield from (b"1\n" for _ in range(50))
        raise ValueError("the file ends here")

    with pytest.raises(ValueError, match="ends here"):
        copy_in_parallel(connection, STATEMENT, blocks())

    assert query(connection, "SELECT count(*) FROM numbers") == [(0,)]


@pytest.mark.parametrize("length", [1, 1000], ids=["while it waits for the end", "while the queue is full"])
@pytest.mark.parametrize("reachable", [True, False], ids=["cancelled", "cut"])
def test_a_timeout_ends_sessions_that_wait_for_a_lock(
    length: int,
    reachable: bool,
    connect: Connect,
    connection: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("the server takes no connection")

    if not reachable:
        monkeypatch.setattr(psycopg.Connection, "cancel_safe", refuse)
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "0")  # without an end
    threads = threading.active_count()
    with connect() as holder:
        holder.execute("LOCK TABLE public.numbers")

        with time_is_up_in_a_wait(connect, holder), pytest.raises(TimeoutError, match="time is over"):
            copy_in_parallel(connection, STATEMENT, (b"1\n" for _ in range(length)))

    assert threading.active_count() == threads
    assert query(connect(), "SELECT count(*) FROM numbers") == [(0,)]


def test_a_thread_that_cannot_be_started_leaves_no_other_waiting(
    connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under a limit of processes: the first session's is there then, and waits for blocks."""
    before = set(threading.enumerate())
    start = threading.Thread.start

    def start_one(thread: threading.Thread) -> None:
        if set(threading.enumerate()) - before:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)

    with pytest.raises(RuntimeError, match="can't start new thread"):
        copy_in_parallel(connection, STATEMENT, [b"1\n"])

    assert set(threading.enumerate()) == before
    assert query(connection, "SELECT count(*) FROM numbers") == [(0,)]
