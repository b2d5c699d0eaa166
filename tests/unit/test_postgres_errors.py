"""What an error of Postgres says, and which ones a retry may fix."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from taxiway.warehouses.postgres.errors import advice_on, is_transient, said_by

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
    assert is_transient(error, connecting=str(error).startswith("connection ")) is passing


@pytest.mark.parametrize("name", ["GSS", "SCRAM", "certificate", "SSL context", "authentication failed", "it's"])
def test_a_name_says_nothing_of_the_kind_of_error(name: str, tmp_path: Path) -> None:
    """The server is stopped; its socket's folder is called like something that a retry can't fix."""
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(host=str(tmp_path / name), user="taxiway")

    assert name in str(caught.value)
    assert is_transient(caught.value, connecting=True)
    assert advice_on(caught.value, "taxi_postgres", connecting=True).startswith("check whether the server runs")


@pytest.mark.parametrize(
    ("state", "connecting", "statement"),
    [
        ("28P01", "login or password are wrong", "correct that"),
        ("28000", "the server doesn't let this login in", "correct that"),
        ("3D000", "the server has no such database", "correct that"),
        ("42704", "look at the options", "correct that"),
        ("22023", "look at the options", "correct that"),
        ("55000", "check whether ALTER DATABASE", "correct that"),
        ("57P03", "look in the server's log why", "check whether the server runs"),
        ("57P01", "check whether the server runs", "check whether the server runs"),
        ("40001", "check whether the server runs", "look in the server's log"),
        ("42501", "the login of the connection taxi_postgres lacks", "the login of the connection taxi_postgres lacks"),
    ],
)
def test_the_advice_on_connecting_is_another_one(state: str, connecting: str, statement: str) -> None:
    error = psycopg.errors.lookup(state)("said")

    assert advice_on(error, "taxi_postgres", connecting=True).startswith(connecting)
    assert advice_on(error, "taxi_postgres").startswith(statement)


def test_a_database_that_lets_nobody_in_is_tried_again_and_a_statement_in_a_wrong_state_is_not() -> None:
    error = psycopg.errors.ObjectNotInPrerequisiteState("said")

    assert is_transient(error, connecting=True)
    assert not is_transient(error)


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
