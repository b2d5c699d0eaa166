"""What an error of Postgres says, and whether trying again may mend it."""

from __future__ import annotations

import psycopg

_PASSING_STATES = ("08", "40", "53", "55", "57", "58", "XX")
# Classes of SQLSTATE that trying again may mend: connection, serialization, resources, locks, shutdown, system.


def is_passing(error: psycopg.Error) -> bool:
    """Say whether trying again may mend an error; one without a SQLSTATE comes of a connection that was lost."""
    return error.sqlstate is None or error.sqlstate.startswith(_PASSING_STATES)


def said_by(error: psycopg.Error) -> str:
    """Return what Postgres says, in one line, with its SQLSTATE where there is one."""
    said = (error.diag.message_primary or str(error)).strip().splitlines()[0]
    return f"{said} (SQLSTATE {error.sqlstate})" if error.sqlstate else said
