"""Tables: their names, their metadata as the API shows it, and what may stand in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stand_ins.bigquery.errors import BigQueryError, RefusedError, check_fields
from stand_ins.bigquery.values import duckdb_type, type_of_field

TABLE_FIELDS = {
    "kind", "etag", "id", "selfLink", "tableReference", "schema", "description", "friendlyName", "labels", "type",
    "timePartitioning", "clustering", "expirationTime", "requirePartitionFilter", "creationTime", "lastModifiedTime",
    "numRows", "numBytes", "location", "numTotalLogicalBytes", "numLongTermBytes", "externalDataConfiguration",
    "view",
}  # fmt: skip
_FIELD_FIELDS = {"name", "type", "mode", "description"}


@dataclass(frozen=True)
class TableName:
    """The three parts of a table's name."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.table}"

    @classmethod
    def from_reference(cls, reference: dict[str, Any]) -> TableName:
        return cls(reference["projectId"], reference["datasetId"], reference["tableId"])

    def reference(self) -> dict[str, str]:
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}


@dataclass
class Table:
    """One table.

    :param name: its name in BigQuery
    :param storage: the name of DuckDB's table that holds the rows
    :param resource: what the API shows, without what changes with the rows
    """

    name: TableName
    storage: str
    resource: dict[str, Any]

    @property
    def columns(self) -> dict[str, str]:
        """GoogleSQL's type of each column, in order."""
        return {field["name"]: type_of_field(field) for field in self.resource["schema"]["fields"]}

    @property
    def partition_column(self) -> str | None:
        return (self.resource.get("timePartitioning") or {}).get("field")

    def require_permanence(self) -> None:
        """Refuse to keep rows in a table whose partitions expire: that isn't done here."""
        if (self.resource.get("timePartitioning") or {}).get("expirationMs"):
            raise RefusedError(f"rows of {self.name}, whose partitions expire")

    @property
    def is_external(self) -> bool:
        return bool(self.resource.get("type") == "EXTERNAL")

    @property
    def is_view(self) -> bool:
        return bool(self.resource.get("type") == "VIEW")


def quote(identifier: str) -> str:
    """An identifier for DuckDB."""
    return '"' + identifier.replace('"', '""') + '"'


def duckdb_columns(table: Table) -> str:
    """A table's columns, as DuckDB defines them."""
    required = {each["name"] for each in table.resource["schema"]["fields"] if each["mode"] == "REQUIRED"}
    return ", ".join(
        f"{quote(column)} {duckdb_type(kind)}{' NOT NULL' if column in required else ''}"
        for column, kind in table.columns.items()
    )


def without_nulls(resource: dict[str, Any]) -> dict[str, Any]:
    """The same without what is null."""
    return {key: value for key, value in resource.items() if value is not None}


def checked_field(field: dict[str, Any]) -> dict[str, Any]:
    """A field of a schema, with its mode."""
    check_fields(field, _FIELD_FIELDS, "schema.fields")
    type_of_field(field)
    return {**without_nulls(field), "mode": field.get("mode") or "NULLABLE"}


def shape(table: Table) -> list[tuple[str, str, str]]:
    """Names, types and modes of the columns."""
    fields = table.resource["schema"]["fields"]
    return [(each["name"], type_of_field(each), each["mode"]) for each in fields]


def check_layout(table: Table) -> None:
    """Refuse a partitioning or clustering that contradicts the columns, or isn't known here."""
    partitioning = table.resource.get("timePartitioning")
    if partitioning is not None:
        check_fields(partitioning, {"type", "field", "expirationMs", "requirePartitionFilter"}, "timePartitioning")
        if partitioning.get("type") not in ("DAY", "MONTH", "YEAR"):
            raise RefusedError(f"the partitioning {partitioning}")
        if table.columns.get(partitioning.get("field") or "") != "DATE":
            raise RefusedError("a partitioning that isn't by a DATE column")
    clustering = table.resource.get("clustering")
    for column in (clustering or {}).get("fields", []):
        if column not in table.columns:
            raise BigQueryError(
                "invalid", f"The field specified for clustering cannot be found in the schema: {column}"
            )
