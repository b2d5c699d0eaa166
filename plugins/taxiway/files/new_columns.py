"""Columns that a file has and its source doesn't know: the lines that make them known, or how to do without them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence

from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source
from taxiway.sources.source_file import MAX_IDENTIFIER, TAKEN_NAMES

_IGNORED = "_ignored_"

_YAML_WORDS = ("yes", "no", "on", "off", "true", "false", "null")
"""Names that YAML takes for something else than a text, unless they are quoted."""

_TYPES = (
    ("integer", re.compile(r" *[+-]?0*[0-9]{1,9}([.]0*)? *")),
    ("numeric", re.compile(r" *[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})? *")),
    ("timestamp", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}([.]0+)?")),
)
"""The types of a source, but for text, with what their values look like: the first one that fits all is the guess."""


def ignored_column(number: int) -> Column:
    """Return what stands in a file's layout for a column that is left out.

    :param number: its place in the file
    """
    name = f"{_IGNORED}{number}"
    return Column(header=name, name=name, type="text", description="left out")


def is_ignored(column: Column) -> bool:
    """Say whether a column of a file is left out."""
    return column.name.startswith(_IGNORED)


def guess_type(values: Iterable[str], declared: str | None = None) -> str:
    """Guess the type of a column from some of its values; without any, it is a text.

    :param declared: the type that the file itself says; whole numbers may be larger than an ``integer`` of a source is
    """
    if declared not in (None, "integer"):
        return declared
    given = [value for value in values if value]
    fitting = (name for name, pattern in _TYPES if all(pattern.fullmatch(value) for value in given))
    return next(fitting, "text") if given else declared or "text"


def lines_to_add(
    source: Source,
    month: Month,
    names: Sequence[str],
    unknown: Sequence[int],
    rows: bytes,
    declared: Mapping[str, str] | None = None,
) -> list[str]:
    """Write the lines of YAML that make unknown columns known, one for each column.

    :param source: the source
    :param month: the first month that is known to have them
    :param names: of the file's header
    :param unknown: places in the header
    :param rows: the file's first rows; the last one may be cut off
    :param declared: types that the file itself says its columns have, by their names
    :return: entries of the key ``columns``; none for a name that no entry can have
    """
    whole = rows.rpartition(b"\n")[0] or rows
    fields = list(csv.reader(whole.decode(errors="replace").splitlines()))
    taken = {*TAKEN_NAMES, *(spelling for column in source.columns for spelling in column.spellings)}
    lines = list[str]()
    for place in unknown:
        header = names[place]
        name = _column_name(header, taken)
        if name is None:
            continue
        taken.add(name.lower())
        kind = guess_type((row[place] for row in fields if len(row) > place), (declared or {}).get(header))
        spelled = "" if name == header else f", headers: [{in_yaml(header)}]"
        since = "" if month.is_whole else f", since: {month}"
        written = in_yaml(name) if name.lower() in _YAML_WORDS else name
        lines.append(f"- {{name: {written}, type: {kind}, description: say what it means{since}{spelled}}}")
    return lines


def in_yaml(name: str) -> str:
    """Quote a name, so that YAML reads it as a text, whatever it is."""
    return "'" + name.replace("'", "''") + "'"


def _column_name(header: str, taken: set[str]) -> str | None:
    """Make a name for a column of a header's; None if the header can't be one of its names."""
    if not header or not header.isprintable() or len(header) > 100 or set(header) & {",", '"'}:
        return None
    name = re.sub(r"[^A-Za-z0-9_]+", "_", header).strip("_") if re.search(r"[^A-Za-z0-9_]", header) else header
    name = (name if re.match(r"[A-Za-z]", name) else f"c_{name}")[:MAX_IDENTIFIER]
    if name.lower() in taken:
        name = f"{name[: MAX_IDENTIFIER - 4]}_new"
    known = taken - set(TAKEN_NAMES)
    return None if name.lower() in taken or header.lower() in known else name
