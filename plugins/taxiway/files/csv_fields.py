"""Reads the fields of a CSV line as Postgres's COPY does, and writes them as every reader understands them."""

from __future__ import annotations

from collections.abc import Sequence


def fields_of(text: str) -> list[str]:
    """Cut a line into its fields: a quotation mark opens or closes a quoted part wherever it stands, two are one.

    :param text: the line, without its end; its quotation marks are closed
    """
    if '"' not in text:
        return text.split(",")
    fields, current, quoted = [], "", False
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == '"':
            if quoted and text[position : position + 1] == '"':
                current += '"'
                position += 1
            else:
                quoted = not quoted
        elif character == "," and not quoted:
            fields.append(current)
            current = ""
        else:
            current += character
    return [*fields, current]


def line_of(fields: Sequence[str]) -> str:
    """Write fields as one line: quoted if they hold a comma, a quotation mark or a line end (RFC 4180)."""
    return ",".join(
        '"' + field.replace('"', '""') + '"' if any(mark in field for mark in ',"\r\n') else field for field in fields
    )
