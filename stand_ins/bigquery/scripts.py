"""A script's variables: DECLARE and SET."""

from __future__ import annotations

from sqlglot import exp

from stand_ins.bigquery.allowed import sql_type_of
from stand_ins.bigquery.context import Context
from stand_ins.bigquery.errors import BigQueryError, RefusedError
from stand_ins.bigquery.execution import scalar
from stand_ins.bigquery.statements import Statement


def declare(context: Context, statement: Statement) -> None:
    """Carry out ``DECLARE name [, name] [type] [DEFAULT expression]``."""
    tree = statement.parse()
    if not isinstance(tree, exp.Declare) or len(tree.expressions) != 1:
        raise RefusedError(statement.sql)
    item = tree.expressions[0]
    names = [each.name.lower() for each in (item.this if isinstance(item.this, list) else [item.this])]
    default = item.args.get("default")
    kind = item.args.get("kind")
    for name in names:
        if name in context.variables or name in context.parameters:
            raise BigQueryError("invalidQuery", f"Variable '{name}' redeclaration is not allowed.", "query")
    if default is None or default is False:
        if kind is None:
            raise BigQueryError("invalidQuery", "Syntax error: DECLARE needs a type or a default", "query")
        made = sql_type_of(kind), None
    else:
        text = _text_after(statement, "DEFAULT")
        made = scalar(context, text, sql_type_of(kind) if kind is not None else None)
    for name in names:
        context.variables[name] = made


def assign(context: Context, statement: Statement) -> None:
    """Carry out ``SET name = expression``."""
    tokens = statement.tokens
    if len(tokens) < 4 or tokens[2].text != "=":
        raise RefusedError(f"{statement.sql}: SET of one variable only")
    name = tokens[1].text.lower()
    if name not in context.variables:
        raise BigQueryError("invalidQuery", f"Undeclared variable: {tokens[1].text}", "query")
    kind, _ = context.variables[name]
    context.variables[name] = scalar(context, statement.text_between(3, -1), kind)


def _text_after(statement: Statement, word: str) -> str:
    for number, token in enumerate(statement.tokens):
        if token.text.upper() == word:
            return statement.text_between(number + 1, -1)
    raise RefusedError(statement.sql)
