"""Expressions and queries: how DuckDB is asked for what BigQuery's SQL says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from stand_ins.bigquery.allowed import sql_type_of
from stand_ins.bigquery.values import DUCKDB_TYPES

_CASTS = {
    "INT64": "int", "NUMERIC": "numeric", "FLOAT64": "float", "BOOL": "bool", "DATE": "date", "DATETIME": "datetime",
    "TIMESTAMP": "timestamp",
}  # fmt: skip
_NUMERIC = exp.DataType.build(DUCKDB_TYPES["NUMERIC"], dialect="duckdb").sql("duckdb")
Resolve = Callable[[exp.Table], str | None]


def translate(tree: exp.Expression, resolve: Resolve, parameters: dict[str, str]) -> exp.Expression:
    """Make DuckDB's tree of BigQuery's.

    :param tree: checked; it is left as it is
    :param resolve: DuckDB's name for a table, None if it isn't one but a name of the query's own WITH
    :param parameters: DuckDB's type of every parameter, by name in lower case
    """

    def change(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Table):
            storage = resolve(node)
            if storage is None:
                return node
            alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(node.name, quoted=True))
            return exp.Table(this=exp.to_identifier(storage), alias=alias)
        if isinstance(node, exp.Parameter):
            name = node.name.lower()
            given = exp.Parameter(this=exp.Var(this=name))
            return exp.Cast(this=given, to=exp.DataType.build(parameters[name], dialect="duckdb"))
        maker = _MAKERS.get(type(node))
        return node if maker is None else maker(node)

    return _from_leaves(tree.copy(), change)


def _from_leaves(node: exp.Expression, change: Callable[[exp.Expression], exp.Expression]) -> exp.Expression:
    for child in list(node.iter_expressions()):
        made = _from_leaves(child, change)
        if made is not child:
            child.replace(made)
    return change(node)


def _call(name: str, *arguments: exp.Expression) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _aggregate(name: str, *arguments: exp.Expression) -> exp.AnonymousAggFunc:
    return exp.AnonymousAggFunc(this=name, expressions=list(arguments))


def _typed(node: exp.Expression, sql_type: str) -> exp.Expression:
    return exp.Cast(this=node, to=exp.DataType.build(DUCKDB_TYPES[sql_type], dialect="duckdb"))


def _converted(kind: str, given: exp.Expression) -> exp.Expression:
    untyped = given.find(exp.AggFunc, exp.Window, exp.Select)
    return _call(f"bq_{kind}_of_any" if untyped else f"bq_{kind}", given)


def _text(given: exp.Expression) -> exp.Expression:
    if isinstance(given, exp.Cast) and given.to.sql("duckdb") == _NUMERIC:
        return _call("bq_text_of_numeric", given)
    return _converted("text", given)


def _make_literal(node: exp.Literal) -> exp.Expression:
    if node.is_string or not node.this.isdigit() or isinstance(node.parent, (exp.Limit, exp.Offset, exp.Ordered)):
        return node
    return _typed(node.copy(), "INT64")


def _make_cast(node: exp.Cast) -> exp.Expression:
    sql_type = sql_type_of(node.to)
    given = node.this
    if sql_type == "STRING":
        return _text(given)
    if sql_type == "BYTES":
        return _call("encode", given)
    if sql_type == "BIGNUMERIC":
        return _call("bq_bignumeric_text", given)
    made: exp.Expression = _converted(_CASTS[sql_type], given)
    if not isinstance(node, exp.TryCast):
        made = _call("bq_or_bad", given.copy(), made, exp.Literal.string(sql_type))
    return _typed(made, sql_type)


def _make_parse(node: exp.ParseDatetime) -> exp.Expression:
    return _call("bq_parse_datetime", node.this)


def _is_bignumeric(node: exp.Expression) -> bool:
    return isinstance(node, exp.Anonymous) and node.name == "bq_bignumeric_text"


def _make_equality(node: exp.EQ | exp.NEQ) -> exp.Expression:
    # There is no BIGNUMERIC in DuckDB: it is compared by its text.
    if not (_is_bignumeric(node.this) or _is_bignumeric(node.expression)):
        return node
    sides = [each if _is_bignumeric(each) else _text(each) for each in (node.this, node.expression)]
    return type(node)(this=sides[0], expression=sides[1])


def _make_clock(node: exp.TimeToStr) -> exp.Expression:
    given, pattern = node.this, node.args["format"].this
    made: exp.Expression | None = None
    for number, part in enumerate(pattern.split("%E4Y")):
        pieces: list[exp.Expression] = [_call("bq_year", given.copy())] if number else []
        pieces += [_call("strftime", given.copy(), exp.Literal.string(part))] if part else []
        for piece in pieces:
            made = piece if made is None else exp.DPipe(this=made, expression=piece)
    return made or exp.Literal.string("")


def _make_extraction(node: exp.RegexpExtract) -> exp.Expression:
    pattern = exp.Literal.string(node.expression.this)
    group = exp.Literal.number(1 if node.args.get("group") else 0)
    found = _call("regexp_matches", node.this.copy(), pattern.copy())
    made = _call("regexp_extract", node.this, pattern, group)
    return exp.Case(ifs=[exp.If(this=found, true=made)])


def _make_unnest(node: exp.Unnest) -> exp.Expression:
    position = node.args.get("offset")
    if not position:
        return node
    given = node.expressions[0]
    value = node.args["alias"].columns[0]
    numbers = exp.Sub(
        this=_call("generate_subscripts", given.copy(), exp.Literal.number(1)), expression=exp.Literal.number(1)
    )
    chosen = exp.Select(
        expressions=[
            exp.alias_(_call("unnest", given), value.copy()),
            exp.alias_(_typed(exp.Paren(this=numbers), "INT64"), position.copy()),
        ]
    )
    return exp.Subquery(this=chosen, alias=exp.TableAlias(this=exp.to_identifier("unnested")))


def _make_regexp_replace(node: exp.RegexpReplace) -> exp.Expression:
    return _call("regexp_replace", node.this, node.expression, node.args["replacement"], exp.Literal.string("g"))


def _make_group_concat(node: exp.GroupConcat) -> exp.Expression:
    separator = node.args.get("separator") or exp.Literal.string(",")
    given = node.this
    if isinstance(given, exp.Order):
        return _aggregate("string_agg", given.this, exp.Order(this=separator, expressions=given.expressions))
    return _aggregate("string_agg", given, separator)


_MAKERS: dict[type, Callable[[Any], exp.Expression]] = {
    exp.Literal: _make_literal,
    exp.RawString: lambda node: exp.Literal.string(node.this),
    exp.ByteString: lambda node: _call("from_hex", exp.Literal.string(node.this.encode("latin-1").hex())),
    exp.Cast: _make_cast,
    exp.TryCast: _make_cast,
    exp.MD5: lambda node: _call("md5", node.this),
    exp.MD5Digest: lambda node: _call("unhex", _call("md5", node.this)),
    exp.LowerHex: lambda node: _call("lower", _call("hex", node.this)),
    exp.CodePointsToString: lambda node: _call("bq_code_points_to_string", node.this),
    exp.ToCodePoints: lambda node: _call("bq_to_code_points", node.this),
    exp.ParseDatetime: _make_parse,
    exp.TimeToStr: _make_clock,
    exp.EQ: _make_equality,
    exp.NEQ: _make_equality,
    exp.RegexpExtract: _make_extraction,
    exp.Unnest: _make_unnest,
    exp.Bracket: lambda node: _call("bq_at", node.this, node.expressions[0]),
    exp.TsOrDsToDatetime: lambda node: node.this,
    exp.GroupConcat: _make_group_concat,
    exp.Chr: lambda node: _call("chr", exp.Cast(this=node.expressions[0], to=exp.DataType.build("INT"))),
    exp.RegexpLike: lambda node: _call("regexp_matches", node.this, node.expression),
    # DuckDB's gives NULL if there aren't rows.
    exp.CountIf: lambda node: _call("coalesce", _aggregate("count_if", node.this), exp.Literal.number(0)),
    exp.SafeFunc: lambda node: _call("bq_parse_datetime_or_null", *node.this.expressions),
    exp.Length: lambda node: _call("bq_length", node.this),
    exp.Trim: lambda node: _call("bq_trim", node.this),
    exp.SHA2Digest: lambda node: _call("unhex", _call("sha256", node.this)),
    exp.RegexpReplace: _make_regexp_replace,
    exp.StrPosition: lambda node: _typed(_call("strpos", node.this, node.args["substr"]), "INT64"),
    exp.TsOrDsToDate: lambda node: _typed(_converted("date", node.this), "DATE"),
    exp.Date: lambda node: _typed(_converted("date", node.this), "DATE"),
    exp.String: lambda node: _text(node.this),
    exp.CurrentTimestamp: lambda node: _call("now"),
}
