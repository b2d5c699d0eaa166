"""Query jobs: one statement or a script, with its parameters, results and statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from stand_ins.bigquery.catalog import Catalog
from stand_ins.bigquery.context import Context
from stand_ins.bigquery.errors import BigQueryError, RefusedError, check_fields, told_as_bigquery_does
from stand_ins.bigquery.execution import Result, execute
from stand_ins.bigquery.scripts import assign, declare
from stand_ins.bigquery.statements import Statement, split
from stand_ins.bigquery.tables import TableName
from stand_ins.bigquery.values import decode_parameter, field_of

_FIELDS = {
    "query", "useLegacySql", "parameterMode", "queryParameters", "destinationTable", "writeDisposition",
    "createDisposition", "priority", "useQueryCache", "defaultDataset", "maximumBytesBilled", "timePartitioning",
    "clustering", "flattenResults", "allowLargeResults", "connectionProperties", "createSession",
}  # fmt: skip
# Each table that is read is billed as at least ten megabytes.
_LEAST_BYTES = 10 * 1024 * 1024
_MEGABYTE = 1024 * 1024


@dataclass
class QueryOutcome:
    """What a query job gave.

    :param columns: name and GoogleSQL type of the result's columns; empty if there is no result
    :param children: the outcomes of a script's statements
    """

    sql: str
    statement_type: str
    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    bytes_processed: int = 0
    tables_read: int = 0
    inserted: int | None = None
    deleted: int | None = None
    updated: int | None = None
    ddl_operation: str | None = None
    ddl_target: TableName | None = None
    destination: TableName | None = None
    referenced: list[TableName] = field(default_factory=list)
    children: list[QueryOutcome] = field(default_factory=list)

    @property
    def affected(self) -> int | None:
        counts = [each for each in (self.inserted, self.deleted, self.updated) if each is not None]
        return sum(counts) if counts else None

    @property
    def bytes_billed(self) -> int:
        if self.children:
            return sum(child.bytes_billed for child in self.children)
        if not self.bytes_processed:
            return 0
        return max(-(-self.bytes_processed // _MEGABYTE) * _MEGABYTE, _LEAST_BYTES * self.tables_read)

    def schema(self) -> dict[str, Any]:
        return {"fields": [field_of(name, kind) for name, kind in self.columns]}

    def statistics(self) -> dict[str, Any]:
        query: dict[str, Any] = {
            "statementType": self.statement_type,
            "totalBytesProcessed": str(self.bytes_processed),
            "totalBytesBilled": str(self.bytes_billed),
            "cacheHit": False,
            "referencedTables": [each.reference() for each in self.referenced],
            "schema": self.schema(),
        }
        if self.affected is not None:
            query["numDmlAffectedRows"] = str(self.affected)
            query["dmlStats"] = {
                "insertedRowCount": str(self.inserted or 0),
                "deletedRowCount": str(self.deleted or 0),
                "updatedRowCount": str(self.updated or 0),
            }
        if self.ddl_operation is not None:
            query["ddlOperationPerformed"] = self.ddl_operation
        if self.ddl_target is not None:
            query["ddlTargetTable"] = self.ddl_target.reference()
        statistics: dict[str, Any] = {"totalBytesProcessed": str(self.bytes_processed), "query": query}
        if self.children:
            statistics["numChildJobs"] = str(len(self.children))
        return statistics

    @classmethod
    def of(cls, sql: str, result: Result) -> QueryOutcome:
        names = (
            "statement_type", "columns", "rows", "bytes_processed", "tables_read", "inserted", "deleted", "updated",
            "ddl_operation", "ddl_target", "referenced",
        )  # fmt: skip
        return cls(sql, **{name: getattr(result, name) for name in names})


def run_query(
    catalog: Catalog,
    project: str,
    location: str,
    configuration: dict[str, Any],
    *,
    dry_run: bool = False,
    seen: Mapping[TableName, str] | None = None,
    between: Callable[[int], None] = lambda _: None,
) -> QueryOutcome:
    """Carry out a query job.

    :param configuration: of the API, ``configuration.query``
    :param seen: copies of tables as they were when the job began
    :param between: is called between two statements of a script, with how many are done: others may work then
    :param dry_run: only check it and say how many bytes it would process
    :raises BigQueryError: if it fails; then nothing of a transaction has happened
    """
    check_fields(configuration, _FIELDS, "query")
    if configuration.get("useLegacySql", True):
        raise RefusedError("legacy SQL: set useLegacySql to false")
    if configuration.get("createSession") or configuration.get("connectionProperties"):
        raise RefusedError("sessions")
    parameters = _parameters(configuration)
    context = Context(catalog, project, location, configuration.get("defaultDataset"), parameters, dry_run=dry_run)
    context.seen.update(seen or {})
    context.maximum_bytes_billed = int(configuration.get("maximumBytesBilled") or 0)
    statements = split(configuration["query"])
    with told_as_bigquery_does():
        if len(statements) == 1 and statements[0].word not in ("DECLARE", "SET", "BEGIN", "COMMIT", "ROLLBACK"):
            with catalog.lock:
                result = execute(context, statements[0])
                outcome = QueryOutcome.of(statements[0].sql, result)
                if not dry_run and configuration.get("destinationTable"):
                    _keep(context, outcome, configuration)
            return outcome
        if configuration.get("destinationTable"):
            raise BigQueryError("invalid", "configuration.query.destinationTable cannot be set for scripts")
        return _run_script(context, statements, configuration, between)


def _run_script(
    context: Context, statements: tuple[Statement, ...], configuration: dict[str, Any], between: Callable[[int], None]
) -> QueryOutcome:
    outcome = QueryOutcome(configuration["query"], "SCRIPT")
    catalog = context.catalog
    # A transaction has the database to itself; without one, other jobs see what a script has done so far.
    transaction = ExitStack()
    is_open = False
    try:
        for number, statement in enumerate(statements):
            if not is_open:
                between(number)
            with catalog.lock:
                if statement.word == "DECLARE":
                    if any(each.word != "DECLARE" for each in statements[:number]):
                        message = "Variable declarations are allowed only at the start"
                        raise BigQueryError("invalidQuery", message, "query")
                    declare(context, statement)
                elif statement.word == "SET":
                    assign(context, statement)
                elif statement.word in ("BEGIN", "COMMIT", "ROLLBACK"):
                    _control(context, statement)
                    if catalog.in_transaction and not is_open:
                        transaction.enter_context(catalog.lock)
                    is_open = catalog.in_transaction
                    if not is_open:
                        transaction.close()
                else:
                    result = execute(context, statement)
                    child = QueryOutcome.of(statement.sql, result)
                    context.row_count = child.affected if child.affected is not None else context.row_count
                    outcome.children.append(child)
                    outcome.bytes_processed += child.bytes_processed
    finally:
        if is_open:
            # BigQuery rolls a transaction back that its script leaves open, or that fails.
            catalog.rollback()
        with catalog.lock:
            context.drop_temporary()
        transaction.close()
    last = next((child for child in reversed(outcome.children) if child.columns), None)
    if last is not None and last is outcome.children[-1]:
        outcome.columns, outcome.rows = last.columns, last.rows
    return outcome


def _control(context: Context, statement: Statement) -> None:
    catalog = context.catalog
    if statement.word == "BEGIN":
        if catalog.in_transaction:
            raise BigQueryError("invalidQuery", "Transaction is already in progress", "query")
        if not context.dry_run:
            catalog.begin()
        return
    if context.dry_run:
        return
    if not catalog.in_transaction:
        raise BigQueryError("invalidQuery", "There is no active transaction", "query")
    if statement.word == "COMMIT":
        catalog.commit()
    else:
        catalog.rollback()


def _parameters(configuration: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    given = configuration.get("queryParameters") or []
    if given and configuration.get("parameterMode", "NAMED") != "NAMED":
        raise RefusedError("positional parameters")
    parameters = {}
    for each in given:
        check_fields(each, {"name", "parameterType", "parameterValue"}, "queryParameters")
        parameters[each["name"].lower()] = decode_parameter(each)
    return parameters


def _keep(context: Context, outcome: QueryOutcome, configuration: dict[str, Any]) -> None:
    """Write a query's result into the table that the job names."""
    if outcome.statement_type != "SELECT":
        raise BigQueryError("invalid", "configuration.query.destinationTable can only be set for a SELECT", "query")
    name = TableName.from_reference(configuration["destinationTable"])
    disposition = configuration.get("writeDisposition") or "WRITE_EMPTY"
    catalog = context.catalog
    schema = {"fields": [field_of(column, kind) for column, kind in outcome.columns]}
    with catalog.unit():
        table = catalog.find(name)
        if table is not None and disposition == "WRITE_EMPTY" and catalog.measure(table, [])[0]:
            raise BigQueryError("duplicate", f"Already Exists: Table {name}")
        if table is not None and disposition == "WRITE_TRUNCATE":
            catalog.drop(table)
            table = None
        if table is None:
            if configuration.get("createDisposition") == "CREATE_NEVER":
                raise BigQueryError("notFound", f"Not found: Table {name}")
            layout = {key: configuration.get(key) for key in ("timePartitioning", "clustering")}
            table = catalog.create({"tableReference": name.reference(), "schema": schema, **layout})
        elif list(table.columns.items()) != outcome.columns:
            raise BigQueryError("invalid", f"Provided Schema does not match Table {name}")
        if outcome.rows:
            marks = ", ".join("?" for _ in outcome.columns)
            catalog.connection.executemany(f"INSERT INTO {table.storage} VALUES ({marks})", outcome.rows)
        catalog.touch(table)
    outcome.destination = name
