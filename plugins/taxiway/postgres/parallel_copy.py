"""Streams a file into a table over two sessions at once, so that two of the server's processes read it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import Queue
from typing import Any

import psycopg

from taxiway.postgres.session import transaction

_WAITING = 4
# Blocks that wait for a session: enough to keep both busy, few enough to take little memory.


def copy_in_parallel(connection: psycopg.Connection[Any], statement: str, blocks: Iterable[bytes]) -> int:
    """Stream blocks into ``COPY``, each over the session that is free first.

    Each session has a transaction of its own. Where one fails, the other's may be committed all
    the same: what the table holds then is of no use.

    :param connection: a connection with no transaction open; the second session is one like it
    :param statement: the ``COPY``, into a table that other sessions see
    :param blocks: whole lines; they arrive in any order
    :return: rows that arrived
    :raises psycopg.Error: what either session ran into
    """
    info = connection.info
    with closing(psycopg.connect(info.dsn, password=info.password or None)) as second:
        sessions = (connection, second)
        queue: Queue[bytes | BaseException | None] = Queue(_WAITING)
        with ThreadPoolExecutor(len(sessions)) as threads:
            copying = [threads.submit(_copy, session, statement, queue) for session in sessions]
            try:
                for block in blocks:
                    queue.put(block)
            except BaseException as error:
                for session in sessions:
                    session.cancel_safe()
                for _ in sessions:
                    queue.put(error)
                raise
            for _ in sessions:
                queue.put(None)
        return sum(done.result() for done in copying)


def _copy(session: psycopg.Connection[Any], statement: str, queue: Queue[bytes | BaseException | None]) -> int:
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
        # Whoever fills the queue must not wait for a session that is gone.
        while not ended:
            ended = not isinstance(queue.get(), bytes)
