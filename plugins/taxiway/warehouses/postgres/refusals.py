"""Finds out why a server refuses a connection.

libpq tells why a connection is refused by a text alone, in the server's language, without the SQLSTATE. So the
server is asked once more, and the SQLSTATE is read in the protocol.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import ConnStatus, PGconn, PollingStatus, Trace

ASK_SECONDS = 10.0
"""Longest wait for the server to refuse a second time."""

_STATE_IN_TRACE = re.compile(rb'^B\t\d+\tErrorResponse\t.*? C "([0-9A-Z]{5})" M ', re.MULTILINE)

_STATES_OF_TEXTS = {
    "password authentication failed": "28P01",
    "no pg_hba.conf entry": "28000",
    "authentication failed for user": "28000",
    "is not permitted to log in": "28000",
    "permission denied for database": "42501",
    "unrecognized configuration parameter": "42704",
}
# What an English server says. On systems other than Linux psycopg can't trace the protocol; and not every server, or
# pooler, answers twice.

_ABSENT = re.compile(r'FATAL: +(role|database) ".*" does not exist')


@contextmanager
def with_sqlstate() -> Iterator[None]:
    """Give the error of a refused connection its SQLSTATE.

    :raises psycopg.Error: what psycopg raises
    """
    try:
        yield
    except psycopg.OperationalError as error:
        if error.sqlstate is None and error.pgconn is not None:
            with suppress(psycopg.Error, OSError, ValueError):
                error.sqlstate = _ask_again(error.pgconn)
        raise


def _ask_again(refused: psycopg.pq.abc.PGconn) -> str | None:
    """Connect as before; return the SQLSTATE with which the server refuses, None if it says nothing or accepts."""
    options = {option.keyword.decode(): option.val.decode() for option in refused.info if option.val is not None}
    attempt = PGconn.connect_start(make_conninfo(**options).encode())
    try:
        if attempt.status == ConnStatus.BAD:
            return None
        try:
            # In memory: the protocol may hold the password.
            trace = os.fdopen(os.memfd_create("taxiway", os.MFD_CLOEXEC), "rb")
        except AttributeError:
            return _state_of_text(refused.error_message.decode(errors="replace"))
        with trace:
            attempt.trace(trace.fileno())
            attempt.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
            _finish(attempt)
            attempt.untrace()
            trace.seek(0)
            found = _STATE_IN_TRACE.search(trace.read())
        if found is None and attempt.status != ConnStatus.OK:
            # A pooler says nothing for a while before it asks its server again.
            return _state_of_text(refused.error_message.decode(errors="replace"))
        return found[1].decode() if found else None
    finally:
        attempt.finish()


def _finish(attempt: psycopg.pq.abc.PGconn) -> None:
    """Wait until the server has let in or refused."""
    deadline = time.monotonic() + ASK_SECONDS
    while (state := attempt.connect_poll()) in (PollingStatus.READING, PollingStatus.WRITING):
        socket, left = [attempt.socket], max(0.0, deadline - time.monotonic())
        reading, writing = (socket, []) if state == PollingStatus.READING else ([], socket)
        if not any(select.select(reading, writing, [], left)):
            return


def _state_of_text(text: str) -> str | None:
    if absent := _ABSENT.search(text):
        return "28000" if absent[1] == "role" else "3D000"
    return next((state for said, state in _STATES_OF_TEXTS.items() if said in text), None)
