"""Which sessions can have kept a step from a table that it has waited for in vain."""

from __future__ import annotations

from typing import Any

import psycopg

from taxiway.loads.step_names import PUBLISH
from taxiway.warehouses.postgres.main_table import LEDGER
from taxiway.warehouses.postgres.partition import find_partition
from taxiway.warehouses.postgres.session import table_users
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.sql import render


def keepers(cursor: psycopg.Cursor[Any], tables: LoadTables, step: str) -> str:
    """Describe the sessions that can have kept a step waiting.

    Sessions with a lock of the ledger are named only if no other one is found: each load has such locks for a moment.
    """
    main_table = f"public.{tables.source.main_table}"
    publishes = step == PUBLISH
    attaches = publishes and find_partition(cursor, tables) is None
    # The load's own tables are dropped, and the main table is locked to attach a partition.
    wanted = dict.fromkeys((tables.staging_table, tables.rows_table, tables.differences_table), "AccessShareLock")
    wanted[main_table] = "ShareUpdateExclusiveLock" if attaches else "AccessExclusiveLock"
    names = {"table_name": main_table, "publishes": publishes, "attaches": attaches}
    wanted.update(cursor.execute(render("postgres/find_tables_in_the_way.sql"), names).fetchall())
    return table_users(cursor, wanted, dict.fromkeys(LEDGER, "RowShareLock"))
