"""Which partitions a statement reads: those that its filters on the partition column select."""

from __future__ import annotations

from sqlglot import exp

from stand_ins.bigquery.tables import Table, quote


def partition_filter(
    tree: exp.Expression, written: str, table: Table, *, target: str | None
) -> list[exp.Expression] | None:
    """The conditions of which one holds for every row that a statement needs of a table.

    :param written: the table's name as it is written in the statement
    :param target: the written name of the table that the statement changes
    :return: conditions on the partition column alone; None if all rows are needed
    """
    column = table.partition_column
    if column is None:
        return None
    conditions: list[exp.Expression] = []
    for node in tree.find_all(exp.Table):
        if ".".join(part.name for part in node.parts) != written:
            continue
        alias = node.alias or node.name
        if isinstance(tree, exp.Merge) and node is tree.this:
            found = _of_merge(tree, alias, column)
        elif isinstance(tree, exp.Insert) and written == target and node.find_ancestor(exp.Select) is None:
            found = []
        else:
            holder = node.find_ancestor(exp.Select, exp.Delete, exp.Update)
            found = _of(holder.args.get("where") if holder else None, alias, column)
        if found is None:
            return None
        conditions += found
    return conditions


def _of_merge(tree: exp.Merge, alias: str, column: str) -> list[exp.Expression] | None:
    conditions: list[exp.Expression] = []
    on = tree.args["on"]
    if not (isinstance(on, exp.Boolean) and on.this is False):
        found = _conjunction(on, alias, column)
        if found is None:
            return None
        conditions.append(found)
    for when in tree.args["whens"].expressions:
        if not when.args.get("matched") and when.args.get("source"):
            found = _conjunction(when.args.get("condition"), alias, column)
            if found is None:
                return None
            conditions.append(found)
    return conditions


def _of(where: exp.Expression | None, alias: str, column: str) -> list[exp.Expression] | None:
    found = _conjunction(where.this if where is not None else None, alias, column)
    return None if found is None else [found]


def _conjunction(condition: exp.Expression | None, alias: str, column: str) -> exp.Expression | None:
    """The part of a condition that concerns the partition column and constants alone."""
    if condition is None:
        return None
    usable = []
    parts = list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
    for part in parts:
        part = part.unnest()
        if isinstance(part, exp.And):
            inner = _conjunction(part, alias, column)
            if inner is not None:
                usable.append(inner)
            continue
        columns = list(part.find_all(exp.Column))
        if not columns or part.find(exp.Select):
            continue
        if all(
            each.name.lower() == column.lower() and each.table.lower() in ("", alias.lower()) for each in columns
        ) and isinstance(part, (exp.EQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In)):
            bare = part.copy()
            for each in bare.find_all(exp.Column):
                each.set("table", None)
                each.this.set("quoted", True)
            usable.append(bare)
    return exp.and_(*usable) if usable else None


def selected_rows(table: Table, where: str | None) -> str:
    """DuckDB's condition for the rows of all partitions that have a day for which ``where`` holds."""
    column = table.partition_column
    if where is None or column is None:
        return "TRUE"
    unit = table.resource["timePartitioning"]["type"]
    part = f"date_trunc('{unit}', {quote(column)})"
    held = f"(SELECT DISTINCT {part} AS first_day FROM {table.storage})"
    days = f"generate_series(first_day, first_day + INTERVAL 1 {unit} - INTERVAL 1 DAY, INTERVAL 1 DAY)"
    every_day = f"(SELECT CAST(unnest({days}) AS DATE) AS {quote(column)} FROM {held})"
    return f"{part} IN (SELECT {part} FROM {every_day} WHERE {where} )"
