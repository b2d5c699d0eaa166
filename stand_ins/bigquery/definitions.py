"""Statements that define tables: CREATE, DROP and ALTER TABLE."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from stand_ins.bigquery.allowed import check, sql_type_of
from stand_ins.bigquery.context import Context
from stand_ins.bigquery.errors import BigQueryError, RefusedError
from stand_ins.bigquery.execution import Prepared, Result, charge, named, prepare, scalar, typed_query
from stand_ins.bigquery.loads import check_external
from stand_ins.bigquery.statements import Statement
from stand_ins.bigquery.tables import Table, TableName, duckdb_columns
from stand_ins.bigquery.values import field_of

_CREATE_PARTS = {"this", "kind", "replace", "exists", "expression", "properties"}
_CSV_OPTIONS = {
    "skip_leading_rows": "skipLeadingRows", "field_delimiter": "fieldDelimiter", "quote": "quote",
    "allow_quoted_newlines": "allowQuotedNewlines", "allow_jagged_rows": "allowJaggedRows", "encoding": "encoding",
    "null_marker": "nullMarker",
}  # fmt: skip


def create(context: Context, statement: Statement) -> Result:
    """``CREATE [OR REPLACE] [TEMP | EXTERNAL] TABLE [IF NOT EXISTS] … [AS SELECT …]``"""
    tree = statement.parse()
    if isinstance(tree, exp.Create) and tree.kind == "VIEW":
        return _create_view(context, statement, tree)
    if not isinstance(tree, exp.Create) or tree.kind != "TABLE":
        raise RefusedError(f"the statement {' '.join(token.text for token in statement.tokens[:3])}")
    for part, value in tree.args.items():
        if part not in _CREATE_PARTS and value not in (None, False, []):
            raise RefusedError(f"{part} of CREATE TABLE")
    node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    prepared = prepare(context, statement.sql, new=node, tree=tree)
    layout, options, flags = _properties(tree)
    query = tree.args.get("expression")
    if "TEMP" in flags:
        return _create_temporary(context, prepared, node, query)
    name = context.name_of(node)
    context.check_location(name)
    fields = _fields(context, tree, prepared)
    resource: dict[str, Any] = {"tableReference": name.reference(), "schema": {"fields": fields}, **layout}
    if "EXTERNAL" in flags:
        resource |= _external(context, options, fields)
    resource |= _options(context, options)
    kind = "CREATE_TABLE_AS_SELECT" if query is not None else "CREATE_TABLE"
    result = Result("CREATE_EXTERNAL_TABLE" if "EXTERNAL" in flags else kind, ddl_operation="CREATE", ddl_target=name)
    existing = context.catalog.find(name)
    if existing is not None and tree.args.get("exists"):
        result.ddl_operation = "SKIP"
        return result
    if query is not None:
        check(query)
        charge(prepared, result)
    if existing is not None and not tree.args.get("replace"):
        raise BigQueryError("duplicate", f"Already Exists: Table {name}")
    if context.dry_run:
        return result
    with context.catalog.unit():
        rows = typed_query(prepared, query) if query is not None else None
        made = prepared.run(f"CREATE OR REPLACE TEMP TABLE made AS {rows}") if rows else None
        if existing is not None:
            result.ddl_operation = "REPLACE"
            context.catalog.drop(existing)
        table = context.catalog.create(resource)
        if made is not None:
            context.catalog.execute(f"INSERT INTO {table.storage} SELECT * FROM made; DROP TABLE made")
    return result


def _create_view(context: Context, statement: Statement, tree: exp.Create) -> Result:
    for part, value in tree.args.items():
        if part not in _CREATE_PARTS and value not in (None, False, []):
            raise RefusedError(f"{part} of CREATE VIEW")
    node = tree.this
    if not isinstance(node, exp.Table):
        raise RefusedError("a view with a list of columns")
    prepared = prepare(context, statement.sql, new=node, tree=tree)
    layout, options, flags = _properties(tree)
    if layout or flags:
        raise RefusedError(f"{' '.join([*layout, *flags])} of a view")
    query = tree.expression
    check(query)
    name = context.name_of(node)
    context.check_location(name)
    first = next(number for number, token in enumerate(statement.tokens) if token.text.upper() == "AS")
    resource: dict[str, Any] = {
        "tableReference": name.reference(),
        "type": "VIEW",
        "view": {"query": statement.text_between(first + 1, -1), "useLegacySql": False},
        "schema": {"fields": [field_of(column, kind) for column, kind in named(prepared.analysis.columns)]},
        **_options(context, options),
    }
    existing = context.catalog.find(name)
    result = Result("CREATE_VIEW", ddl_operation="CREATE", ddl_target=name)
    if existing is not None and tree.args.get("exists"):
        result.ddl_operation = "SKIP"
        return result
    if existing is not None and not (tree.args.get("replace") and existing.is_view):
        raise BigQueryError("duplicate", f"Already Exists: Table {name}")
    if context.dry_run:
        return result
    with context.catalog.unit():
        if existing is not None:
            result.ddl_operation = "REPLACE"
            context.catalog.drop(existing)
        context.catalog.create(resource)
    return result


def _create_temporary(context: Context, prepared: Prepared, node: exp.Table, query: exp.Expression | None) -> Result:
    if node.db or query is None or context.dry_run:
        raise RefusedError("a temporary table other than CREATE TEMP TABLE name AS SELECT, or its dry run")
    if node.name.lower() in context.temporary:
        raise BigQueryError("duplicate", f"Already Exists: Table {node.name}")
    check(query)
    result = Result("CREATE_TABLE_AS_SELECT", ddl_operation="CREATE")
    charge(prepared, result)
    columns = named(prepared.analysis.columns)
    resource = {"schema": {"fields": [field_of(name, kind) for name, kind in columns]}, "type": "TABLE"}
    name = TableName(context.project, "", node.name)
    table = Table(name, context.catalog.new_storage(), resource)
    context.catalog.execute(f"CREATE TABLE {table.storage} ({duckdb_columns(table)})")
    sql = typed_query(prepared, query)
    prepared.run(f"INSERT INTO {table.storage} {sql}")
    context.temporary[node.name.lower()] = table
    return result


def _fields(context: Context, tree: exp.Create, prepared: Prepared) -> list[dict[str, Any]]:
    if isinstance(tree.this, exp.Schema):
        fields = [_field(context, each) for each in tree.this.expressions]
        if tree.args.get("expression") is None:
            return fields
        given = named(prepared.analysis.columns)
        made = [(each["name"], field_of("", kind)["type"]) for each, (_, kind) in zip(fields, given, strict=True)]
        if made != [(each["name"], each["type"]) for each in fields]:
            raise RefusedError("a table made of a query whose columns have other types")
        return fields
    if tree.args.get("expression") is None:
        raise BigQueryError("invalidQuery", "No columns are given", "query")
    return [field_of(name, kind) for name, kind in named(prepared.analysis.columns)]


def _field(context: Context, node: exp.Expression) -> dict[str, Any]:
    if not isinstance(node, exp.ColumnDef):
        raise RefusedError(f"the column definition {node.sql('bigquery')}")
    field = field_of(node.name, sql_type_of(node.kind))
    for constraint in node.args.get("constraints") or []:
        kind = constraint.kind
        if isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null"):
            field["mode"] = "REQUIRED"
        elif isinstance(kind, exp.Properties):
            for each in kind.expressions:
                if each.name.lower() != "description":
                    raise RefusedError(f"the column option {each.name}")
                field["description"] = _constant(context, each.args["value"])
        else:
            raise RefusedError(f"the constraint {constraint.sql('bigquery')}")
    return field


def _properties(tree: exp.Create) -> tuple[dict[str, Any], dict[str, exp.Expression], set[str]]:
    layout: dict[str, Any] = {}
    options: dict[str, exp.Expression] = {}
    flags = set()
    properties = tree.args.get("properties")
    for each in properties.expressions if properties else []:
        if isinstance(each, exp.PartitionedByProperty):
            layout["timePartitioning"] = _partitioning(each.this)
        elif isinstance(each, exp.ClusterProperty):
            layout["clustering"] = {"fields": [column.name for column in each.expressions]}
        elif isinstance(each, exp.TemporaryProperty):
            flags.add("TEMP")
        elif isinstance(each, exp.ExternalProperty):
            flags.add("EXTERNAL")
        elif isinstance(each, exp.FileFormatProperty):
            options["format"] = each.this
        elif type(each) is exp.Property:
            options[each.name.lower()] = each.args["value"]
        else:
            raise RefusedError(f"{each.sql('bigquery')} of CREATE TABLE")
    return layout, options, flags


def _partitioning(node: exp.Expression) -> dict[str, Any]:
    if isinstance(node, (exp.Column, exp.Identifier)):
        return {"type": "DAY", "field": node.name}
    if isinstance(node, exp.DateTrunc):
        unit = node.args["unit"].name.upper()
        if unit in ("MONTH", "YEAR", "DAY"):
            return {"type": unit, "field": node.this.name}
    raise RefusedError(f"PARTITION BY {node.sql('bigquery')}")


def _options(context: Context, options: dict[str, exp.Expression]) -> dict[str, Any]:
    resource: dict[str, Any] = {}
    for name, node in options.items():
        if name == "description":
            resource["description"] = _constant(context, node)
        elif name == "friendly_name":
            resource["friendlyName"] = _constant(context, node)
        elif name == "require_partition_filter":
            resource["requirePartitionFilter"] = _constant(context, node)
        elif name == "labels":
            resource["labels"] = {
                _constant(context, each.expressions[0]): _constant(context, each.expressions[1])
                for each in node.expressions
            }
        elif name == "expiration_timestamp":
            moment = _constant(context, node)
            resource["expirationTime"] = None if moment is None else str(int(moment.timestamp() * 1000))
        else:
            raise RefusedError(f"the table option {name}")
    return resource


def _external(context: Context, options: dict[str, exp.Expression], fields: list[dict[str, Any]]) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        "sourceFormat": str(_constant(context, options.pop("format"))).upper(),
        "sourceUris": [_constant(context, each) for each in options.pop("uris").expressions],
        "schema": {"fields": fields},
        "csvOptions": {},
    }
    for name in list(options):
        if name in _CSV_OPTIONS:
            configuration["csvOptions"][_CSV_OPTIONS[name]] = _constant(context, options.pop(name))
        elif name == "max_bad_records":
            configuration["maxBadRecords"] = _constant(context, options.pop(name))
        elif name == "compression" and str(_constant(context, options.pop(name))).upper() not in ("GZIP", "NONE"):
            raise RefusedError("this compression")
    check_external(configuration)
    return {"type": "EXTERNAL", "externalDataConfiguration": configuration}


def _constant(context: Context, node: exp.Expression) -> Any:
    if isinstance(node, exp.Literal) and node.is_string:
        return node.this  # nothing to compute: a column's description
    whole = Context(
        context.catalog, context.project, context.location, None, context.parameters, variables=context.variables
    )
    return scalar(whole, node.sql("bigquery"), None)[1]


def drop(context: Context, statement: Statement) -> Result:
    """``DROP [EXTERNAL] TABLE [IF EXISTS] table``"""
    tree = statement.parse()
    if not isinstance(tree, exp.Drop) or tree.kind not in ("TABLE", "EXTERNAL TABLE", "VIEW"):
        raise RefusedError(f"the statement {statement.sql[:80]}")
    for part, value in tree.args.items():
        if part not in {"tables", "kind", "exists", "this"} and value not in (None, False, []):
            raise RefusedError(f"{part} of DROP TABLE")
    nodes = tree.args.get("tables") or [tree.this]
    if len(nodes) != 1:
        raise RefusedError("DROP of several tables")
    node = nodes[0]
    if not node.db and node.name.lower() in context.temporary:
        context.catalog.execute(f"DROP TABLE {context.temporary.pop(node.name.lower()).storage}")
        return Result("DROP_TABLE", ddl_operation="DROP")
    name = context.name_of(node)
    context.check_location(name)
    result = Result("DROP_TABLE", ddl_operation="DROP", ddl_target=name)
    table = context.catalog.find(name)
    if table is None:
        if not tree.args.get("exists"):
            raise BigQueryError("notFound", f"Not found: Table {name}")
        result.ddl_operation = "SKIP"
    elif table.is_view != (tree.kind == "VIEW"):
        raise BigQueryError("invalidQuery", f"{name} is a {table.resource['type']}, not a {tree.kind}", "query")
    elif not context.dry_run:
        context.catalog.drop(table)
    return result


def alter(context: Context, statement: Statement) -> Result:
    """``ALTER TABLE table SET OPTIONS (…)``, ``ADD COLUMN [IF NOT EXISTS] name type, …`` or ``DROP COLUMN name``."""
    tree = statement.parse()
    actions = tree.args.get("actions") or []
    if not isinstance(tree, exp.Alter) or tree.kind != "TABLE" or not actions:
        raise RefusedError(f"the statement {statement.sql[:80]}")
    if all(isinstance(each, exp.ColumnDef) for each in actions):
        return _add_columns(context, statement, tree, actions)
    if len(actions) == 1 and isinstance(actions[0], exp.Drop) and actions[0].kind == "COLUMN":
        return _drop_column(context, statement, tree, actions[0])
    if (
        len(actions) != 1
        or not isinstance(actions[0], exp.AlterSet)
        or not all(isinstance(each, exp.Properties) for each in actions[0].expressions)
    ):
        raise RefusedError(f"the statement {statement.sql[:80]}")
    prepared = prepare(context, statement.sql, tree=tree)
    (table,) = prepared.tables.values()
    given = {each.name.lower(): each.args["value"] for part in actions[0].expressions for each in part.expressions}
    result = Result("ALTER_TABLE", ddl_operation="ALTER", ddl_target=table.name)
    options = _options(context, given)
    if not context.dry_run:
        context.catalog.patch(table.name, options)
    return result


def _drop_column(context: Context, statement: Statement, tree: exp.Alter, action: exp.Drop) -> Result:
    prepared = prepare(context, statement.sql, tree=tree)
    (table,) = prepared.tables.values()
    (column,) = action.args["tables"]
    if table.is_view or table.is_external or action.args.get("exists"):
        raise RefusedError(f"the statement {statement.sql[:80]}")
    if column.name not in table.columns:
        raise BigQueryError("invalidQuery", f"Column not found: {column.name}", "query")
    if not context.dry_run:
        context.catalog.drop_column(table, column.name)
    return Result("ALTER_TABLE", ddl_operation="ALTER", ddl_target=table.name)


def _add_columns(context: Context, statement: Statement, tree: exp.Alter, actions: list[exp.ColumnDef]) -> Result:
    prepared = prepare(context, statement.sql, tree=tree)
    (table,) = prepared.tables.values()
    if table.is_view or table.is_external:
        raise RefusedError(f"ADD COLUMN of {table.name}, which is no ordinary table")
    fields = []
    for each in actions:
        field = _field(context, each)
        if field.get("mode") == "REQUIRED":
            raise BigQueryError("invalidQuery", f"Cannot add required column {field['name']} to an existing table")
        if field["name"] not in table.columns:
            fields.append(field)
        elif not each.args.get("exists"):
            raise BigQueryError("invalidQuery", f"Column already exists: {field['name']}", "query")
    result = Result("ALTER_TABLE", ddl_operation="ALTER" if fields else "SKIP", ddl_target=table.name)
    if fields and not context.dry_run:
        context.catalog.add_columns(table, fields)
    return result
