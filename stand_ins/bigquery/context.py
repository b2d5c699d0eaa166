"""What a statement is carried out in: the job's defaults, its parameters, a script's variables and tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from stand_ins.bigquery.catalog import Catalog
from stand_ins.bigquery.errors import BigQueryError, RefusedError
from stand_ins.bigquery.tables import Table, TableName


@dataclass
class Context:
    """What a statement is carried out in.

    :param parameters: of each query parameter, in lower case, its type and value
    :param variables: the same of a script's variables
    :param temporary: a script's own tables
    :param seen: DuckDB's copies of tables as they were when the job began, where they may have changed since
    """

    catalog: Catalog
    project: str
    location: str
    default_dataset: dict[str, Any] | None
    parameters: dict[str, tuple[str, Any]]
    dry_run: bool = False
    variables: dict[str, tuple[str, Any]] = field(default_factory=dict)
    temporary: dict[str, Table] = field(default_factory=dict)
    row_count: int = 0
    maximum_bytes_billed: int = 0
    seen: dict[TableName, str] = field(default_factory=dict)

    def name_of(self, node: exp.Table) -> TableName:
        """A table's full name, with the defaults of the job."""
        default = self.default_dataset or {}
        dataset = node.db or default.get("datasetId")
        if not dataset:
            message = f'Table "{node.name}" must be qualified with a dataset (e.g. dataset.table).'
            raise BigQueryError("invalid", message, node.name)
        project = node.catalog or (default.get("projectId") if not node.db else None) or self.project
        return TableName(project, dataset, node.name)

    def find(self, node: exp.Table) -> Table:
        """The table that a statement names.

        :raises BigQueryError: if there is none, or in another location
        """
        if not node.db and node.name.lower() in self.temporary:
            return self.temporary[node.name.lower()]
        name = self.name_of(node)
        if "INFORMATION_SCHEMA" in str(name).upper() or name.table.startswith("__"):
            raise RefusedError(f"the view {node.sql('bigquery')}")
        self.check_location(name)
        return self.catalog.table(name)

    def check_location(self, name: TableName) -> None:
        dataset = self.catalog.dataset(name.project, name.dataset)
        if dataset["location"].lower() != self.location.lower():
            message = f"Not found: Dataset {name.project}:{name.dataset} was not found in location {self.location}"
            raise BigQueryError("notFound", message)

    def drop_temporary(self) -> None:
        for table in self.temporary.values():
            self.catalog.execute(f"DROP TABLE IF EXISTS {table.storage}")
        self.temporary.clear()
