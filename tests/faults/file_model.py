"""What a file must come to, worked out from its text by the documented rules, in plain Python.

Nothing here is shared with what loads, but for the specification of row ids.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime

from taxiway.loads.row_identity import unique_row_ids
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source

INTEGER = re.compile(r" *[+-]?0*[0-9]{1,18}([.]0*)? *")
NUMERIC = re.compile(r" *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})? *")
TIMESTAMP = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")


@dataclass(frozen=True)
class Expected:
    """What must become of a file.

    :param outcome: ``loads``, or the name of the exception
    :param ids: of its rows, in their order, where it loads
    :param rejects: numbers of the lines that can't be read; the header is line 1
    """

    outcome: str
    ids: tuple[str, ...] = ()
    rejects: frozenset[int] = frozenset()


def expect(source: Source, month: Month, text: bytes) -> Expected:
    """Work out what must become of a file.

    :param text: the unpacked file
    """
    source = replace(source, columns=source.layout_of(month).columns)
    header, *lines = text.split(b"\n")
    found = _header(source, header)
    if found is None:
        return Expected("HeaderError")
    columns, unnamed_names = found
    unnamed = _unnamed(text[len(header) + 1 :], len(columns), unnamed_names)
    rows, rejects, read = [], set[int](), 0
    for number, line in enumerate(lines, start=2):
        line = line.removesuffix(b"\r")
        if not line:
            continue
        read += 1
        fields = _fields(line)
        if fields is None or len(fields) != len(columns) + unnamed or any(fields[len(columns) :]):
            rejects.add(number)
            continue
        row = dict(zip([column.name for column in columns], fields[: len(columns)], strict=True))
        ordered = [row[column.name] for column in source.columns]
        if all(_readable(column, value) for column, value in zip(source.columns, ordered, strict=True)):
            rows.append(ordered)
        else:
            rejects.add(number)
    if not read:
        return Expected("EmptyMonthError")
    if len(rejects) > source.max_rejected_share * read:
        return Expected("RejectLimitError", rejects=frozenset(rejects))
    if _check_fails(source, month, rows):
        return Expected("CheckFailedError", rejects=frozenset(rejects))
    return Expected("loads", tuple(unique_row_ids(source.columns, rows)), frozenset(rejects))


def _unnamed(rows: bytes, columns: int, in_header: int) -> int:
    """How many empty fields the first 64 KiB of rows have behind those of the columns."""
    lines = rows[:65_536].split(b"\n")[: -1 if len(rows) >= 65_536 else None]
    votes = Counter[int]()
    for line in lines:
        fields = _fields(line.removesuffix(b"\r"))
        if line.strip(b"\r") and fields is not None and len(fields) >= columns and not any(fields[columns:]):
            votes[len(fields) - columns] += 1
    most, count = min(votes.items(), key=lambda vote: (-vote[1], vote[0]), default=(0, 0))
    return most if most == in_header or votes[0] * 100 <= count else 0


def _header(source: Source, line: bytes) -> tuple[list[Column], int] | None:
    try:
        text = line.decode("utf-8-sig").rstrip("\r")
        names = [name.strip().lower() for name in next(csv.reader([text], strict=True), [])]
    except (UnicodeDecodeError, csv.Error):
        return None
    columns = {column.name: column for column in source.columns}
    named = len(",".join(names).rstrip(",").split(","))
    if sorted(names[:named]) != sorted(columns):
        return None
    return [columns[name] for name in names[:named]], len(names) - named


def _fields(line: bytes) -> list[str] | None:
    """Cut a line into its fields; a quotation mark opens or closes a quoted part wherever it stands."""
    if b"\0" in line:
        return None
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return None
    parts = text.split('"')
    if len(parts) % 2 == 0:
        return None
    fields = [""]
    for number, part in enumerate(parts):
        if number % 2:
            fields[-1] += part
            continue
        if number and part == "" and number < len(parts) - 1:
            fields[-1] += '"'  # two marks inside a quoted part are one
            continue
        if "\r" in part:
            return None
        first, *others = part.split(",")
        fields[-1] += first
        fields += others
    return fields


def _readable(column: Column, value: str) -> bool:
    if value == "":
        return True
    if column.type == "integer":
        return INTEGER.fullmatch(value) is not None and -(2**31) <= int(value.partition(".")[0]) < 2**31
    if column.type == "numeric":
        # Postgres has no longer ones.
        return NUMERIC.fullmatch(value) is not None and len(value.partition(".")[0]) <= 131_072
    if column.type == "timestamp":
        parts = TIMESTAMP.fullmatch(value)
        if parts is None:
            return False
        try:
            datetime(*map(int, parts.groups()))  # type: ignore[arg-type]
        except ValueError:
            return False
        return True
    return value != "\\N" and "\x1f" not in value


def _check_fails(source: Source, month: Month, rows: list[list[str]]) -> bool:
    names = [column.name for column in source.columns]
    for check in source.checks:
        if check.severity != "fail" or not rows:
            continue
        assert check.column is not None
        assert check.at_most is not None
        values = [row[names.index(check.column)] for row in rows]
        counted = {
            "share_null": lambda value: value == "",
            "share_outside_month": lambda value: value != "" and value[:7] != str(month),
        }[check.measure]
        if sum(map(counted, values)) > check.at_most * len(values):
            return True
    return False
