"""Transactions of the steps, with the settings that every one of them runs under."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import tuple_row

LOCK_TIMEOUT = "60s"
"""Longest wait for a lock that another session holds."""

STATEMENT_TIMEOUT = "2h"
"""Longest run of one statement."""

_SETTINGS = f"""
SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';
SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}';
SET LOCAL client_connection_check_interval = '1s';
SET LOCAL standard_conforming_strings = on;
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL client_encoding = 'UTF8';
SET LOCAL search_path = pg_catalog;
SET LOCAL client_min_messages = 'warning';
SET LOCAL enable_nestloop = off;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL parallel_setup_cost = 0;
"""
# Ids must not depend on the session's settings: dates are written and read in one way, and no
# object of another schema can stand in for a built-in. The two costs let a month be hashed on
# all cores: the planner's defaults expect rows to travel to a client. New tables have no statistics,
# and a table that was empty has wrong ones: a loop over two of them takes hours. And a worker that was killed
# must not leave its statement running: the server looks every second whether anybody is still there.


@contextmanager
def transaction(connection: psycopg.Connection[Any]) -> Iterator[psycopg.ClientCursor[Any]]:
    """Open one transaction under the project's settings; it commits at the end, or leaves nothing.

    :param connection: a connection with no transaction open
    :return: a cursor that binds values on the client, so that they can stand in definitions
        (``CREATE TABLE AS``, ``ATTACH PARTITION``), where the server takes no parameters
    """
    with connection.transaction(), psycopg.ClientCursor(connection, row_factory=tuple_row) as cursor:
        cursor.execute(_SETTINGS)
        yield cursor


def lock(cursor: psycopg.Cursor[Any], *names: str) -> None:
    """Wait for a lock that lasts until the transaction ends; whoever names the same things waits.

    :param names: what is locked, for example ``("month", "green", "2019-03")``
    """
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", ["/".join(("taxiway", *names))])
