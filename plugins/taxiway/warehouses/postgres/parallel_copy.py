"""Streams a file into a table over several sessions at once: as many of the server's processes read it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, suppress
from queue import Empty, Queue
from typing import Any, TypeAlias

import psycopg

from taxiway.warehouses.postgres.session import connector_of, transaction

_Queue: TypeAlias = "Queue[bytes | BaseException | None]"

_END_SECONDS = 1.0
# Longest wait for sessions to end by themselves.

_CANCEL_SECONDS = 10.0
# Longest wait for the server's answer to a cancellation.

_WAITING = 2
# Blocks that wait for each session: enough to keep it busy, few enough to take little memory.

MOST_SESSIONS = 32
"""Most sessions that one file may have."""


def default_sessions() -> int:
    """Return how many sessions a file has if nobody says: one for each core of this machine, from two to four.

    The server often runs on the same machine, or on a larger one. Tasks that run at once must not take all its
    connections.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(cores, 2), 4)


def copy_in_parallel(
    connection: psycopg.Connection[Any], statement: str, blocks: Iterable[bytes], sessions: int = 2
) -> int:
    """Stream blocks into ``COPY``, each over the session that is free first.

    Each session has a transaction of its own. If one fails, those of others may be committed all
    the same: what the table holds then is of no use.

    :param connection: a connection with no transaction open; the other sessions are like it
    :param statement: the ``COPY``, into a table that other sessions see
    :param blocks: whole lines; they arrive in any order
    :param sessions: how many, the given connection among them
    :return: rows that arrived
    :raises psycopg.Error: what any session ran into
    """
    connect = connector_of(connection)
    with ExitStack() as opened:
        others = (opened.enter_context(closing(connect())) for _ in range(sessions - 1))
        return _copy_over((connection, *others), statement, blocks)


def _copy_over(sessions: Sequence[psycopg.Connection[Any]], statement: str, blocks: Iterable[bytes]) -> int:
    queue: _Queue = Queue(_WAITING * len(sessions))
    with ThreadPoolExecutor(len(sessions)) as threads:
        copying: list[Future[int]] = []
        try:
            for session in sessions:
                copying.append(threads.submit(_copy, session, statement, queue))
            for block in blocks:
                queue.put(block)
            for _ in sessions:
                queue.put(None)
            wait(copying)
        except BaseException as error:
            # Whatever happened, and be it a timeout in one of these lines: all sessions end, and their threads.
            _end(copying, sessions, queue, error)
            raise
    return sum(done.result() for done in copying)


def _end(
    copying: Sequence[Future[int]],
    sessions: Sequence[psycopg.Connection[Any]],
    queue: _Queue,
    error: BaseException,
) -> None:
    """Let every session end with an error; interrupt those that don't hear it, for they wait for the server."""
    with suppress(Empty):
        while True:
            queue.get_nowait()
    for _ in sessions:
        queue.put(error)
    wait(copying, timeout=_END_SECONDS)
    for done, session in zip(copying, sessions, strict=False):  # the last ones may not have begun
        if not done.done():
            _interrupt(session)


def _interrupt(session: psycopg.Connection[Any]) -> None:
    """End what a session is doing; if its server can't be asked to, cut its connection."""
    try:
        session.cancel_safe(timeout=_CANCEL_SECONDS)
    except psycopg.Error:
        with suppress(OSError), socket.socket(fileno=os.dup(session.fileno())) as own:
            own.shutdown(socket.SHUT_RDWR)


def _copy(session: psycopg.Connection[Any], statement: str, queue: _Queue) -> int:
    """Copy what the queue gives, until it gives an end or an error."""
    ended = False
    try:
        with transaction(session) as cursor:
            with cursor.copy(statement) as copy:
                while (block := queue.get()) is not None:
                    if isinstance(block, BaseException):
                        ended = True
                        raise block
                    copy.write(block)
                ended = True
            return cursor.rowcount
    finally:
        # The thread that fills the queue must not wait for a session that is gone.
        while not ended:
            ended = not isinstance(queue.get(), bytes)
