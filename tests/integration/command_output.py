"""Reads what a command of ``airflow taxi`` has written, in each of its formats."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from taxiway.cli.output import SENTENCE

Run = Callable[..., tuple[int, str, str]]
"""Runs a command with options; returns its exit code, and what it wrote to standard output and to standard error."""


def told_in_each_format(run: Run, *options: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run a command once in each format, which all say the same.

    :return: its exit code, its records, and what it says beside their sentences
    """
    code, text, said = run(*options, "--output", "json")
    records: list[dict[str, Any]] = json.loads(text)
    in_yaml = run(*options, "--output", "yaml")
    assert (in_yaml[0], yaml.safe_load(in_yaml[1]), in_yaml[2]) == (code, records, said)
    notes = "".join(f"{record[SENTENCE]}\n" for record in records if record[SENTENCE])
    for output, read in (("table", in_cells), ("plain", in_columns)):
        shown = run(*options, "--output", output)
        assert (shown[0], shown[2]) == (code, notes + said)
        assert [list(row.items()) for row in read(shown[1])] == [list(texts(record).items()) for record in records]
    return code, records, said


def texts(record: Mapping[str, Any]) -> dict[str, str]:
    """Return what a table has of a record: the sentence is behind the table."""
    return {key: "" if value is None else str(value) for key, value in record.items() if key != SENTENCE}


def in_cells(text: str) -> list[dict[str, str]]:
    """Read a table, whose columns have a line between them."""
    names, *rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if "|" in line]
    return [dict(zip(names, row, strict=True)) for row in rows]


def in_columns(text: str) -> list[dict[str, str]]:
    """Read a plain table, whose columns begin where their names do."""
    header, *lines = text.splitlines()
    starts = [name.start() for name in re.finditer(r"\S+", header)]
    places = [slice(*ends) for ends in zip(starts, [*starts[1:], None], strict=True)]
    return [{header[place].strip(): line[place].strip() for place in places} for line in lines]
