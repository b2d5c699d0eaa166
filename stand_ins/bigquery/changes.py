"""Statements that change rows: INSERT, DELETE, UPDATE, MERGE, TRUNCATE; and ASSERT."""

from __future__ import annotations

from collections import Counter

from sqlglot import exp

from stand_ins.bigquery.allowed import check
from stand_ins.bigquery.context import Context
from stand_ins.bigquery.errors import BigQueryError, RefusedError
from stand_ins.bigquery.execution import Prepared, Result, charge, execute_select, prepare, written_name
from stand_ins.bigquery.snapshots import conflict, has_changed
from stand_ins.bigquery.statements import Statement
from stand_ins.bigquery.tables import Table, quote


def _only(tree: exp.Expression, allowed: set[str]) -> None:
    for name, value in tree.args.items():
        if name not in allowed and value not in (None, False, []):
            raise RefusedError(f"{name} of {type(tree).__name__} in {tree.sql('bigquery')[:80]}")


def _changed(prepared: Prepared, table: Table, sql: str) -> int:
    rows = prepared.run(sql)
    prepared.context.catalog.touch(table)
    return int(rows[0][0])


def _writable(prepared: Prepared, node: exp.Table) -> Table:
    table = prepared.tables[written_name(node)]
    if table.is_external or table.is_view:
        raise BigQueryError("invalidQuery", f"DML over {table.name} is not supported: it is no ordinary table", "query")
    table.require_permanence()
    return table


def insert(context: Context, statement: Statement) -> Result:
    """``INSERT [INTO] table [(columns)] SELECT … | VALUES …``"""
    prepared = prepare(context, statement.sql)
    tree = prepared.tree
    if not isinstance(tree, exp.Insert):
        raise RefusedError(statement.sql[:80])
    _only(tree, {"this", "expression"})
    node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    table = _writable(prepared, node)
    columns = (
        [each.name for each in tree.this.expressions] if isinstance(tree.this, exp.Schema) else list(table.columns)
    )
    check(tree.expression)
    result = Result("INSERT", inserted=0, deleted=0, updated=0)
    charge(prepared, result, None)
    if not context.dry_run:
        with context.catalog.unit():
            target = f"{table.storage} ({', '.join(map(quote, columns))})"
            result.inserted = _changed(prepared, table, f"INSERT INTO {target} {prepared.sql_of(tree.expression)}")
    return result


def delete(context: Context, statement: Statement) -> Result:
    """``DELETE [FROM] table [alias] WHERE …``"""
    prepared = prepare(context, statement.sql)
    tree = prepared.tree
    if not isinstance(tree, exp.Delete):
        raise RefusedError(statement.sql[:80])
    _only(tree, {"this", "where"})
    check(tree.args["where"])
    check(tree.this)
    table = _writable(prepared, tree.this)
    result = Result("DELETE", inserted=0, deleted=0, updated=0)
    charge(prepared, result, written_name(tree.this))
    if not context.dry_run:
        with context.catalog.unit():
            target, where = prepared.sql_of(tree.this), prepared.sql_of(tree.args["where"])
            result.deleted = _changed(prepared, table, f"DELETE FROM {target} {where}")
    return result


def update(context: Context, statement: Statement) -> Result:
    """``UPDATE table [alias] SET … WHERE …``"""
    prepared = prepare(context, statement.sql)
    tree = prepared.tree
    if not isinstance(tree, exp.Update):
        raise RefusedError(statement.sql[:80])
    _only(tree, {"this", "expressions", "where"})
    for part in (tree.this, *tree.expressions, tree.args["where"]):
        check(part)
    table = _writable(prepared, tree.this)
    result = Result("UPDATE", inserted=0, deleted=0, updated=0)
    charge(prepared, result, written_name(tree.this))
    if not context.dry_run:
        with context.catalog.unit():
            sets = ", ".join(
                f"{quote(each.this.name)} = {prepared.sql_of(each.expression)}" for each in tree.expressions
            )
            where = prepared.sql_of(tree.args["where"])
            result.updated = _changed(prepared, table, f"UPDATE {prepared.sql_of(tree.this)} SET {sets} {where}")
    return result


def merge(context: Context, statement: Statement) -> Result:
    """``MERGE [INTO] table USING source ON … WHEN …``, with ``INSERT ROW``"""
    prepared = prepare(context, statement.sql)
    tree = prepared.tree
    if not isinstance(tree, exp.Merge):
        raise RefusedError(statement.sql[:80])
    _only(tree, {"this", "using", "on", "whens"})
    for part in (tree.this, tree.args["using"], tree.args["on"]):
        check(part)
    table = _writable(prepared, tree.this)
    clauses = [_clause(prepared, table, when) for when in tree.args["whens"].expressions]
    result = Result("MERGE", inserted=0, deleted=0, updated=0)
    charge(prepared, result, written_name(tree.this))
    if context.dry_run:
        return result
    on_tree = _hashable(tree.args["on"], tree.this.alias or tree.this.name)
    seen = context.seen.get(table.name)
    if seen is not None and has_changed(context.catalog, table, seen):
        return _merge_what_was_seen(prepared, table, seen, clauses, on_tree, result)
    target, using, on = (prepared.sql_of(each) for each in (tree.this, tree.args["using"], on_tree))
    with context.catalog.unit():
        if any(when.args.get("matched") for when in tree.args["whens"].expressions):
            _refuse_ambiguous(prepared, target, using, on)
        made = prepared.run(f"MERGE INTO {target} USING {using} ON {on} {' '.join(clauses)} RETURNING merge_action")
        context.catalog.touch(table)
    counts = Counter(row[0] for row in made)
    result.inserted, result.deleted, result.updated = counts["INSERT"], counts["DELETE"], counts["UPDATE"]
    return result


def _merge_what_was_seen(
    prepared: Prepared, table: Table, seen: str, clauses: list[str], on: exp.Expression, result: Result
) -> Result:
    """Others have changed the table since the statement began: rows are added all the same, others not touched."""
    tree, catalog = prepared.tree, prepared.context.catalog
    prepared.tables[written_name(tree.this)] = Table(table.name, "merged", table.resource)
    target, using, matches = (prepared.sql_of(each) for each in (tree.this, tree.args["using"], on))
    with catalog.unit():
        catalog.execute(f"CREATE OR REPLACE TEMP TABLE merged AS SELECT * FROM {seen}")
        made = prepared.run(
            f"MERGE INTO {target} USING {using} ON {matches} {' '.join(clauses)} RETURNING merge_action"
        )
        counts = Counter(row[0] for row in made)
        if set(counts) - {"INSERT"}:
            raise conflict(table)
        catalog.execute(f"INSERT INTO {table.storage} SELECT * FROM merged EXCEPT ALL SELECT * FROM {seen}")
        catalog.execute("DROP TABLE merged")
        catalog.touch(table)
    result.inserted = counts["INSERT"]
    return result


def _hashable(on: exp.Expression, target: str) -> exp.Expression:
    """The same condition, with those on the target alone moved into an equality: DuckDB can hash that."""
    parts = list(on.copy().flatten()) if isinstance(on, exp.And) else []

    def concerns(part: exp.Expression) -> bool:
        columns = list(part.find_all(exp.Column))
        return bool(columns) and all(each.table.lower() == target.lower() for each in columns)

    own = [part for part in parts if concerns(part) and not part.find(exp.Select)]
    others = [part for part in parts if part not in own]
    for part in others:
        if own and isinstance(part, exp.EQ) and concerns(part.this) and not concerns(part.expression):
            key = exp.Case(ifs=[exp.If(this=exp.and_(*own), true=part.this.copy())])
            part.set("this", key)
            return exp.and_(*others)
    return on


def _refuse_ambiguous(prepared: Prepared, target: str, using: str, on: str) -> None:
    # DuckDB takes any one of several source rows; BigQuery makes an error of it.
    alias = target.rsplit(" AS ", 1)[-1]
    sql = f"SELECT 1 FROM {target}, {using} WHERE {on} GROUP BY {alias}.rowid HAVING count(*) > 1 LIMIT 1"
    if prepared.run(sql):
        message = "UPDATE/MERGE must match at most one source row for each target row"
        raise BigQueryError("invalidQuery", message, "query")


def _clause(prepared: Prepared, table: Table, when: exp.When) -> str:
    _only(when, {"matched", "source", "condition", "then"})
    condition = when.args.get("condition")
    if condition is not None:
        check(condition)
    text = "WHEN MATCHED" if when.args.get("matched") else "WHEN NOT MATCHED BY TARGET"
    if not when.args.get("matched") and when.args.get("source"):
        text = "WHEN NOT MATCHED BY SOURCE"
    if condition is not None:
        text += f" AND {prepared.sql_of(condition)}"
    then = when.args["then"]
    if isinstance(then, exp.Var) and then.name.upper() == "DELETE":
        return f"{text} THEN DELETE"
    if isinstance(then, exp.Update):
        _only(then, {"expressions"})
        for each in then.expressions:
            check(each)
        sets = ", ".join(f"{quote(each.this.name)} = {prepared.sql_of(each.expression)}" for each in then.expressions)
        return f"{text} THEN UPDATE SET {sets}"
    if not isinstance(then, exp.Insert):
        raise RefusedError(f"the clause {when.sql('bigquery')[:80]}")
    _only(then, {"this", "expression"})
    columns = list(table.columns)
    if isinstance(then.this, exp.Var) and then.this.name.upper() == "ROW":
        values = [f"{_source_alias(when)}{quote(column)}" for column in columns]
        return f"{text} THEN INSERT ({', '.join(map(quote, columns))}) VALUES ({', '.join(values)})"
    if isinstance(then.this, exp.Tuple):
        columns = [each.name for each in then.this.expressions]
    if not isinstance(then.expression, exp.Tuple):
        raise RefusedError(f"the clause {when.sql('bigquery')[:80]}")
    check(then.expression)
    values = [prepared.sql_of(each) for each in then.expression.expressions]
    return f"{text} THEN INSERT ({', '.join(map(quote, columns))}) VALUES ({', '.join(values)})"


def _source_alias(when: exp.When) -> str:
    merge_tree = when.find_ancestor(exp.Merge)
    assert merge_tree is not None
    using = merge_tree.args["using"]
    name = using.alias or (using.name if isinstance(using, exp.Table) else "")
    return f"{quote(name)}." if name else ""


def truncate(context: Context, statement: Statement) -> Result:
    """``TRUNCATE TABLE table``"""
    prepared = prepare(context, statement.sql)
    tree = prepared.tree
    if not isinstance(tree, exp.TruncateTable) or len(tree.expressions) != 1:
        raise RefusedError(statement.sql[:80])
    _only(tree, {"expressions"})
    table = _writable(prepared, tree.expressions[0])
    result = Result("TRUNCATE_TABLE", ddl_target=table.name)
    if not context.dry_run:
        with context.catalog.unit():
            result.deleted = _changed(prepared, table, f"DELETE FROM {table.storage}")
    return result


def check_assertion(context: Context, statement: Statement) -> Result:
    """``ASSERT condition [AS 'message']``"""
    tokens = statement.tokens
    end, message = -1, "Assertion failed"
    if len(tokens) > 3 and tokens[-2].text.upper() == "AS":
        end, message = -3, tokens[-1].text
    given = execute_select(context, f"SELECT {statement.text_between(1, end)} AS holds")
    if given.columns[0][1] != "BOOL":
        raise BigQueryError("invalidQuery", "The ASSERT expression must be of type BOOL", "query")
    if not context.dry_run and given.rows[0][0] is not True:
        raise BigQueryError("invalidQuery", f"Assertion failed: {message}", "query")
    return Result("ASSERT", bytes_processed=given.bytes_processed, tables_read=given.tables_read)
