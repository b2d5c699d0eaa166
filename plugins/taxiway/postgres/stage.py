"""Stages a month: the file's rows, as text, in a table of this run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg

from taxiway.core.download import Download
from taxiway.core.errors import EmptyMonthError, InvalidFileError, StagingMissingError
from taxiway.core.gzip_file import GzipFaultError, unpacked_blocks
from taxiway.core.header import MAX_HEADER, match_header
from taxiway.core.lines import numbered_lines, reason_against
from taxiway.core.sql import render
from taxiway.core.tables import LoadTables
from taxiway.postgres import ledger, rejects
from taxiway.postgres.cleanup import drop_staging, sweep_staging
from taxiway.postgres.ledger import Attempt
from taxiway.postgres.main_table import ensure_tables
from taxiway.postgres.rejects import Reject
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
    :param path: the file
    """

    rows_read: int
    plain: bool
    path: str


def stage_month(
    connection: psycopg.Connection[Any], tables: LoadTables, file: Download, started_at: datetime | None = None
) -> Staged:
    """Stream a downloaded month into its staging table.

    The quick way is tried first: the file goes into ``COPY`` as it is. Where that stumbles, its lines
    are looked at one by one; those that can't be read are rejected, and the others staged.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :param file: the downloaded ``.csv.gz``
    :param started_at: when the run began, where no step before this one has entered it in the ledger
    :return: what was staged
    :raises StagingMissingError: the file is not there, or not the one that was downloaded
    :raises InvalidFileError: not gzip, cut off, or no CSV
    :raises HeaderError: a column is missing, repeated or unknown
    :raises RejectLimitError: more lines that can't be read than the source allows
    :raises EmptyMonthError: no rows, for a source that doesn't allow it
    :raises MainTableError: the main table is another one
    """
    source = tables.source
    with transaction(connection) as cursor:
        ensure_tables(cursor, source)
    with ledger.step(connection, tables, "stage_month", started_at) as attempt:
        with transaction(connection) as cursor:
            attempt.record_file(cursor, file)
        sweep_staging(connection, tables)
        try:
            return _stage(connection, tables, file, attempt)
        except BaseException:
            # Airflow's teardown follows a step that succeeded: this one clears up behind itself.
            with suppress(psycopg.Error):
                drop_staging(connection, tables)
            raise


def _stage(connection: psycopg.Connection[Any], tables: LoadTables, file: Download, attempt: Attempt) -> Staged:
    staged = _stage_quickly(connection, tables, file, attempt) or _stage_lines(connection, tables, file, attempt)
    if staged.rows_read == 0 and not tables.source.allow_empty:
        raise EmptyMonthError(
            f"{_where(tables)}: found a header and no rows, expected at least one. If an empty month is right for "
            f"this source, set 'allow_empty: true' in include/sources/{tables.source.name}.yaml"
        )
    return staged


def _where(tables: LoadTables) -> str:
    return f"{tables.source.name} {tables.month}: {tables.source.filename(tables.month)}"


def _begin(cursor: psycopg.Cursor[Any], tables: LoadTables, header: bytes, *, numbered: bool) -> tuple[str, int]:
    """Create the staging table; return the COPY statement for the file, and how many fields a line has."""
    columns = match_header(tables.source, tables.month, header)
    cursor.execute(
        render("postgres/create_staging_table.sql", staging_table=tables.staging_table, columns=tables.source.columns)
    )
    statement = render(
        "postgres/stage_month.sql", staging_table=tables.staging_table, file_columns=columns, numbered=numbered
    )
    return statement, len(columns)


def _stage_quickly(
    connection: psycopg.Connection[Any], tables: LoadTables, file: Download, attempt: Attempt
) -> Staged | None:
    """Stage the file as it is; None, and nothing staged, where a line isn't one row of it."""
    try:
        with transaction(connection) as cursor:
            blocks = _unpacked(file, _where(tables))
            header, first_rows = _split_header(blocks, _where(tables))
            statement, _ = _begin(cursor, tables, header, numbered=False)
            lines = _Lines()
            with cursor.copy(statement) as copy:
                for block in chain([first_rows], blocks):
                    lines.add(block)
                    copy.write(block)
            if cursor.rowcount != lines.count:
                raise _StumbledError
            attempt.record(cursor, rows_read=lines.count, rows_rejected=0)
    except (psycopg.errors.DataError, _StumbledError):
        return None
    return Staged(rows_read=lines.count, plain=lines.plain, path=file.path)


def _stage_lines(connection: psycopg.Connection[Any], tables: LoadTables, file: Download, attempt: Attempt) -> Staged:
    """Stage the lines that can be read, and reject the others."""
    found: list[Reject] = []
    rows_read = 0
    with transaction(connection) as cursor:
        lines = numbered_lines(_unpacked(file, _where(tables)))
        _, header = next(lines)
        statement, fields = _begin(cursor, tables, header, numbered=True)
        with cursor.copy(statement) as copy:
            for number, line in lines:
                if not line:
                    continue  # an empty line is no row: editors leave them behind
                rows_read += 1
                reason = reason_against(line, fields)
                if reason is None:
                    copy.write(b"%d,%s\n" % (number, line))
                elif len(found) <= rejects.MOST_KEPT:
                    found.append(Reject(number, line, reason))
    with transaction(connection) as cursor:
        rejects.keep(cursor, tables, attempt, found)
        attempt.record(cursor, rows_read=rows_read, rows_rejected=len(found))
    rejects.check_limit(tables, found, rows_read)
    return Staged(rows_read=rows_read, plain=False, path=file.path)


class _StumbledError(Exception):
    """A quotation mark that isn't closed has joined lines."""


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
