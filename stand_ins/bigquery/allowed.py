"""Expressions and queries: what is allowed of BigQuery's SQL.

A node of the syntax tree passes only if its class is listed below, with every part of it that is set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from stand_ins.bigquery.errors import RefusedError

_BINARY = {"this", "expression"}
# The node classes that may appear, with the parts that may be set.
ALLOWED: dict[type[exp.Expression], set[str]] = {
    exp.Select: {
        "expressions", "from_", "joins", "where", "group", "having", "qualify", "order", "limit", "offset", "with_",
        "distinct",
    },
    exp.Union: {"this", "expression", "distinct", "with_", "order", "limit"},
    exp.Except: {"this", "expression", "distinct", "with_", "order"},
    exp.Intersect: {"this", "expression", "distinct", "with_", "order"},
    exp.From: {"this"},
    exp.Join: {"this", "side", "kind", "on", "using"},
    exp.Where: {"this"},
    exp.Group: {"expressions"},
    exp.Having: {"this"},
    exp.Qualify: {"this"},
    exp.Order: {"this", "expressions"},
    exp.Ordered: {"this", "desc", "nulls_first"},
    exp.Limit: {"this", "expression"},
    exp.Offset: {"expression"},
    exp.With: {"expressions"},
    exp.CTE: {"this", "alias"},
    exp.TableAlias: {"this", "columns"},
    exp.Table: {"this", "db", "catalog", "alias"},
    exp.Subquery: {"this", "alias"},
    exp.Star: {"except_"},
    exp.Column: {"this", "table"},
    exp.Identifier: {"this", "quoted"},
    exp.Alias: {"this", "alias"},
    exp.Literal: {"this", "is_string"},
    exp.RawString: {"this"},
    exp.ByteString: {"this", "is_bytes"},
    exp.Boolean: {"this"},
    exp.Null: set(),
    exp.Paren: {"this"},
    exp.Tuple: {"expressions"},
    exp.Values: {"expressions", "alias"},
    exp.Var: {"this"},
    exp.Parameter: {"this"},
    exp.Distinct: {"expressions"},
    exp.Exists: {"this"},
    exp.Unnest: {"expressions", "alias", "offset"},
    exp.Array: {"expressions", "struct_name_inheritance", "value_constructor"},
    exp.Case: {"this", "ifs", "default"},
    exp.If: {"this", "true", "false"},
    exp.In: {"this", "expressions", "query", "unnest"},
    exp.Between: {"this", "low", "high"},
    exp.Not: {"this"},
    exp.Neg: {"this"},
    exp.Coalesce: {"this", "expressions"},
    exp.Cast: {"this", "to"},
    exp.TryCast: {"this", "to", "safe"},
    exp.DataType: {"this", "expressions", "nested"},
    exp.Window: {"this", "partition_by", "order", "over"},
    exp.RowNumber: set(),
    exp.Count: {"this", "big_int"},
    exp.Concat: {"expressions", "safe"},
    exp.DPipe: {"this", "expression", "safe"},
    exp.Length: {"this", "binary", "encoding"},
    exp.SafeFunc: {"this"},
    exp.Trim: {"this"},
    exp.SHA2Digest: {"this", "length"},
    exp.RegexpReplace: {"this", "expression", "replacement"},
    exp.StrPosition: {"this", "substr"},
    exp.Round: {"this", "decimals"},
    exp.TsOrDsToDate: {"this"},
    exp.Date: {"this"},
    exp.DateSub: {"this", "expression", "unit"},
    exp.Bracket: {"this", "expressions", "offset", "safe"},
    exp.TimestampAdd: {"this", "expression", "unit"},
    exp.TimestampSub: {"this", "expression", "unit"},
    exp.RegexpExtract: {"this", "expression", "group", "null_if_pos_overflow", "null_if_no_match"},
    exp.String: {"this"},
    exp.Substring: {"this", "start", "length"},
    exp.Replace: {"this", "expression", "replacement"},
    exp.TimeToStr: {"this", "format"},
    exp.TsOrDsToDatetime: {"this"},
    exp.ParseDatetime: {"this", "format", "default_year"},
    exp.Chr: {"expressions"},
    exp.GroupConcat: {"this", "separator"},
    exp.Greatest: {"this", "expressions"},
    exp.Least: {"this", "expressions"},
    exp.DateTrunc: {"this", "unit"},
    exp.CurrentTimestamp: set(),
    exp.ArrayToString: {"this", "expression"},
    exp.Extract: {"this", "expression"},
    exp.DateAdd: {"this", "expression", "unit"},
    exp.DateDiff: {"this", "expression", "unit", "date_part_boundary"},
    exp.Anonymous: {"this", "expressions"},
    **dict.fromkeys(
        (
            exp.And, exp.Or, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.NullSafeEQ,
            exp.NullSafeNEQ, exp.Add, exp.Sub, exp.Mul, exp.IntDiv, exp.Mod, exp.Nullif, exp.Like, exp.StartsWith,
            exp.EndsWith, exp.RegexpLike, exp.BitwiseXor, exp.BitwiseAnd, exp.BitwiseOr,
        ),
        _BINARY,
    ),
    **{
        kind: {"this"}
        for kind in (
            exp.Sum, exp.Min, exp.Max, exp.AnyValue, exp.CountIf, exp.BitwiseXorAgg, exp.LogicalAnd, exp.LogicalOr,
            exp.MD5, exp.MD5Digest, exp.LowerHex, exp.Upper, exp.Lower, exp.CodePointsToString,
            exp.ToCodePoints, exp.Abs, exp.ArraySize,
        )
    },
}  # fmt: skip
# Parts that the parser sets by itself.
_HARMLESS = {"copy"}
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In, exp.NullSafeEQ, exp.NullSafeNEQ)
_SQL_TYPES = {
    exp.DType.BIGINT: "INT64", exp.DType.DECIMAL: "NUMERIC", exp.DType.DOUBLE: "FLOAT64", exp.DType.BOOLEAN: "BOOL",
    exp.DType.DATE: "DATE", exp.DType.TIMESTAMP: "DATETIME", exp.DType.TIMESTAMPTZ: "TIMESTAMP",
    exp.DType.TEXT: "STRING", exp.DType.BINARY: "BYTES", exp.DType.BIGDECIMAL: "BIGNUMERIC",
}  # fmt: skip
_CLOCK_CODES = {"E4Y", *"YmdHMS"}


def check(tree: exp.Expression) -> None:
    """Refuse a tree that holds anything not listed above."""
    for node in tree.walk():
        parts = ALLOWED.get(type(node))
        if parts is None:
            raise RefusedError(f"{type(node).__name__} in {_shown(node)}")
        for name, value in node.args.items():
            if value not in (None, False, []) and name not in parts and name not in _HARMLESS:
                raise RefusedError(f"{name} of {type(node).__name__} in {_shown(node)}")
        refine = _CHECKS.get(type(node))
        if refine is not None:
            refine(node)


def sql_type_of(kind: exp.DataType) -> str:
    """GoogleSQL's name of a type in a syntax tree."""
    name = _SQL_TYPES.get(kind.this)
    if name is None or kind.expressions:
        if kind.this == exp.DType.ARRAY and len(kind.expressions) == 1:
            return f"ARRAY<{sql_type_of(kind.expressions[0])}>"
        raise RefusedError(f"the type {kind.sql('bigquery')}")
    return name


def _shown(node: exp.Expression) -> str:
    text = node.sql("bigquery")
    return text if len(text) <= 80 else text[:77] + "..."


def _check_literal(node: exp.Literal) -> None:
    if node.is_string or node.this.isdigit():
        return
    if re.fullmatch(r"\d*\.\d*", node.this) is None:
        raise RefusedError(f"the number {node.this}")
    parent = node.parent
    while isinstance(parent, (exp.Neg, exp.Paren)):
        parent = parent.parent
    in_values = isinstance(parent, exp.Tuple) and isinstance(parent.parent, exp.Values)
    if not in_values and not isinstance(parent, (*_COMPARISONS, exp.Cast, exp.TryCast)):
        raise RefusedError(f"the FLOAT64 literal {node.this} here: write NUMERIC '{node.this}'")


def _check_anonymous(node: exp.Anonymous) -> None:
    if str(node.this).upper() not in ("ERROR", "SAFE_CONVERT_BYTES_TO_STRING"):
        raise RefusedError(f"the function {node.this}")


def _check_clock(node: exp.Expression) -> None:
    pattern = node.args["format"]
    if not isinstance(pattern, exp.Literal) or set(re.findall("%(E4Y|.)", pattern.this)) - _CLOCK_CODES:
        raise RefusedError(f"the format {pattern.sql('bigquery')}")


def _check_parse(node: exp.ParseDatetime) -> None:
    pattern = node.args["format"]
    if not isinstance(pattern, exp.Literal) or pattern.this != "%Y-%m-%d %H:%M:%S":
        raise RefusedError(f"the format {pattern.sql('bigquery')}")


def _check_safe(node: exp.SafeFunc) -> None:
    if not isinstance(node.this, exp.ParseDatetime):
        raise RefusedError(f"SAFE. of {_shown(node.this)}")


def _check_part(node: exp.Expression) -> None:
    unit = node.args["unit"].name.upper()
    if unit not in ("DAY", "MONTH", "YEAR"):
        raise RefusedError(f"the unit {unit}")


def _check_extract(node: exp.Extract) -> None:
    if node.this.name.upper() not in ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"):
        raise RefusedError(f"the part {node.this.name}")


def _check_round(node: exp.Round) -> None:
    decimals = node.args.get("decimals")
    if decimals is not None and not (isinstance(decimals, exp.Literal) and not decimals.is_string):
        raise RefusedError(f"the rounding {_shown(node)}")


def _check_replacement(node: exp.RegexpReplace) -> None:
    if not isinstance(node.args["replacement"], (exp.Literal, exp.RawString)):
        raise RefusedError(f"the replacement in {_shown(node)}")


def _check_cast(node: exp.Cast) -> None:
    if sql_type_of(node.to) == "BIGNUMERIC" and not (
        isinstance(node, exp.TryCast) and isinstance(node.parent, (exp.EQ, exp.NEQ))
    ):
        raise RefusedError(f"BIGNUMERIC other than SAFE_CAST(… AS BIGNUMERIC) = …, in {_shown(node)}")


def _check_moment(node: exp.Expression) -> None:
    if node.args["unit"].name.upper() not in ("DAY", "HOUR", "MINUTE", "SECOND"):
        raise RefusedError(f"the unit {node.args['unit'].name}")


def _check_extraction(node: exp.RegexpExtract) -> None:
    if not isinstance(node.expression, (exp.Literal, exp.RawString)):
        raise RefusedError(f"the pattern of {_shown(node)}")
    pattern = node.expression.this
    # A group that takes no part in a match is NULL or empty, depending on the engine.
    bare = re.sub(r"\\.|\[[^\]]*\]", "", pattern)
    if "|" in bare or bare.count("(") - bare.count("(?:") > 1 or re.search(r"\((?!\?:)[^()]*\)[?*{]", bare):
        raise RefusedError(f"the pattern {pattern}")


def _check_array(node: exp.Array) -> None:
    if any(isinstance(each, (exp.Query, exp.Alias)) for each in node.expressions):
        raise RefusedError(f"ARRAY of a query in {_shown(node)}")


def _check_bracket(node: exp.Bracket) -> None:
    if node.args.get("safe") or node.args.get("offset") != 0 or len(node.expressions) != 1:
        raise RefusedError(f"{_shown(node)}: write array[OFFSET(…)]")


def _check_join(node: exp.Join) -> None:
    if node.kind.upper() not in ("", "INNER", "CROSS", "OUTER") or node.side.upper() not in (
        "",
        "LEFT",
        "RIGHT",
        "FULL",
    ):
        raise RefusedError(f"the join {_shown(node)}")


_CHECKS: dict[type, Callable[[Any], None]] = {
    exp.Literal: _check_literal,
    exp.Anonymous: _check_anonymous,
    exp.TimeToStr: _check_clock,
    exp.ParseDatetime: _check_parse,
    exp.SafeFunc: _check_safe,
    exp.TimestampAdd: _check_moment,
    exp.TimestampSub: _check_moment,
    exp.RegexpExtract: _check_extraction,
    exp.Bracket: _check_bracket,
    exp.Array: _check_array,
    exp.DateAdd: _check_part,
    exp.DateSub: _check_part,
    exp.DateDiff: _check_part,
    exp.Extract: _check_extract,
    exp.Round: _check_round,
    exp.RegexpReplace: _check_replacement,
    exp.Cast: _check_cast,
    exp.TryCast: _check_cast,
    exp.DateTrunc: _check_part,
    exp.Join: _check_join,
}
