"""Sample months as a mirror serves them: canonical CSV, with odd quotation marks, or with lines that can't be read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from taxiway.loads.row_identity import digest
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.samples import write_sample_month
from tests.faults.file_model import expect

Fields = list[bytes]
Spoil = Callable[[Source, Fields], Fields]


def _replaced(source: Source, fields: Fields, kind: str, value: bytes) -> Fields:
    at = [column.type for column in source.columns].index(kind)
    return [*fields[:at], value, *fields[at + 1 :]]


def word_in_a_number(source: Source, fields: Fields) -> Fields:
    return _replaced(source, fields, "numeric", b"far")


def impossible_date(source: Source, fields: Fields) -> Fields:
    return _replaced(source, fields, "timestamp", b"2019-02-30 10:00:00")


def too_few_fields(source: Source, fields: Fields) -> Fields:
    return fields[:-1]


def no_utf8(source: Source, fields: Fields) -> Fields:
    return _replaced(source, fields, "text", b"\xff")


FIELDS: tuple[Spoil, ...] = (word_in_a_number, impossible_date)
"""Seen in a staged row's fields."""

LINES: tuple[Spoil, ...] = (too_few_fields, no_utf8)
"""Seen before a line is staged."""

KINDS = ("canonical", "text", "rejects")


@dataclass(frozen=True)
class ServedMonth:
    """A month's file, and what must become of it.

    :param path: the file
    :param outcome: as the file model calls it
    :param rows: rows that can be read
    :param ids_digest: the digest of their ids
    :param rejects: the others: line number, and the line as it is kept
    """

    path: Path
    outcome: str
    rows: int
    ids_digest: str
    rejects: dict[int, str]


class ServedMonths:
    """Files of months, each written once.

    :param folder: where they lie
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[Path, ServedMonth] = {}

    def get(self, source: Source, month: Month, kind: str, *, rows: int, revision: int) -> ServedMonth:
        """Return a month's file, as :func:`write_month` writes it."""
        path = self._folder / kind / str(rows) / str(revision) / source.download_name(month)
        if path not in self._written:
            write_month(source, month, path, kind, rows=rows, revision=revision)
            self._written[path] = describe(source, month, path)
        return self._written[path]


def write_month(source: Source, month: Month, path: Path, kind: str, *, rows: int, revision: int = 0) -> None:
    """Write a month of one of :data:`KINDS`: text and rejects have odd quotation marks, rejects four bad lines, too."""
    if kind == "canonical":
        write_sample_month(source, month, path, rows=rows, revision=revision)
    else:
        bad = (*FIELDS, *LINES) if kind == "rejects" else ()
        write_text_month(source, month, path, bad, rows=rows, revision=revision)


def write_text_month(
    source: Source, month: Month, path: Path, bad: tuple[Spoil, ...], *, rows: int, revision: int = 0
) -> None:
    """Write a month with quotation marks behind a value, and a bad line of each of the given kinds anywhere."""
    write_sample_month(source, month, path, rows=rows, revision=revision)
    draw = Random(str(month))
    header, *lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    end = header[len(header.rstrip(b"\r\n")) :]
    first = lines[0].split(b",")
    lines[0] = b",".join([first[0] + b'""', *first[1:]])
    for spoil in bad:
        like = draw.choice(lines[1:]).rstrip(b"\r\n").split(b",")
        lines.insert(draw.randrange(1, len(lines) + 1), b",".join(spoil(source, like)) + end)
    path.write_bytes(gzip.compress(b"".join([header, *lines]), 4))


def describe(source: Source, month: Month, path: Path) -> ServedMonth:
    """Work out what must become of a file."""
    text = gzip.decompress(path.read_bytes())
    expected = expect(source, month, text)
    lines = text.split(b"\n")
    kept = {n: lines[n - 1].removesuffix(b"\r").decode("utf-8", "backslashreplace") for n in expected.rejects}
    return ServedMonth(path, expected.outcome, len(expected.ids), digest(expected.ids), kept)
