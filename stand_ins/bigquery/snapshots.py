"""What a job sees that takes long: the table that it changes, as it was when the job began."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from stand_ins.bigquery.catalog import Catalog
from stand_ins.bigquery.errors import BigQueryError
from stand_ins.bigquery.statements import split
from stand_ins.bigquery.tables import Table, TableName


def targets_seen(catalog: Catalog, project: str, configuration: dict[str, Any]) -> dict[TableName, str]:
    """Copy the table that a MERGE changes.

    :param configuration: of the API, ``configuration.query``
    :return: DuckDB's name of the copy, by the table
    """
    statements = split(configuration["query"])
    if [statement.word for statement in statements] != ["MERGE"]:
        return {}
    node = statements[0].parse().this
    if not isinstance(node, exp.Table) or not node.db:
        return {}
    name = TableName(node.catalog or project, node.db, node.name)
    with catalog.lock:
        table = catalog.find(name)
        if table is None:
            return {}
        copy = catalog.new_storage()
        catalog.execute(f"CREATE TABLE {copy} AS SELECT * FROM {table.storage}")
    return {name: copy}


def forget_seen(catalog: Catalog, seen: Mapping[TableName, str]) -> None:
    """Drop the copies."""
    with catalog.lock:
        for copy in seen.values():
            catalog.execute(f"DROP TABLE IF EXISTS {copy}")


def has_changed(catalog: Catalog, table: Table, copy: str) -> bool:
    """Say whether a table holds other rows than its copy."""
    for one, other in ((table.storage, copy), (copy, table.storage)):
        sql = f"SELECT count(*) FROM (SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other})"
        found = catalog.execute(sql).fetchone()
        if found and found[0]:
            return True
    return False


def conflict(table: Table) -> BigQueryError:
    """What BigQuery answers a statement that changes rows which another one has changed since it began."""
    message = f"Could not serialize access to table {table.name} due to concurrent update"
    return BigQueryError("invalidQuery", message, "query")
