"""What an error of Postgres says, whether a retry may fix it, and what else does."""

from __future__ import annotations

import re

import psycopg

from taxiway.errors import TaxiwayError, TransientWarehouseError, WarehouseError
from taxiway.loads.step_names import DISCARD, PUBLISH
from taxiway.messages import printable
from taxiway.warehouses.postgres.tables import STAGING_SCHEMA

_TRANSIENT_STATES = ("08", "25P03", "25P04", "40", "53", "55006", "55P03", "57", "58", "XX000")
# Classes of SQLSTATE, or single ones, that a retry may fix: connection, a transaction that took too long,
# serialization, resources, locks, shutdown, system.

_TRANSIENT_WHILE_CONNECTING = (*_TRANSIENT_STATES, "55000")
# A database that lets nobody in. A statement's 55000 says that it can never succeed, as currval() without nextval().

_CONNECTION = (
    "correct the connection {connection} (AIRFLOW_CONN_{variable} in .env, or Admin, Connections in the web UI)"
)

_ADVICE_ON_CONNECTING = {
    "28P01": f"login or password are wrong: {_CONNECTION}",
    "28": (
        f"the server doesn't let this login in from here: {_CONNECTION}, or have the server's administrator look for "
        f"the role, its right to log in, and a line in pg_hba.conf that fits it"
    ),
    "3D000": (
        f"the server has no such database: {_CONNECTION}, or have its administrator create the database and run "
        f"include/sql/postgres/set_up_warehouse.sql in it"
    ),
    "42704": f"look at the options in the connection's extra: {_CONNECTION}",
    "22023": f"look at the options in the connection's extra: {_CONNECTION}",
    "55000": "check whether ALTER DATABASE … ALLOW_CONNECTIONS false keeps sessions out",
    "57P03": "look in the server's log why it doesn't get ready",
}
"""What fixes an error of connecting, by its SQLSTATE or the beginning of it. A statement's means something else."""

_ADVICE_BY_STATE = {
    "42501": (
        "the login of the connection {connection} lacks a right: have the server's administrator run "
        "include/sql/postgres/set_up_warehouse.sql in the warehouse, which gives the role taxiway what it needs, or "
        "grant another role the same; a table that another role has made needs ALTER TABLE … OWNER TO"
    ),
    "25006": (
        f"the server is a standby, or the role may only read: {_CONNECTION}, so that it leads to a server that can "
        f"be written to"
    ),
    "40P01": "look in pg_stat_activity which sessions hold locks of each other",
    "53300": "end sessions that nobody needs, or raise max_connections of the server, or the role's CONNECTION LIMIT",
    "53100": "the server's disk is full: make room",
    "53": "look what takes up the server's memory or its disk",
    "55P03": "look in pg_stat_activity which session holds the lock, and what it does",
}
"""What fixes an error, by its SQLSTATE or the beginning of it; of two that fit, the longer."""

_NOTHING_PUBLISHED = "Nothing was published"

_OUTCOME_IF_REFUSED = {DISCARD: f"Tables of this run may be left in the schema {STAGING_SCHEMA}"}
"""What a step has come to that Postgres refused something, if that isn't nothing."""

_OUTCOME_IF_UNKNOWN = {
    **_OUTCOME_IF_REFUSED,
    PUBLISH: "The month may be published or not, which taxiway.loads says and the next try finds out",
}
"""What a step has come to that got no answer, perhaps after it was done."""

_CONNECTING = re.compile(r"connection (failed|is bad): ")
# How psycopg begins what libpq says of a connection that isn't made. A session that was encrypted once fits the server.

_BROKEN = r"unexpected eof|.*(shut ?down|bad record mac|decryption failed|internal error)"
# What OpenSSL says of a network, or a peer, that breaks off or spoils what passes.

_KINDS_BY_TEXT = {
    "option": re.compile(
        r"invalid \S+ value|invalid port number|could not match \d+ |service .*not found"
        r"|invalid connection option|bad value for connect_timeout"
    ),
    "encryption": re.compile(
        r"does not support SSL|SSL was required|certificate|private key|SSL context|SSL method|channel binding"
        rf"|SSL error: (?!{_BROKEN})|SSL negotiation",
        re.IGNORECASE,
    ),
    "pooler": re.compile(r"unsupported startup parameter"),
    "login": re.compile(r"no such (user|database)\b|no password supplied|authentication (failed|method)|\bGSS|\bSCRAM"),
}
# What libpq itself says, and PgBouncer: neither has another language here, nor a SQLSTATE of any use.

_ADVICE_BY_KIND = {
    "host": f"no host has that name: {_CONNECTION}",
    "encryption": (
        f"sslmode, sslrootcert or the certificates in the connection's extra don't fit the server: {_CONNECTION}"
    ),
    "pooler": (
        f"the pooler before the server takes no options: {_CONNECTION} and take options out of its extra, or name "
        f"them in ignore_startup_parameters of PgBouncer"
    ),
    "login": f"login, password or database are missing, or not what the server asks for: {_CONNECTION}",
    "option": f"one of its fields, or of its extra, can't be used: {_CONNECTION}",
}

_NAMES = re.compile(r"\"[^\"\n]*\"|(?<!\w)'[^'\n]*'")
# Hosts, folders, files and roles, as libpq and psycopg quote them: any word may be part of them.

_UNRESOLVED = re.compile(r"failed to resolve host .*\[Errno (-?\d+)\]")
_NO_SUCH_HOST = {"-2", "-5", "8"}
# EAI_NONAME and EAI_NODATA, of Linux and of macOS. Any other answer says that the name server doesn't answer now.


def is_transient(error: psycopg.Error, *, connecting: bool = False) -> bool:
    """Say whether a retry may fix an error.

    One without a SQLSTATE is psycopg's own: a connection that can't be made or was lost, or a statement that it
    can't send.

    :param error: the error
    :param connecting: whether it is one of connecting, and not of a statement
    """
    if connecting and _kind(error) is not None:
        return False
    if error.sqlstate is None:
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    return error.sqlstate.startswith(_TRANSIENT_WHILE_CONNECTING if connecting else _TRANSIENT_STATES)


def said_by(error: psycopg.Error) -> str:
    """Return what Postgres says, in one line, with its SQLSTATE if there is one."""
    lines = (error.diag.message_primary or str(error)).strip().splitlines()
    said = printable(lines[0], 1000) if lines else type(error).__name__
    return f"{said} (SQLSTATE {error.sqlstate})" if error.sqlstate else said


def advice_on(
    error: psycopg.Error, connection_id: str, *, connecting: bool = False, otherwise: str = "correct that"
) -> str:
    """Return what fixes an error, as the rest of a sentence.

    :param error: the error; one of connecting has been through :func:`~.refusals.with_sqlstate`
    :param connection_id: Airflow's id of the connection
    :param connecting: whether it is one of connecting, and not of a statement
    :param otherwise: what to say of an error that needs a person, and of which no more is known
    """
    if connecting and (kind := _kind(error)) is not None:
        advice = _ADVICE_BY_KIND[kind]
    else:
        state = error.sqlstate or ""
        known = {**_ADVICE_BY_STATE, **(_ADVICE_ON_CONNECTING if connecting else {})}
        fitting = [start for start in known if state.startswith(start)]
        if fitting:
            advice = known[max(fitting, key=len)]
        elif not is_transient(error, connecting=connecting):
            advice = otherwise
        elif connecting or not state or state.startswith(("08", "57P")):
            advice = (
                "check whether the server runs, and whether host and port of the connection {connection} lead to it"
            )
        else:
            advice = "look in the server's log what it says of that"
    return advice.format(connection=connection_id, variable=connection_id.upper())


def explained(error: psycopg.Error, where: str, connection: str, step: str, *, connecting: bool) -> TaxiwayError:
    """Say what an error means for a step of a load: what was found, what is published, and what to do.

    :param error: the error
    :param where: source, month, step and connection, for the message
    :param connection: id of Airflow's connection
    :param step: the step's name
    :param connecting: whether the connection wasn't made yet
    """
    advice = advice_on(error, connection, connecting=connecting)
    if is_transient(error, connecting=connecting):
        outcome = _OUTCOME_IF_UNKNOWN.get(step, _NOTHING_PUBLISHED)
        return TransientWarehouseError(
            f"{where}: Postgres says: {said_by(error)}. {outcome}; the task is tried again. "
            f"If that goes on failing, {advice}"
        )
    outcome = _OUTCOME_IF_REFUSED.get(step, _NOTHING_PUBLISHED)
    return WarehouseError(
        f"{where}: Postgres says: {said_by(error)}. {outcome}: {advice}, and clear the task with its downstream tasks"
    )


def is_unknown_host(error: psycopg.Error) -> bool:
    """Say whether the name server knows no such host."""
    return _kind(error) == "host"


def _kind(error: psycopg.Error) -> str | None:
    """Return which kind of error it is, of those that Postgres has no SQLSTATE for; None for any other."""
    if error.sqlstate not in (None, "08P01"):
        return None
    said = str(error)
    if unresolved := _UNRESOLVED.search(said):
        return "host" if unresolved[1] in _NO_SUCH_HOST else None
    said = _NAMES.sub('""', said)
    kind = next((kind for kind, pattern in _KINDS_BY_TEXT.items() if pattern.search(said)), None)
    return None if kind == "encryption" and not _CONNECTING.search(said) else kind
