"""Carries one statement out: Google's analyzer checks it, its tables are found, DuckDB computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from stand_ins.bigquery.allowed import check
from stand_ins.bigquery.context import Context
from stand_ins.bigquery.errors import BigQueryError, RefusedError
from stand_ins.bigquery.loads import refresh_external
from stand_ins.bigquery.pruning import partition_filter, selected_rows
from stand_ins.bigquery.statements import Statement, parse
from stand_ins.bigquery.tables import Table, TableName, quote
from stand_ins.bigquery.translation import translate
from stand_ins.bigquery.values import duckdb_type
from stand_ins.zetasql_analyzer import Analysis, SqlError, analyze

_LEAST_BYTES = 10 * 1024 * 1024


@dataclass
class Result:
    """What one statement gave; see ``QueryOutcome``."""

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
    referenced: list[TableName] = field(default_factory=list)


@dataclass
class Prepared:
    """A statement that was checked.

    :param tree: its syntax tree, with variables as parameters
    :param analysis: what Google's analyzer says of it
    :param tables: the tables that it names, by the name as it is written there
    :param views: the queries of those that are views, by DuckDB's name of the view
    """

    sql: str
    tree: exp.Expression
    analysis: Analysis
    tables: dict[str, Table]
    views: dict[str, Prepared]
    context: Context

    def sql_of(self, tree: exp.Expression) -> str:
        """DuckDB's text of a part of the statement."""
        given = self._given()
        types = {name: duckdb_type(kind) for name, (kind, _) in given.items()}
        names = {each.alias.lower() for each in self.tree.find_all(exp.CTE)}

        def resolve(node: exp.Table) -> str | None:
            written = written_name(node)
            if not node.db and node.name.lower() in names:
                return None
            return self.tables[written].storage

        return translate(tree, resolve, types).sql("duckdb")

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows that DuckDB gives for a text made by ``sql_of``."""
        return self.context.catalog.execute(sql, self.values(sql)).fetchall()

    def values(self, sql: str) -> dict[str, Any]:
        return {name: value for name, (_, value) in self._given().items() if f"${name} " in f"{sql} "}

    def _given(self) -> dict[str, tuple[str, Any]]:
        variables = {f"variable_{name}": given for name, given in self.context.variables.items()}
        return {**self.context.parameters, **variables, "row_count_": ("INT64", self.context.row_count)}


def written_name(node: exp.Table) -> str:
    return ".".join(part.name for part in node.parts)


def prepare(
    context: Context, sql: str, *, new: exp.Table | None = None, tree: exp.Expression | None = None
) -> Prepared:
    """Check a statement.

    :param new: a table in it that needn't exist yet
    :param tree: its syntax tree, where that isn't simply its text's
    """
    text = sql.replace("@@row_count", "@row_count_")
    tree = tree if tree is not None else parse(text)
    tables: dict[str, Table] = {}
    names = {each.alias.lower() for each in tree.find_all(exp.CTE)}
    for node in tree.find_all(exp.Table):
        if node is new or (not node.db and node.name.lower() in names):
            continue
        tables[written_name(node)] = context.find(node)
    views: dict[str, Prepared] = {}
    for table in set(map(id, tables.values())):
        found = next(each for each in tables.values() if id(each) == table)
        if found.is_external and not context.dry_run:
            refresh_external(context.catalog, found)
        if found.is_view:
            views[found.storage] = _show_view(context, found)
    _replace_variables(context, tree, tables)
    parameters = {name: kind for name, (kind, _) in context.parameters.items()} | {"row_count_": "INT64"}
    _check_parameters(tree, parameters, context)
    try:
        analysis = analyze(
            text,
            {name: table.columns for name, table in tables.items()},
            parameters,
            {name: kind for name, (kind, _) in context.variables.items()},
        )
    except SqlError as error:
        raise BigQueryError("invalidQuery", str(error), "query") from None
    return Prepared(text, tree, analysis, tables, views, context)


def _show_view(context: Context, view: Table) -> Prepared:
    """Make a view's query known to DuckDB, under the view's own name there."""
    own = Context(context.catalog, view.name.project, context.location, None, {}, dry_run=context.dry_run)
    query = view.resource["view"]["query"]
    prepared = prepare(own, query)
    shown = context.catalog.shown_views
    reads = query, {name: (table.storage, table.columns) for name, table in prepared.tables.items()}
    if shown.get(view.storage) != reads:
        context.catalog.execute(f"CREATE OR REPLACE TEMP VIEW {view.storage} AS {typed_query(prepared, prepared.tree)}")
        # With its transaction, the view may be taken back.
        shown[view.storage] = None if context.catalog.in_transaction else reads
    return prepared


def _check_parameters(tree: exp.Expression, parameters: dict[str, str], context: Context) -> None:
    for node in tree.find_all(exp.Parameter):
        if isinstance(node.this, exp.Parameter):
            raise RefusedError(f"the system variable {node.sql('bigquery')}")
        name = node.name.lower()
        if name not in parameters and not name.startswith("variable_"):
            raise BigQueryError("invalidQuery", f"Query parameter '{node.name}' not found", "query")


def _replace_variables(context: Context, tree: exp.Expression, tables: dict[str, Table]) -> None:
    if not context.variables:
        return
    columns = {column.lower() for table in tables.values() for column in table.columns}
    columns |= {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    for node in list(tree.find_all(exp.Column)):
        name = node.name.lower()
        if name not in context.variables or node.table:
            continue
        if name in columns:
            raise RefusedError(f"the variable {node.name}, which is named as a column")
        node.replace(exp.Parameter(this=exp.Var(this=f"variable_{name}")))


def charge(prepared: Prepared, result: Result, target: str | None = None) -> None:
    """Say what a statement processes, and refuse what would cost more than the job allows.

    :param target: the table that it changes, by its written name: all columns of it count
    """
    context = prepared.context
    for written, columns in prepared.analysis.reads.items():
        table = prepared.tables[written]
        if table.is_external or table.name.dataset == "":
            continue
        if table.is_view:
            charge(prepared.views[table.storage], result)
            continue
        counted = list(table.columns) if written == target else columns
        conditions = partition_filter(prepared.tree, written, table, target=target)
        where = None if conditions is None else " OR ".join(prepared.sql_of(each) for each in conditions) or "FALSE"
        if where is None and (table.resource.get("requirePartitionFilter") or _requires(table)):
            message = (
                f"Cannot query over table '{table.name.project}.{table.name.dataset}.{table.name.table}' without a"
                f" filter over column(s) '{table.partition_column}' that can be used for partition elimination"
            )
            raise BigQueryError("invalidQuery", message, "query")
        rows = selected_rows(table, where)
        _, size = context.catalog.measure(table, counted, rows, prepared.values(rows) or None)
        result.bytes_processed += size
        result.tables_read += 1
        if table.name not in result.referenced:
            result.referenced.append(table.name)
    least = max(result.bytes_processed, _LEAST_BYTES * result.tables_read) if result.bytes_processed else 0
    if context.maximum_bytes_billed and least > context.maximum_bytes_billed:
        message = f"Query exceeded limit for bytes billed: {context.maximum_bytes_billed}. {least} or higher required."
        raise BigQueryError("bytesBilledLimitExceeded", message)


def _requires(table: Table) -> bool:
    return bool((table.resource.get("timePartitioning") or {}).get("requirePartitionFilter"))


def scalar(context: Context, expression: str, kind: str | None) -> tuple[str, Any]:
    """The value of a single expression, for a variable.

    :param kind: the type that it is made, its own without one
    :return: type and value
    """
    sql = f"SELECT {expression}" if kind is None else f"SELECT CAST(({expression}) AS {kind})"
    result = execute_select(context, sql)
    made = result.columns[0][1]
    if context.dry_run:
        return made, None
    return made, result.rows[0][0]


def execute_select(context: Context, sql: str) -> Result:
    """Carry out a query."""
    prepared = prepare(context, sql)
    check(prepared.tree)
    result = Result("SELECT", columns=named(prepared.analysis.columns))
    charge(prepared, result)
    if not context.dry_run:
        result.rows = prepared.run(typed_query(prepared, prepared.tree))
    return result


def named(columns: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Columns with a name each: those without one are ``f0_``, ``f1_``, …"""
    made = []
    nameless = 0
    for name, kind in columns:
        duckdb_type(kind)
        if name.startswith("$"):
            name = f"f{nameless}_"
            nameless += 1
        made.append((name, kind))
    if len({name.lower() for name, _ in made}) != len(made):
        raise BigQueryError("invalidQuery", "Duplicate column names in the result are not supported.", "query")
    return made


def typed_query(prepared: Prepared, tree: exp.Expression) -> str:
    """DuckDB's text of a query whose columns have exactly the types that the analyzer says."""
    names = [f"c{number}" for number, _ in enumerate(prepared.analysis.columns)]
    casts = [
        f"CAST({name} AS {duckdb_type(kind)}) AS {quote(column)}"
        for name, (column, kind) in zip(names, named(prepared.analysis.columns), strict=True)
    ]
    return f"SELECT {', '.join(casts)} FROM ({prepared.sql_of(tree)}) AS typed({', '.join(names)})"


def execute(context: Context, statement: Statement) -> Result:
    """Carry out one statement.

    :raises BigQueryError: if it is wrong, fails, or isn't understood
    """
    from stand_ins.bigquery import changes, definitions

    handlers: dict[str, Callable[[Context, Statement], Result]] = {
        "SELECT": lambda context, statement: execute_select(context, statement.sql),
        "WITH": lambda context, statement: execute_select(context, statement.sql),
        "(": lambda context, statement: execute_select(context, statement.sql),
        "INSERT": changes.insert,
        "DELETE": changes.delete,
        "UPDATE": changes.update,
        "MERGE": changes.merge,
        "TRUNCATE": changes.truncate,
        "ASSERT": changes.check_assertion,
        "CREATE": definitions.create,
        "DROP": definitions.drop,
        "ALTER": definitions.alter,
    }
    handler = handlers.get(statement.word)
    if handler is None:
        raise RefusedError(f"the statement {statement.word}")
    if statement.word in ("CREATE", "DROP", "ALTER", "TRUNCATE") and context.catalog.in_transaction:
        words = [token.text.upper() for token in statement.tokens[:4]]
        if not {"TEMP", "TEMPORARY"} & set(words):
            raise BigQueryError("invalidQuery", "DDL statements are not supported in a transaction", "query")
    return handler(context, statement)
