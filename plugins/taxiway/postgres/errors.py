"""What an error of Postgres says, and whether trying again may mend it."""

from __future__ import annotations

import psycopg

_PASSING_STATES = ("08", "25P03", "25P04", "40", "53", "55", "57", "58", "XX000")
# Classes of SQLSTATE, or single ones, that trying again may mend: connection, a transaction that took too long,
# serialization, resources, locks, shutdown, system.


def is_passing(error: psycopg.Error) -> bool:
    """Say whether trying again may mend an error.

    One without a SQLSTATE is psycopg's own: a connection that was lost, or a statement that it can't send.
    """
    if error.sqlstate is None:
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    return error.sqlstate.startswith(_PASSING_STATES)


def said_by(error: psycopg.Error) -> str:
    """Return what Postgres says, in one line, with its SQLSTATE where there is one."""
    lines = (error.diag.message_primary or str(error)).strip().splitlines()
    said = lines[0] if lines else type(error).__name__
    return f"{said} (SQLSTATE {error.sqlstate})" if error.sqlstate else said
