"""BigQuery's types beside DuckDB's, and values as the v2 API writes them."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import math
from typing import Any

from stand_ins.bigquery.errors import BigQueryError, RefusedError

# The types that the stand-in knows, under the names of GoogleSQL, with DuckDB's type for each.
DUCKDB_TYPES = {
    "INT64": "BIGINT",
    "NUMERIC": "DECIMAL(38,9)",
    "FLOAT64": "DOUBLE",
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMPTZ",
}
# A schema in the API has older names for some.
_FROM_API = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "DECIMAL": "NUMERIC"}
_TO_API = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
# NUMERIC has 29 digits before the point and 9 behind it.
NUMERIC_LIMIT = decimal.Decimal(10) ** 29
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_WIDTHS = {"INT64": 8, "NUMERIC": 16, "FLOAT64": 8, "BOOL": 1, "DATE": 8, "DATETIME": 8, "TIMESTAMP": 8}


def type_of_field(field: dict[str, Any]) -> str:
    """GoogleSQL's name of a schema field's type, ``ARRAY<…>`` where it is repeated."""
    name = field["type"].upper()
    name = _FROM_API.get(name, name)
    if name not in DUCKDB_TYPES:
        raise RefusedError(f"the type {field['type']} of column {field['name']}")
    return f"ARRAY<{name}>" if field.get("mode") == "REPEATED" else name


def field_of(name: str, sql_type: str, **more: Any) -> dict[str, Any]:
    """A schema field of the API."""
    element = element_type(sql_type)
    base = element or sql_type
    return {
        "name": name,
        "type": _TO_API.get(base, base),
        "mode": "REPEATED" if element else "NULLABLE",
        **more,
    }


def element_type(sql_type: str) -> str | None:
    """What an array consists of; None of a type that is no array."""
    return sql_type[len("ARRAY<") : -1] if sql_type.startswith("ARRAY<") else None


def duckdb_type(sql_type: str) -> str:
    """DuckDB's type for one of GoogleSQL."""
    element = element_type(sql_type)
    if element is not None:
        return f"{duckdb_type(element)}[]"
    if sql_type not in DUCKDB_TYPES:
        raise RefusedError(f"the type {sql_type}")
    return DUCKDB_TYPES[sql_type]


def bytes_of(column: str, sql_type: str) -> list[tuple[int, str]]:
    """DuckDB's aggregates, each with its weight, whose sum is the bytes that BigQuery counts for a column's values.

    NULL counts none.
    """
    element = element_type(sql_type)
    if element in _WIDTHS:
        return [(_WIDTHS[element], f"sum(len({column}))")]
    if element is not None:
        return [(1, f"sum(list_sum(list_transform({column}, lambda e: 2 + octet_length(encode(e)))))")]
    if sql_type in _WIDTHS:
        return [(_WIDTHS[sql_type], f"count({column})")]
    octets = f"octet_length({column})" if sql_type == "BYTES" else f"strlen({column})"
    return [(2, f"count({column})"), (1, f"sum({octets})")]


def numeric_text(value: decimal.Decimal) -> str:
    """A NUMERIC as BigQuery writes it: no exponent, no zeros at the end, no sign before zero."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _clock_text(value: dt.datetime) -> str:
    text = value.strftime("%Y-%m-%dT%H:%M:%S").zfill(19)
    return text if value.microsecond == 0 else f"{text}.{value.microsecond:06d}"


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def encode(value: Any, sql_type: str, *, timestamps_as_integers: bool) -> Any:
    """A value of a result as the API writes it: everything is text, NULL is null.

    :param value: as DuckDB gave it
    :param sql_type: GoogleSQL's type of it
    :param timestamps_as_integers: whether the client asked for TIMESTAMP in microseconds (``useInt64Timestamp``)
    """
    element = element_type(sql_type)
    if value is None:
        # There is no array that is NULL, once it is stored or returned: it is empty.
        return None if element is None else []
    if element is not None:
        return [{"v": encode(each, element, timestamps_as_integers=timestamps_as_integers)} for each in value]
    if sql_type == "BOOL":
        return "true" if value else "false"
    if sql_type == "NUMERIC":
        return numeric_text(value)
    if sql_type == "FLOAT64":
        return _float_text(value)
    if sql_type == "BYTES":
        return base64.b64encode(value).decode()
    if sql_type == "DATETIME":
        return _clock_text(value)
    if sql_type == "TIMESTAMP":
        microseconds = (value - _EPOCH) // dt.timedelta(microseconds=1)
        return str(microseconds) if timestamps_as_integers else repr(microseconds / 1e6)
    return str(value)


def decode_parameter(parameter: dict[str, Any]) -> tuple[str, Any]:
    """A query parameter's type and value.

    :param parameter: ``parameterType`` and ``parameterValue`` as in the API
    :return: GoogleSQL's type, the value for DuckDB
    :raises RefusedError: for types that the stand-in doesn't know, structs among them
    """
    kind = parameter["parameterType"]
    value = parameter.get("parameterValue") or {}
    if kind["type"] == "ARRAY":
        element = kind["arrayType"]["type"]
        items = [_decode(each.get("value"), element) for each in value.get("arrayValues") or []]
        return f"ARRAY<{_known(element)}>", items
    return _known(kind["type"]), _decode(value.get("value"), kind["type"])


def _known(name: str) -> str:
    name = _FROM_API.get(name.upper(), name.upper())
    if name not in DUCKDB_TYPES:
        raise RefusedError(f"a query parameter of type {name}")
    return name


def _decode(text: str | None, name: str) -> Any:
    sql_type = _known(name)
    if text is None:
        return None
    try:
        return _READERS[sql_type](text)
    except (ValueError, decimal.InvalidOperation, KeyError) as error:
        raise BigQueryError("invalid", f"Invalid value for type {sql_type}: {text!r}", "query") from error


def _read_integer(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError(text)
    return number


def _read_numeric(text: str) -> decimal.Decimal:
    number = decimal.Decimal(text)
    if abs(number) >= NUMERIC_LIMIT:
        raise ValueError(text)
    context = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_UP)
    return number.quantize(decimal.Decimal("1e-9"), context=context)


def _read_timestamp(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text.replace(" UTC", "+00:00").replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)


_READERS = {
    "INT64": _read_integer,
    "NUMERIC": _read_numeric,
    "FLOAT64": float,
    "STRING": str,
    "BYTES": base64.b64decode,
    "BOOL": lambda text: {"true": True, "false": False}[text.lower()],
    "DATE": dt.date.fromisoformat,
    "DATETIME": lambda text: dt.datetime.fromisoformat(text.replace(" ", "T")),
    "TIMESTAMP": _read_timestamp,
}
