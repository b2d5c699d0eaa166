"""Two sessions of COPY end whatever happens: an error, a timeout while the server keeps them waiting, a server gone."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import psycopg
import pytest

from taxiway.postgres.parallel_copy import copy_in_parallel
from tests.conftest import Connect
from tests.loading import query

STATEMENT = "COPY public.numbers FROM STDIN WITH (FORMAT csv)"


@pytest.fixture
def connection(connect: Connect) -> psycopg.Connection[Any]:
    made = connect()
    with made.transaction():
        made.execute("CREATE TABLE public.numbers (number integer)")
    return made


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """As Airflow's timeout: an exception in the main thread, once, wherever it is."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError("the task's time is over")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_blocks_arrive_over_both_sessions(connection: psycopg.Connection[Any]) -> None:
    assert copy_in_parallel(connection, STATEMENT, (b"%d\n" % number for number in range(500))) == 500
    assert query(connection, "SELECT count(*), sum(number) FROM numbers") == [(500, 124_750)]


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
    connection: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("the server takes no connection")

    if not reachable:
        monkeypatch.setattr(psycopg.Connection, "cancel_safe", refuse)
    with psycopg.connect(connection.info.dsn) as other:
        other.execute("LOCK TABLE public.numbers")
        threads, began = threading.active_count(), time.monotonic()

        with alarm(0.5), pytest.raises(TimeoutError, match="time is over"):
            copy_in_parallel(connection, STATEMENT, (b"1\n" for _ in range(length)))

        assert time.monotonic() - began < 20
        assert threading.active_count() == threads
    assert query(connect_anew(connection), "SELECT count(*) FROM numbers") == [(0,)]


def connect_anew(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    return psycopg.connect(connection.info.dsn)
