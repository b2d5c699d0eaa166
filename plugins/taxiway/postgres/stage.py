"""Stages a month: the file's rows, as text, in a table of this run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg

from taxiway.core.download import Download
from taxiway.core.errors import EmptyMonthError, InvalidFileError, StagingMissingError, UnreadableRowsError
from taxiway.core.gzip_file import GzipFaultError, unpacked_blocks
from taxiway.core.header import MAX_HEADER, match_header
from taxiway.core.sql import render
from taxiway.core.tables import LoadTables
from taxiway.postgres import ledger
from taxiway.postgres.main_table import ensure_tables
from taxiway.postgres.session import transaction

_PLAIN = b"0123456789.,-: \r\nNY"
# What a file of numbers, timestamps and Y/N flags is written with. Within this alphabet, what
# Postgres reads as a number is a plain decimal number: no NaN, Infinity, hexadecimal, exponent
# or digit group, all of which it reads too. Looking for anything else costs next to nothing.


@dataclass(frozen=True)
class Staged:
    """A staged month.

    :param rows_read: rows in the file, without its header
    :param plain: whether the file holds nothing but digits, signs, separators and the letters N
        and Y, so that its numbers need no closer look
    """

    rows_read: int
    plain: bool


def stage_month(
    connection: psycopg.Connection[Any], tables: LoadTables, file: Download, started_at: datetime
) -> Staged:
    """Stream a downloaded month into its staging table, and enter the load in the ledger.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :param file: the downloaded ``.csv.gz``
    :param started_at: when the run began
    :return: what was staged
    :raises StagingMissingError: the file is not there
    :raises InvalidFileError: not gzip, cut off, or no CSV
    :raises HeaderError: a column is missing, repeated or unknown
    :raises UnreadableRowsError: a row has too few or too many fields, or isn't UTF-8
    :raises EmptyMonthError: no rows, for a source that doesn't allow it
    :raises MainTableError: the main table is another one
    """
    source, month = tables.source, tables.month
    where = f"{source.name} {month}: {source.filename(month)}"
    with transaction(connection) as cursor:
        ensure_tables(cursor, source)
        ledger.start(cursor, tables, file, started_at)
    with transaction(connection) as cursor:
        blocks = _unpacked(file, where)
        header, first_rows = _split_header(blocks, where)
        columns = match_header(source, month, header)
        cursor.execute(
            render("postgres/create_staging_table.sql", staging_table=tables.staging_table, columns=source.columns)
        )
        statement = render("postgres/stage_month.sql", staging_table=tables.staging_table, file_columns=columns)
        lines = _Lines()
        try:
            with cursor.copy(statement) as copy:
                for block in chain([first_rows], blocks):
                    lines.add(block)
                    copy.write(block)
        except psycopg.errors.DataError as error:
            raise UnreadableRowsError(
                f"{where}: a row can't be read as CSV: {_described(error)}; expected {len(columns)} fields of UTF-8 "
                f"text a row. Nothing was loaded: correct the file, or ask the mirror's owner to"
            ) from error
        rows_read = cursor.rowcount
        if rows_read != lines.count:
            raise UnreadableRowsError(
                f"{where}: found {rows_read} rows on {lines.count} lines, expected one row a line: a quotation mark "
                f"that isn't closed joins lines. Nothing was loaded: correct the file"
            )
        if rows_read == 0 and not source.allow_empty:
            raise EmptyMonthError(
                f"{where}: found a header and no rows, expected at least one. If an empty month is right for this "
                f"source, set 'allow_empty: true' in include/sources/{source.name}.yaml"
            )
        ledger.record(cursor, tables, "staged", rows_read=rows_read)
    return Staged(rows_read=rows_read, plain=lines.plain)


class _Lines:
    """Counts lines, and looks for anything but plain numbers, as blocks pass by."""

    def __init__(self) -> None:
        self._ends = 0
        self._last = b"\n"
        self.plain = True

    def add(self, block: bytes) -> None:
        if not block:
            return
        self._ends += block.count(b"\n")
        self._last = block[-1:]
        self.plain = self.plain and not block.translate(None, _PLAIN)

    @property
    def count(self) -> int:
        return self._ends + (self._last != b"\n")


def _unpacked(file: Download, where: str) -> Iterator[bytes]:
    """Unpack the file block by block, and make sure that it is the one that was downloaded."""
    found = hashlib.sha256()
    try:
        yield from unpacked_blocks(Path(file.path), found)
    except FileNotFoundError:
        raise StagingMissingError(
            f"{where}: the downloaded file {file.path} is gone, expected it in the cache: clear the task "
            f"download_month to fetch it again, and raise taxiway_cache_limit if the cache is too small"
        ) from None
    except GzipFaultError as error:
        raise InvalidFileError(
            f"{where}: found {error}, expected a whole gzip file. Clear the task download_month to fetch it again"
        ) from error
    # Another run may have put a newer version into the cache since this run's download.
    if found.hexdigest() != file.sha256:
        raise StagingMissingError(
            f"{where}: the file {file.path} changed since it was downloaded: found SHA-256 {found.hexdigest()}, "
            f"expected {file.sha256}. Clear the task download_month to fetch it again"
        )


def _split_header(blocks: Iterator[bytes], where: str) -> tuple[bytes, bytes]:
    """Take the first line off, and return it and what follows in its block."""
    head = b""
    for block in blocks:
        head += block
        header, end, rows = head.partition(b"\n")
        if end:
            return header, rows
        if len(head) > MAX_HEADER:
            raise InvalidFileError(
                f"{where}: found no line end in the first {len(head)} bytes, expected a CSV header: check what the "
                f"mirror serves"
            )
    if not head.strip():
        raise InvalidFileError(
            f"{where}: the file is empty, expected a CSV header and rows: check what the mirror serves"
        )
    return head, b""


def _described(error: psycopg.Error) -> str:
    """Say what Postgres found, and on which line of the file: it counts from the line below the header."""
    text = (error.diag.message_primary or str(error)).strip()
    context = error.diag.context or ""
    _, _, after = context.partition(", line ")
    number = after.split(",")[0].split(":")[0]
    return f"line {int(number) + 1}: {text}" if number.isdigit() else text
