"""Row identity in plain Python: the specification that the SQL is tested against.

It is ``docs/row-identity.md`` in code, for tests, for the comparison of rows with their file, and for people who want
to find a row again. Loads compute ids in the database (``include/sql/postgres/hash_rows.sql``), but for Parquet files
into Postgres, whose rows are written as texts anyway (:func:`with_ids`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from taxiway.sources.source import Column

try:
    # CPython's own, which hashes a short text in less than half of OpenSSL's time.
    from _md5 import md5 as _md5  # type: ignore[import-not-found]
except ImportError:
    _md5 = hashlib.md5

VERSION = 1
"""Which version of the rules makes the ids; the ledger records it. Other rules, other ids: another version."""

NULL_TEXT = "\\N"
SEPARATOR = "\x1f"


def value_text(column: Column, value: str) -> str:
    """Write one field as the row's text has it.

    :param column: the field's column
    :param value: the field as the CSV file has it; empty for NULL
    :return: canonical text
    """
    if value == "":
        return NULL_TEXT
    if column.type == "integer":
        return str(int(Decimal(value)))
    if column.type == "numeric":
        number = Decimal(value)
        if not number:
            return "0"
        text = f"{number:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if column.type == "timestamp" and "." in value:
        return value.rstrip("0").removesuffix(".")
    return value


def row_text(columns: Sequence[Column], fields: Sequence[str]) -> str:
    """Write one row as the text that its id is made from.

    :param columns: the source's columns, in its order
    :param fields: the row's fields, in the same order
    """
    return SEPARATOR.join(value_text(column, field) for column, field in zip(columns, fields, strict=True))


def with_ids(rows: Sequence[bytes]) -> bytes:
    """Write rows as lines, each behind its id; duplicate rows still share one.

    :param rows: texts of rows
    :return: for each its id's hexadecimal digits, U+001F, its text and a line end
    """
    separator = SEPARATOR.encode()
    return b"\n".join([*(_md5(row).hexdigest().encode() + separator + row for row in rows), b""])


def unique_row_ids(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Give the id of every row of one file, in the file's order.

    :param columns: the source's columns, in its order
    :param rows: the file's rows, their fields in the same order
    :return: 32 lower-case hexadecimal digits a row
    """
    seen: Counter[str] = Counter()
    for fields in rows:
        text = row_text(columns, fields)
        seen[text] += 1
        if seen[text] > 1:
            text = f"{text}{SEPARATOR}{seen[text]}"
        yield hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def digest(ids: Iterable[str]) -> str:
    """Sum up the ids of a file in one value, whatever their order.

    :param ids: ids, with or without hyphens
    :return: MD5 of the ids in hexadecimal, sorted, joined with line feeds
    """
    joined = "\n".join(sorted(row_id.replace("-", "") for row_id in ids))
    return hashlib.md5(joined.encode(), usedforsecurity=False).hexdigest()
