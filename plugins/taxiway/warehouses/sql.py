"""Renders the Jinja SQL files of ``include/sql``.

Jinja writes identifiers, which come from checked configuration only
(:mod:`taxiway.sources.source`, :mod:`taxiway.warehouses.postgres.tables`); values are bound by
the driver when the statement runs.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jinja2

from taxiway.paths import SQL_FOLDER


def literal(text: str) -> str:
    """Quote a text as an SQL string literal, for the few places where a value can't be bound (COMMENT)."""
    return "'" + text.replace("'", "''") + "'"


def quoted(text: str) -> str:
    """Quote a text as a string literal of BigQuery, for places where a value can't be bound (OPTIONS)."""
    double = json.dumps(str(text), ensure_ascii=False)
    return double if "'" in text else "'" + double[1:-1].replace('\\"', '"') + "'"


def identifier(name: str) -> str:
    """Quote a column's name, which may be a word that SQL has for itself, such as ``end``."""
    return '"' + name.replace('"', '""') + '"'


@cache
def environment() -> jinja2.Environment:
    """Return the Jinja environment of ``include/sql``: a name that is not given is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SQL_FOLDER),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - this is SQL, not HTML; see the module's docstring
        keep_trailing_newline=True,
    )
    made.filters["literal"] = literal
    made.filters["identifier"] = identifier
    made.filters["quoted"] = quoted
    return made


def compile_all() -> None:
    """Compile every file, so that processes that are forked from this one find them compiled."""
    made = environment()
    for name in made.list_templates(extensions=["sql"]):
        made.get_template(name)


def render(name: str, **parameters: Any) -> str:
    """Render one SQL file.

    :param name: path below ``include/sql``, for example ``postgres/hash_rows.sql``
    :param parameters: what the file's header lists under Parameters
    :return: SQL text
    :raises jinja2.UndefinedError: if a parameter is missing
    :raises jinja2.TemplateNotFound: if there is no such file
    """
    return environment().get_template(name).render(**parameters)
