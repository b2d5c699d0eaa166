"""Types and values between Python and the package that brings Google's analyzer."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

_KINDS = {
    "INT64": 2, "BOOL": 5, "FLOAT64": 7, "STRING": 8, "BYTES": 9, "DATE": 10, "TIMESTAMP": 19, "DATETIME": 21,
    "NUMERIC": 23,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
_ARRAY = 16
_EXACT = decimal.Context(prec=60)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


class SqlError(Exception):
    """A statement that GoogleSQL refuses; the message is the analyzer's."""


def type_of(kind: str) -> Any:
    """The package's type for one of GoogleSQL, by its name."""
    from zetasql.api import TypeFactory

    if kind.startswith("ARRAY<"):
        return TypeFactory.create_array_type(type_of(kind[len("ARRAY<") : -1]))
    return TypeFactory.create_simple_type(_KINDS[kind])


def type_name(given: Any) -> str:
    """The name of one of the package's types."""
    if given.type_kind == _ARRAY:
        return f"ARRAY<{type_name(given.array_type.element_type)}>"
    return _NAMES.get(given.type_kind, getattr(given.type_kind, "name", str(given.type_kind)).removeprefix("TYPE_"))


def proto_value(value: Any, kind: str) -> Any:
    """The package's value for one of Python."""
    from zetasql.types import Value

    if value is None:
        return Value()
    if kind.startswith("ARRAY<"):
        return Value(array_value=Value.Array(element=[proto_value(each, kind[len("ARRAY<") : -1]) for each in value]))
    if kind == "NUMERIC":
        scaled = int(decimal.Decimal(value).scaleb(9, _EXACT))
        return Value(numeric_value=scaled.to_bytes(scaled.bit_length() // 8 + 1, "little", signed=True))
    if kind == "DATE":
        return Value(date_value=(value - _EPOCH.date()).days)
    if kind == "DATETIME":
        seconds = value.year << 26 | value.month << 22 | value.day << 17
        seconds |= value.hour << 12 | value.minute << 6 | value.second
        nanos = value.microsecond * 1000
        return Value(datetime_value=Value.Datetime(bit_field_datetime_seconds=seconds, nanos=nanos))
    names = {"INT64": "int64", "BOOL": "bool", "FLOAT64": "double", "STRING": "string", "BYTES": "bytes"}
    return Value(**{f"{names[kind]}_value": value})


def python_value(value: Any, kind: str) -> Any:
    """Python's value for one of the package."""
    if kind.startswith("ARRAY<"):
        if value.array_value is None:
            return None
        return [python_value(each, kind[len("ARRAY<") : -1]) for each in value.array_value.element]
    names = {
        "INT64": "int64", "BOOL": "bool", "FLOAT64": "double", "STRING": "string", "BYTES": "bytes", "DATE": "date",
        "NUMERIC": "numeric", "DATETIME": "datetime", "TIMESTAMP": "timestamp",
    }  # fmt: skip
    given = getattr(value, f"{names[kind]}_value")
    if given is None:
        return None
    if kind == "NUMERIC":
        return decimal.Decimal(int.from_bytes(given, "little", signed=True)).scaleb(-9, _EXACT)
    if kind == "DATE":
        return _EPOCH.date() + dt.timedelta(days=given)
    if kind == "DATETIME":
        bits = given.bit_field_datetime_seconds
        year, month, day = bits >> 26, bits >> 22 & 15, bits >> 17 & 31
        return dt.datetime(year, month, day, bits >> 12 & 31, bits >> 6 & 63, bits & 63, (given.nanos or 0) // 1000)
    if kind == "TIMESTAMP":
        raise SqlError("The package loses the value of a TIMESTAMP: cast it to STRING in the query")
    return given
