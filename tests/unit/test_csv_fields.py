"""Fields of a CSV line, as Postgres's COPY cuts them and as every reader understands them."""

from __future__ import annotations

import csv

import pytest

from taxiway.files.csv_fields import fields_of, line_of


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a,b", ["a", "b"]),
        ("", [""]),
        (",", ["", ""]),
        ('"a,b",c', ["a,b", "c"]),
        ('"a""b"', ['a"b']),
        ('a"b,"c', ["ab,c"]),
        ('"",', ["", ""]),
        ('"a"b,c', ["ab", "c"]),
        ('x,"a\nb"', ["x", "a\nb"]),
        ('""""', ['"']),
        ('""a""', ["a"]),
    ],
)
def test_a_quotation_mark_opens_and_closes_wherever_it_stands(line: str, fields: list[str]) -> None:
    assert fields_of(line) == fields


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (["a", "b c", ""], "a,b c,"),
        (["a,b", "c"], '"a,b",c'),
        (['a"b'], '"a""b"'),
        (["a\nb", "a\rb"], '"a\nb","a\rb"'),
        (["X", "XX"], "X,XX"),
    ],
)
def test_fields_are_quoted_where_they_must_be(fields: list[str], line: str) -> None:
    assert line_of(fields) == line
    assert next(csv.reader([line], strict=True)) == fields
    assert fields_of(line) == fields
