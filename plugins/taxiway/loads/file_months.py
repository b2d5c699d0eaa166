"""What a month must hold by its downloaded file: rows, sums and ids, computed in Python and not by a warehouse.

Input: a file that was downloaded, and which of its lines were rejected. Output: what a comparison asks of a warehouse.
Nothing is locked or changed.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation
from functools import cached_property

from taxiway.download.download import Download
from taxiway.download.month_file import month_rows
from taxiway.errors import ComparisonError
from taxiway.files.csv_fields import fields_of
from taxiway.files.csv_lines import numbered_lines, row_of
from taxiway.loads.published_months import Recorded
from taxiway.loads.row_identity import NULL_TEXT, SEPARATOR, value_text
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source

_MOST_KNOWN = 50_000
"""Different values of a column that are kept with their texts."""

_EXACT = Context(prec=200)
"""Adds up without rounding."""

_MD5_BYTES = 16


class _Column:
    """Writes the values of a column as the text of a row's id, and adds them up if they are numbers with decimals."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.known: dict[str, list[object]] = {}
        self.total: Decimal | None = None

    def text(self, value: str) -> str:
        """Return the text of a value.

        :raises ValueError: it isn't a value of the column
        :raises decimal.InvalidOperation: as above
        """
        if self.column.type in ("text", "timestamp"):
            return value_text(self.column, value)
        found = self.known.get(value)
        if found is None:
            if len(self.known) >= _MOST_KNOWN:
                self._fold()
            found = self.known[value] = [value_text(self.column, value), 0]
        found[1] += 1  # type: ignore[operator]
        return str(found[0])

    def sum(self) -> str | None:
        """Return the sum of all values; None if there is none."""
        self._fold()
        return None if self.total is None else value_text(self.column, str(self.total))

    def _fold(self) -> None:
        if self.column.type == "numeric":
            for text, count in self.known.values():
                if text != NULL_TEXT:
                    added = _EXACT.multiply(Decimal(str(text)), Decimal(str(count)))
                    self.total = added if self.total is None else _EXACT.add(self.total, added)
        self.known.clear()


@dataclass
class _Part:
    """The rows whose ids begin with the same two digits, in the file's order.

    :param digests: of the rows' texts, without the numbers of duplicates
    :param lines: numbers of their lines
    :param numbered: ids of duplicates, from the second one on
    """

    digests: bytearray = field(default_factory=bytearray)
    lines: array[int] = field(default_factory=lambda: array("Q"))
    numbered: list[str] = field(default_factory=list)

    def of_texts(self) -> Iterator[tuple[int, bytes]]:
        """Yield line and digest of each row."""
        for place, line in enumerate(self.lines):
            yield line, bytes(self.digests[place * _MD5_BYTES : (place + 1) * _MD5_BYTES])

    def duplicates(self) -> Iterator[tuple[int, int]]:
        """Yield the lines of rows that were there before, each with its number among them."""
        seen = Counter[bytes]()
        for line, digest in self.of_texts():
            seen[digest] += 1
            if seen[digest] > 1:
                yield line, seen[digest]

    def ids(self) -> list[str]:
        """Return the ids, sorted."""
        return sorted([*{digest.hex() for _, digest in self.of_texts()}, *self.numbered])


@dataclass(frozen=True)
class FileMonth:
    """A month as its file has it.

    :param source: the source
    :param month: the month
    :param file: the downloaded file
    :param rejected: numbers of lines that were rejected; the header is line 1
    """

    source: Source
    month: Month
    file: Download
    rejected: Collection[int] = ()

    def sums(self) -> Mapping[str, str | None]:
        """Return ``row_count`` and the sum of every numeric column that the month's files have, as decimal numbers."""
        return self._figures[0]

    def digests(self) -> Mapping[str, tuple[int, str]]:
        """Return rows and digest of the ids that begin with the same two digits, by these."""
        return {
            name: (len(ids), hashlib.md5("\n".join(ids).encode(), usedforsecurity=False).hexdigest())
            for name, part in self._figures[1].items()
            if (ids := part.ids())
        }

    def ids(self, part: str) -> Sequence[str]:
        """Return the ids that begin with two digits, sorted."""
        return self._figures[1][part].ids()

    @cached_property
    def _figures(self) -> tuple[Mapping[str, str | None], Mapping[str, _Part]]:
        """Read the file once; its duplicates need their texts again, and so another reading."""
        parts = {f"{number:02x}": _Part() for number in range(256)}
        columns = {column.name: _Column(column) for column in self.source.layout_of(self.month).columns}
        rows = 0
        for line, text in self._texts(columns):
            digest = hashlib.md5(text.encode(), usedforsecurity=False)
            part = parts[digest.hexdigest()[:2]]
            part.digests += digest.digest()
            part.lines.append(line)
            rows += 1
        sums = {name: column.sum() for name, column in columns.items() if column.column.type == "numeric"}
        numbers = {line: number for part in parts.values() for line, number in part.duplicates()}
        if numbers:
            for line, text in self._texts({name: _Column(each.column) for name, each in columns.items()}, numbers):
                numbered = f"{text}{SEPARATOR}{numbers[line]}".encode()
                row_id = hashlib.md5(numbered, usedforsecurity=False).hexdigest()
                parts[row_id[:2]].numbered.append(row_id)
        return {"row_count": str(rows), **sums}, parts

    def _texts(self, columns: Mapping[str, _Column], only: Collection[int] | None = None) -> Iterator[tuple[int, str]]:
        """Yield the texts that the ids of the file's rows are made from, each with the number of its line.

        :param only: lines to read; None for all that weren't rejected
        :raises ComparisonError: a line isn't a row, though nobody has rejected it
        """
        _, shape, blocks = month_rows(self.source, self.month, self.file)
        places = {column.name: place for place, column in enumerate(shape.columns)}
        ordered = [(column, places[name]) for name, column in columns.items() if name in places]
        for number, line in numbered_lines(blocks, first=2):
            if not line or number in self.rejected or (only is not None and number not in only):
                continue
            row, reason = row_of(line, len(shape.columns), shape.unnamed)
            if reason is None:
                fields = fields_of(row.decode())
                try:
                    yield number, SEPARATOR.join([column.text(fields[place]) for column, place in ordered])
                    continue
                except (ValueError, InvalidOperation) as error:
                    reason = str(error) or type(error).__name__
            raise ComparisonError(
                f"{self.source.name} {self.month}: line {number} of the file can't be read ({reason}), and the ledger "
                f"has no such rejected line. Load the month again"
            )


@dataclass(frozen=True)
class FileMonths:
    """The file of one month, as a comparison asks a warehouse.

    :param opened: the month
    """

    opened: FileMonth
    name: str = "the file"

    def months(self, source: Source) -> Mapping[Month, Recorded]:
        """Return the one month."""
        return {self.opened.month: Recorded(self.opened.file.sha256, int(self.opened.sums()["row_count"] or 0))}

    @contextmanager
    def reading(self, source: Source, month: Month) -> Iterator[FileMonth]:
        """Return the month: there is one."""
        yield self.opened

    def is_loading(self, source: Source, month: Month) -> bool:
        """Say that no load changes a file."""
        return False
