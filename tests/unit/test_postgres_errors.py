"""What an error of Postgres says, and which ones trying again may mend."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from taxiway.postgres.errors import is_passing, said_by

CONNECTING = 'connection failed: connection to server at "h", port 5432 failed: '


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), True),
        (psycopg.OperationalError("consuming input failed: SSL error: bad record mac"), True),
        (psycopg.OperationalError("SSL SYSCALL error: EOF detected"), True),
        (psycopg.OperationalError("sending query failed: SSL error: ssl/tls alert certificate expired"), True),
        (psycopg.OperationalError(f"{CONNECTING}SSL SYSCALL error: Connection reset by peer"), True),
        (psycopg.OperationalError(f"{CONNECTING}SSL error: unexpected eof while reading"), True),
        (psycopg.OperationalError(f"{CONNECTING}SSL error: decryption failed or bad record mac"), True),
        (psycopg.OperationalError(f"{CONNECTING}SSL error: certificate verify failed"), False),
        (psycopg.OperationalError(f"{CONNECTING}SSL error: unsupported protocol"), False),
        (psycopg.OperationalError(f"{CONNECTING}SSL error: tlsv1 alert protocol version"), False),
        (psycopg.OperationalError(f"{CONNECTING}server does not support SSL, but SSL was required"), False),
        (psycopg.InterfaceError("the connection is closed"), True),
        (psycopg.ProgrammingError("the query has 1 placeholder but 0 parameters were passed"), False),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), False),
        (errors.SerializationFailure(), True),
        (errors.DeadlockDetected(), True),
        (errors.LockNotAvailable(), True),
        (errors.DiskFull(), True),
        (errors.AdminShutdown(), True),
        (errors.QueryCanceled(), True),
        (errors.IdleInTransactionSessionTimeout(), True),
        (errors.InternalError_(), True),
        (errors.DataCorrupted(), False),
        (errors.IndexCorrupted(), False),
        (errors.InFailedSqlTransaction(), False),
        (errors.UndefinedTable(), False),
        (errors.InsufficientPrivilege(), False),
        (errors.UniqueViolation(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_which_errors_trying_again_may_mend(error: psycopg.Error, passing: bool) -> None:
    assert is_passing(error) is passing


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (psycopg.OperationalError("lost\nand more"), "lost"),
        (psycopg.OperationalError(""), "OperationalError"),
        (errors.AdminShutdown("terminating connection\nDETAIL: none"), "terminating connection (SQLSTATE 57P01)"),
        (errors.AdminShutdown(""), "AdminShutdown (SQLSTATE 57P01)"),
    ],
)
def test_an_error_is_said_in_one_line(error: psycopg.Error, said: str) -> None:
    assert said_by(error) == said
