"""Datasets and tables: their metadata as the API shows it, their rows in DuckDB."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from stand_ins.bigquery.errors import BigQueryError, RefusedError, check_fields
from stand_ins.bigquery.macros import MACROS, bignumeric_text
from stand_ins.bigquery.tables import (
    TABLE_FIELDS,
    Table,
    TableName,
    check_layout,
    checked_field,
    duckdb_columns,
    quote,
    shape,
    without_nulls,
)
from stand_ins.bigquery.values import bytes_of, duckdb_type, type_of_field

_DATASET_FIELDS = {
    "kind", "etag", "id", "selfLink", "datasetReference", "location", "description", "friendlyName", "labels",
    "defaultTableExpirationMs", "defaultPartitionExpirationMs", "creationTime", "lastModifiedTime", "access", "type",
}  # fmt: skip


class Catalog:
    """What exists, kept in one DuckDB database.

    :param path: the database's file; in memory without one
    """

    def __init__(self, path: str = ":memory:") -> None:
        self.lock = threading.RLock()
        self._is_kept = path != ":memory:"
        self.connection = duckdb.connect(path)
        self.connection.execute("SET TimeZone = 'UTC'; SET threads = 1; SET enable_progress_bar = false")
        self.connection.execute(MACROS)
        self.connection.create_function(
            "bq_bignumeric_text", bignumeric_text, ["VARCHAR"], "VARCHAR", null_handling="special"
        )
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS resources"
            " (project VARCHAR, dataset VARCHAR, name VARCHAR, storage VARCHAR, resource VARCHAR);"
            " CREATE SEQUENCE IF NOT EXISTS storage_names"
        )
        self.is_sandbox = False
        self.datasets: dict[tuple[str, str], dict[str, Any]] = {}
        self.tables: dict[TableName, Table] = {}
        self.shown_views: dict[str, Any] = {}
        """What DuckDB's views are made from, by their names: a query, and the tables that it reads, with columns."""
        self._before: tuple[dict[tuple[str, str], dict[str, Any]], dict[TableName, Table]] | None = None
        for project, dataset, name, storage, text in self.execute("SELECT * FROM resources").fetchall():
            if name is None:
                self.datasets[project, dataset] = json.loads(text)
            else:
                key = TableName(project, dataset, name)
                self.tables[key] = Table(key, storage, json.loads(text))

    def execute(self, sql: str, parameters: Any = None) -> duckdb.DuckDBPyConnection:
        return self.connection.execute(sql, parameters)

    @contextmanager
    def unit(self) -> Iterator[None]:
        """One change, whole or not at all; within a script's own transaction it is part of that."""
        with self.lock:
            if self._before is not None:
                yield
                return
            self.begin()
            try:
                yield
            except BaseException:
                self.rollback()
                raise
            self.commit()

    @property
    def in_transaction(self) -> bool:
        return self._before is not None

    def begin(self) -> None:
        """Begin a transaction; the caller holds the lock until it ends."""
        self.connection.begin()
        self._before = (dict(self.datasets), dict(self.tables))

    def commit(self) -> None:
        self._before = None
        self.connection.commit()

    def rollback(self) -> None:
        assert self._before is not None
        self.datasets, self.tables = self._before
        self._before = None
        self.connection.rollback()

    def new_storage(self) -> str:
        """A name of DuckDB's that no table has had before."""
        row = self.execute("SELECT nextval('storage_names')").fetchone()
        assert row is not None
        return f"rows_{row[0]}"

    # Datasets

    def insert_dataset(self, project: str, resource: dict[str, Any]) -> dict[str, Any]:
        check_fields(resource, _DATASET_FIELDS, "dataset")
        name = resource["datasetReference"]["datasetId"]
        if not name.replace("_", "").isalnum():
            raise BigQueryError("invalid", f'Invalid dataset ID "{name}". Dataset IDs must be alphanumeric')
        with self.unit():
            if (project, name) in self.datasets:
                raise BigQueryError("duplicate", f"Already Exists: Dataset {project}:{name}")
            now = _now()
            limit = str(60 * 86_400_000)
            limits = {"defaultTableExpirationMs": limit, "defaultPartitionExpirationMs": limit}
            stored = {
                **without_nulls(resource),
                **(limits if self.is_sandbox else {}),
                "kind": "bigquery#dataset",
                "id": f"{project}:{name}",
                "datasetReference": {"projectId": project, "datasetId": name},
                "location": (resource.get("location") or "US"),
                "creationTime": now,
                "lastModifiedTime": now,
                "type": "DEFAULT",
            }
            self._save_dataset(project, name, stored)
            return stored

    def dataset(self, project: str, name: str) -> dict[str, Any]:
        if (project, name) not in self.datasets:
            raise BigQueryError("notFound", f"Not found: Dataset {project}:{name}")
        return self.datasets[project, name]

    def patch_dataset(self, project: str, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        check_fields(changes, _DATASET_FIELDS, "dataset")
        with self.unit():
            stored = self.dataset(project, name)
            if changes.get("location", stored["location"]).lower() != stored["location"].lower():
                raise BigQueryError("invalid", "Cannot change the location of a dataset")
            changed = without_nulls({**stored, **changes, "lastModifiedTime": _now()})
            self._save_dataset(project, name, changed)
            return changed

    def delete_dataset(self, project: str, name: str, *, with_tables: bool) -> None:
        with self.unit():
            self.dataset(project, name)
            tables = self.tables_of(project, name)
            if tables and not with_tables:
                raise BigQueryError("resourceInUse", f"Dataset {project}:{name} is still in use")
            for table in tables:
                self.drop(table)
            self._record("DELETE FROM resources WHERE project = ? AND dataset = ?", project, name)
            del self.datasets[project, name]

    def _save_dataset(self, project: str, name: str, resource: dict[str, Any]) -> None:
        self._record("DELETE FROM resources WHERE project = ? AND dataset = ? AND name IS NULL", project, name)
        self._record("INSERT INTO resources VALUES (?, ?, NULL, NULL, ?)", project, name, json.dumps(resource))
        self.datasets[project, name] = resource

    def _record(self, sql: str, *values: str) -> None:
        """Write into the file what the next process reads there, if there is a file."""
        if self._is_kept:
            self.execute(sql, values)

    # Tables

    def tables_of(self, project: str, dataset: str) -> list[Table]:
        self.dataset(project, dataset)
        self.forget_expired()
        return [each for name, each in self.tables.items() if (name.project, name.dataset) == (project, dataset)]

    def forget_expired(self) -> None:
        """Drop the tables whose time is over."""
        now = int(_now())
        for table in list(self.tables.values()):
            if int(table.resource.get("expirationTime") or now + 1) <= now:
                with self.unit():
                    self.drop(table)

    def find(self, name: TableName) -> Table | None:
        with self.lock:
            self.forget_expired()
            return self.tables.get(name)

    def table(self, name: TableName) -> Table:
        self.dataset(name.project, name.dataset)
        found = self.find(name)
        if found is None:
            raise BigQueryError("notFound", f"Not found: Table {name}")
        return found

    def create(self, resource: dict[str, Any]) -> Table:
        """Make an empty table.

        :param resource: a table of the API with its reference and schema
        :raises BigQueryError: if the name is taken or the definition contradicts itself
        """
        check_fields(resource, TABLE_FIELDS, "table")
        name = TableName.from_reference(resource["tableReference"])
        with self.unit():
            dataset = self.dataset(name.project, name.dataset)
            if self.find(name) is not None:
                raise BigQueryError("duplicate", f"Already Exists: Table {name}")
            now = _now()
            expiration = resource.get("expirationTime")
            if expiration is None and dataset.get("defaultTableExpirationMs"):
                expiration = str(int(now) + int(dataset["defaultTableExpirationMs"]))
            if expiration is not None and int(expiration) <= int(now):
                raise BigQueryError("invalid", "Invalid value for expirationTime: it lies in the past")
            partitioning = resource.get("timePartitioning")
            if partitioning and not partitioning.get("expirationMs") and dataset.get("defaultPartitionExpirationMs"):
                kept = {"expirationMs": dataset["defaultPartitionExpirationMs"]}
                resource = {**resource, "timePartitioning": {**partitioning, **kept}}
            stored = without_nulls(
                {
                    "type": "TABLE",
                    **resource,
                    "schema": {"fields": [checked_field(each) for each in (resource.get("schema") or {})["fields"]]}
                    if resource.get("schema")
                    else {"fields": []},
                    "kind": "bigquery#table",
                    "id": str(name),
                    "tableReference": name.reference(),
                    "location": dataset["location"],
                    "creationTime": now,
                    "lastModifiedTime": now,
                    "expirationTime": expiration,
                }
            )
            table = Table(name, self.new_storage(), stored)
            check_layout(table)
            if not table.is_view:
                self._make_storage(table)
            self.save(table)
            return table

    def _make_storage(self, table: Table) -> None:
        # DuckDB has no table without columns; BigQuery has, until its first load gives it a schema.
        self.execute(f"CREATE TABLE {table.storage} ({duckdb_columns(table) or 'no_columns BOOLEAN'})")

    def save(self, table: Table) -> None:
        name = table.name
        key = (name.project, name.dataset, name.table)
        self._record("DELETE FROM resources WHERE project = ? AND dataset = ? AND name = ?", *key)
        self._record("INSERT INTO resources VALUES (?, ?, ?, ?, ?)", *key, table.storage, json.dumps(table.resource))
        self.tables[name] = table

    def touch(self, table: Table) -> None:
        """Note that the rows have changed."""
        self.save(Table(table.name, table.storage, {**table.resource, "lastModifiedTime": _now()}))

    def patch(self, name: TableName, changes: dict[str, Any]) -> Table:
        check_fields(changes, TABLE_FIELDS, "table")
        with self.unit():
            old = self.table(name)
            resource = without_nulls({**old.resource, **changes, "lastModifiedTime": _now()})
            if changes.get("schema"):
                resource["schema"] = {"fields": [checked_field(each) for each in changes["schema"]["fields"]]}
            for fixed in ("type", "timePartitioning", "tableReference", "externalDataConfiguration"):
                if resource.get(fixed) != old.resource.get(fixed):
                    raise RefusedError(f"a change of a table's {fixed}")
            changed = Table(name, old.storage, resource)
            if shape(changed) != shape(old):
                raise RefusedError("a change of a table's columns, other than of their descriptions")
            self.save(changed)
            return changed

    def add_columns(self, table: Table, fields: list[dict[str, Any]]) -> None:
        """Give a table columns, NULL in each row that it has."""
        added = [checked_field(each) for each in fields]
        resource = {**table.resource, "lastModifiedTime": _now()}
        resource["schema"] = {"fields": [*table.resource["schema"]["fields"], *added]}
        with self.unit():
            for field in added:
                kind = duckdb_type(type_of_field(field))
                self.execute(f"ALTER TABLE {table.storage} ADD COLUMN {quote(field['name'])} {kind}")
            self.save(Table(table.name, table.storage, resource))

    def drop_column(self, table: Table, column: str) -> None:
        """Take a column from a table, with what it holds."""
        resource = {**table.resource, "lastModifiedTime": _now()}
        resource["schema"] = {"fields": [each for each in table.resource["schema"]["fields"] if each["name"] != column]}
        with self.unit():
            self.execute(f"ALTER TABLE {table.storage} DROP COLUMN {quote(column)}")
            self.save(Table(table.name, table.storage, resource))

    def drop(self, table: Table) -> None:
        with self.unit():
            if not table.is_view:
                self.execute(f"DROP TABLE {table.storage}")
            name = table.name
            self._record(
                "DELETE FROM resources WHERE project = ? AND dataset = ? AND name = ?",
                *(name.project, name.dataset, name.table),
            )
            del self.tables[name]

    def show(self, table: Table) -> dict[str, Any]:
        """The table as the API shows it."""
        etag = {"etag": hashlib.md5(f"{table.storage} {table.resource}".encode(), usedforsecurity=False).hexdigest()}
        if table.is_view:
            return {**table.resource, **etag}
        with self.lock:
            rows, size = self.measure(table, list(table.columns))
        return {**table.resource, "numRows": str(rows), "numBytes": str(size), **etag}

    def measure(self, table: Table, columns: list[str], where: str = "TRUE", values: Any = None) -> tuple[int, int]:
        """Rows, and the bytes of some columns of them, as BigQuery counts these.

        :param where: which rows, as DuckDB's expression
        """
        kinds = table.columns
        parts = [part for each in columns for part in bytes_of(quote(each), kinds[each])]
        # One long sum takes DuckDB twice as long to plan.
        asked = ", ".join(["count(*)", *(aggregate for _, aggregate in parts)])
        (found,) = self.execute(f"SELECT {asked} FROM {table.storage} WHERE {where}", values).fetchall()
        rows, *sizes = (int(each or 0) for each in found)
        return rows, sum(weight * size for (weight, _), size in zip(parts, sizes, strict=True))

    def close(self) -> None:
        with self.lock:
            self.connection.close()


def _now() -> str:
    return str(int(time.time() * 1000))
