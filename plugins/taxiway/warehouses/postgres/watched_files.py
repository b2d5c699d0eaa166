"""The table of what the watch has decided: a look records its decisions, and the board reads them.

Input: the decisions of a look. Output: none. The lock on definitions is held while the table is created. A second run
records the same rows again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from taxiway.loads.month_state import Watched
from taxiway.loads.watch import Decision
from taxiway.sources.months import Month
from taxiway.warehouses.postgres.main_table import ensure_ledger, let_reader_read
from taxiway.warehouses.postgres.session import lock, transaction
from taxiway.warehouses.sql import render

TABLE = "taxiway.watched_files"


def record_decisions(
    connection: psycopg.Connection[Any], warehouse: str, decisions: Sequence[Decision], checked_at: datetime
) -> None:
    """Record a look's decisions, in place of those of the look before.

    :param connection: Postgres, with no transaction open
    :param warehouse: that the look was for
    :param decisions: one a month; at least one
    :param checked_at: when the look began
    :raises psycopg.Error: Postgres refuses, or can't answer now
    """
    look = {"warehouse": warehouse, "checked_at": checked_at}
    with transaction(connection) as cursor:
        if cursor.execute("SELECT to_regclass(%s) IS NULL", (TABLE,)).fetchone() == (True,):
            ensure_ledger(cursor, decisions[0].source)
            lock(cursor, "definitions")
            cursor.execute(render("postgres/create_watched_files.sql"))
            let_reader_read(cursor, TABLE)
        for each in decisions:
            version = each.version
            cursor.execute(
                render("postgres/record_watched_file.sql"),
                {
                    **look,
                    "source": each.source.name,
                    "month": each.month.first_day,
                    "connection": each.source.release_of(each.month).connection,
                    "url": each.url,
                    "decision": each.verdict.value,
                    "reason": each.reason,
                    "run_id": each.run_id,
                    "is_there": version is not None,
                    "etag": version.etag if version else None,
                    "last_modified": version.last_modified if version else None,
                    "bytes": version.size if version else None,
                },
            )
        cursor.execute(render("postgres/forget_watched_files.sql"), look)


def watched_files(
    connection: psycopg.Connection[Any], warehouse: str, statement_timeout: str
) -> Mapping[str, Mapping[Month, Watched]]:
    """Return what the watch has seen of a warehouse's files, by source and month; nothing if it has never looked.

    :param connection: Postgres, with no transaction open
    :param warehouse: that the looks were for
    :param statement_timeout: longest run of a statement
    :raises psycopg.Error: Postgres refuses, or can't answer now
    """
    found = dict[str, dict[Month, Watched]]()
    with transaction(connection, statement_timeout) as cursor:
        if cursor.execute("SELECT to_regclass(%s) IS NULL", (TABLE,)).fetchone() == (True,):
            return found
        rows = cursor.execute(render("postgres/list_watched_files.sql"), {"warehouse": warehouse})
        for source, month, decision, reason, checked_at in rows:
            found.setdefault(source, {})[Month.of(month)] = Watched(decision, reason, checked_at)
    return found
